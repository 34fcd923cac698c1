"""What a client's login asks for, beyond pysqlbridge's own reading of it.

Sources: [MS-TDS] 2.2.6.4 "LOGIN7" (TypeFlags, FeatureExt, FEDAUTH), 2.2.6.5 "PRELOGIN" (FEDAUTHREQUIRED), 2.2.7.11
"FEATUREEXTACK".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pysqlbridge.tds import Prelogin
from pysqlbridge.tds.login import Login7
from pysqlbridge.tds.prelogin import PreloginOption

READ_ONLY_INTENT, HAS_EXTENSION = 0x20, 0x10
EXTENSION_AT = 56
FEDAUTH, LAST_FEATURE = 0x02, 0xFF
#: in front of the token: which library made it (a token of its own), and the echo of FEDAUTHREQUIRED
_SECURITY_TOKEN, _ECHO = 0x01, 0x01
FEATURE_ACK = 0xAE


@dataclass(frozen=True)
class SeenLogin:
    """A login that was asked for: by whom, with which token, whether for reading only."""

    user: str
    is_read_only: bool
    token: str | None = field(default=None, repr=False)


def seen_login(login: Login7, payload: bytes) -> SeenLogin:
    """What a LOGIN7 message asks for."""
    return SeenLogin(login.user_name, bool(login.type_flags & READ_ONLY_INTENT), _token(login, payload))


def _token(login: Login7, payload: bytes) -> str | None:
    if not login.option_flags3 & HAS_EXTENSION:
        return None
    (extension,) = struct.unpack_from("<H", payload, EXTENSION_AT)
    (at,) = struct.unpack_from("<I", payload, extension)
    while payload[at] != LAST_FEATURE:
        feature, size = struct.unpack_from("<BI", payload, at)
        data = payload[at + 5 : at + 5 + size]
        if feature == FEDAUTH and data[0] >> 1 == _SECURITY_TOKEN and data[0] & 1 == _ECHO:
            (length,) = struct.unpack_from("<I", data, 1)
            return bytes(data[5 : 5 + length]).decode("utf-16-le")
        at += 5 + size
    return None


def demand_token(asked: Prelogin, answer: Prelogin) -> Prelogin:
    """The answer to a client that offers one: only a login by a token comes in."""
    if asked.get(PreloginOption.FEDAUTHREQUIRED) != b"\x01":
        return answer
    return Prelogin(options=[*answer.options, (PreloginOption.FEDAUTHREQUIRED, b"\x01")])


#: says that the token was taken
ACKNOWLEDGED = struct.pack("<BBIB", FEATURE_ACK, FEDAUTH, 0, LAST_FEATURE)
