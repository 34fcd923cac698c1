"""What a client's login asks for, beyond pysqlbridge's own reading of it.

Sources: [MS-TDS] 2.2.6.3 "Federated Authentication Token", 2.2.6.4 "LOGIN7" (TypeFlags, FeatureExt, FEDAUTH), 2.2.6.5
"PRELOGIN" (FEDAUTHREQUIRED), 2.2.7.11 "FEATUREEXTACK", 2.2.7.12 "FEDAUTHINFO".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from pysqlbridge.tds import Prelogin
from pysqlbridge.tds.login import Login7
from pysqlbridge.tds.prelogin import PreloginOption

from standin.kerberos import shown_principal

READ_ONLY_INTENT, HAS_EXTENSION = 0x20, 0x10
EXTENSION_AT = 56
FEDAUTH, LAST_FEATURE = 0x02, 0xFF
#: in front of the token: which library gets it (none: it is here; ADAL: the driver asks a directory), and the echo of
#: FEDAUTHREQUIRED
_SECURITY_TOKEN, _ADAL, _ECHO = 0x01, 0x02, 0x01
FEATURE_ACK, FEDAUTH_INFO = 0xAE, 0xEE
#: the type of a message with a token that a directory gave
FEDAUTH_MESSAGE = 0x08
#: where a driver is told to get it, and for what
_STS_URL, _SPN = (1, "https://login.microsoftonline.com/common"), (2, "https://database.windows.net/")


@dataclass(frozen=True)
class SeenLogin:
    """A login that was asked for: by whom, with which token or ticket, whether for reading only.

    `principal` is the account whose Kerberos ticket was shown, blank for one that is none. `asks_directory` where its
    token is still to come, from a directory that the driver asks.
    """

    user: str
    is_read_only: bool
    token: str | None = field(default=None, repr=False)
    asks_directory: bool = False
    principal: str | None = None


def seen_login(login: Login7, payload: bytes) -> SeenLogin:
    """What a LOGIN7 message asks for."""
    data = _federated(login, payload)
    library = data[0] >> 1 if data and data[0] & 1 == _ECHO else None
    token = _token_of(data[1:]) if library == _SECURITY_TOKEN else None
    is_read_only = bool(login.type_flags & READ_ONLY_INTENT)
    principal = (shown_principal(login.sspi) or "") if login.sspi else None
    return SeenLogin(login.user_name, is_read_only, token, asks_directory=library == _ADAL, principal=principal)


def with_token(seen: SeenLogin, payload: bytes) -> SeenLogin:
    """The same login with the token that followed, in a message of its own."""
    return replace(seen, token=_token_of(payload[4:]).removesuffix("\0"), asks_directory=False)


def _federated(login: Login7, payload: bytes) -> bytes:
    """What LOGIN7 says of a federated login; nothing where it asks for none."""
    if not login.option_flags3 & HAS_EXTENSION:
        return b""
    (extension,) = struct.unpack_from("<H", payload, EXTENSION_AT)
    (at,) = struct.unpack_from("<I", payload, extension)
    while payload[at] != LAST_FEATURE:
        feature, size = struct.unpack_from("<BI", payload, at)
        if feature == FEDAUTH:
            return bytes(payload[at + 5 : at + 5 + size])
        at += 5 + size
    return b""


def _token_of(data: bytes) -> str:
    (length,) = struct.unpack_from("<I", data)
    return data[4 : 4 + length].decode("utf-16-le")


def directory_info() -> bytes:
    """Tells a driver which directory to ask for a token."""
    entries, texts = b"", b""
    first = 4 + 9 * 2
    for number, text in (_STS_URL, _SPN):
        encoded = text.encode("utf-16-le")
        entries += struct.pack("<BII", number, len(encoded), first + len(texts))
        texts += encoded
    body = struct.pack("<I", 2) + entries + texts
    return struct.pack("<BI", FEDAUTH_INFO, len(body)) + body


def demand_token(asked: Prelogin, answer: Prelogin) -> Prelogin:
    """The answer to a client that offers one: only a login by a token comes in."""
    if asked.get(PreloginOption.FEDAUTHREQUIRED) != b"\x01":
        return answer
    return Prelogin(options=[*answer.options, (PreloginOption.FEDAUTHREQUIRED, b"\x01")])


#: says that the token was taken
ACKNOWLEDGED = struct.pack("<BBIB", FEATURE_ACK, FEDAUTH, 0, LAST_FEATURE)
