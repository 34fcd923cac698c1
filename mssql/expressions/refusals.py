"""Functions that are refused by name: why, and what a person may put in their place."""

from __future__ import annotations

_HASHES = "is made of the source's own bytes of a text, which are not those of UTF-8"

#: by the function's name in capitals
REASONS: dict[str, tuple[str, str | None]] = {
    "HOST_NAME": (
        "HOST_NAME is the client's computer, whose name PostgreSQL is not told; it knows the address",
        "inet_client_addr()::text",
    ),
    "@@SERVERNAME": ("@@SERVERNAME is the source server's own name", None),
    "SERVERPROPERTY": ("SERVERPROPERTY tells of the source server", None),
    "@@VERSION": ("@@VERSION is the source server's own", "version()"),
    "CONNECTIONPROPERTY": ("CONNECTIONPROPERTY tells of the source's connections", "inet_client_addr()::text"),
    "SESSION_CONTEXT": (
        "SESSION_CONTEXT is set by the application, which has to set something in PostgreSQL as well",
        "current_setting('app.tenant_id', true)",
    ),
    "CONTEXT_INFO": (
        "CONTEXT_INFO is set by the application, which has to set something in PostgreSQL as well",
        "current_setting('app.context', true)",
    ),
    "@@IDENTITY": ("@@IDENTITY is the last identity of the session, whatever the table", "lastval()"),
    "SCOPE_IDENTITY": ("SCOPE_IDENTITY has no counterpart: lastval() knows no scope", "lastval()"),
    "IDENT_CURRENT": ("IDENT_CURRENT reads the counter of a table", None),
    "SUSER_SID": ("SUSER_SID is the source's own number of a login", None),
    "SUSER_ID": ("SUSER_ID is the source's own number of a login", None),
    "USER_ID": ("USER_ID is the source's own number of a user", None),
    "OBJECT_NAME": ("OBJECT_NAME reads the source's catalog", None),
    "@@PROCID": ("@@PROCID is the source's own number of a procedure", None),
    "@@TRANCOUNT": ("@@TRANCOUNT counts transactions within each other, which PostgreSQL does not have", None),
    "ORIGINAL_DB_NAME": ("ORIGINAL_DB_NAME is the database that a connection named first", "current_database()"),
    "OBJECT_ID": ("OBJECT_ID is the source's own number of an object", None),
    "HOST_ID": ("HOST_ID is the process of the client, which PostgreSQL is not told", None),
    "CHECKSUM": ("CHECKSUM is a hash of the source's own", None),
    "BINARY_CHECKSUM": ("BINARY_CHECKSUM is a hash of the source's own", None),
    "HASHBYTES": (f"HASHBYTES {_HASHES}", None),
    "COMPRESS": ("COMPRESS makes gzip, which PostgreSQL does not", None),
    "TRY_PARSE": ("TRY_PARSE reads a text by a language", None),
    "PARSE": ("PARSE reads a text by a language", None),
    "ISDATE": ("ISDATE depends on the session's language and date format", None),
    "SOUNDEX": ("SOUNDEX is in PostgreSQL's extension fuzzystrmatch, with other codes for some letters", None),
    "DIFFERENCE": ("DIFFERENCE is in PostgreSQL's extension fuzzystrmatch, with other codes for some letters", None),
    "FORMATMESSAGE": ("FORMATMESSAGE reads the source's messages", None),
    "STRING_ESCAPE": ("STRING_ESCAPE has no counterpart that leaves out the quotes", None),
}
