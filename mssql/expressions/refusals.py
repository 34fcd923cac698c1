"""Functions that are refused by name: why, and what a person may put in their place."""

from __future__ import annotations

_HASHES = "is made of the source's own bytes of a text, which are not those of UTF-8"
_NO_TRY = "has no counterpart: PostgreSQL raises an error for what does not convert"

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
    "OBJECT_ID": ("OBJECT_ID is the source's own number of an object", None),
    "HOST_ID": ("HOST_ID is the process of the client, which PostgreSQL is not told", None),
    "RAND": ("RAND gives one number a statement in T-SQL, PostgreSQL's random() one a row", "random()"),
    "CHECKSUM": ("CHECKSUM is a hash of the source's own", None),
    "BINARY_CHECKSUM": ("BINARY_CHECKSUM is a hash of the source's own", None),
    "HASHBYTES": (f"HASHBYTES {_HASHES}", None),
    "COMPRESS": ("COMPRESS makes gzip, which PostgreSQL does not", None),
    "TRY_CONVERT": (f"TRY_CONVERT {_NO_TRY}", None),
    "TRY_CAST": (f"TRY_CAST {_NO_TRY}", None),
    "TRY_PARSE": (f"TRY_PARSE {_NO_TRY}", None),
    "PARSE": ("PARSE reads a text by a language", None),
    "ISDATE": ("ISDATE depends on the session's language and date format", None),
    "SOUNDEX": ("SOUNDEX is in PostgreSQL's extension fuzzystrmatch, with other codes for some letters", None),
    "DIFFERENCE": ("DIFFERENCE is in PostgreSQL's extension fuzzystrmatch, with other codes for some letters", None),
    "QUOTENAME": ("QUOTENAME puts a name in brackets, as T-SQL's names are written", None),
    "FORMATMESSAGE": ("FORMATMESSAGE reads the source's messages", None),
    "STRING_ESCAPE": ("STRING_ESCAPE has no counterpart that leaves out the quotes", None),
}
