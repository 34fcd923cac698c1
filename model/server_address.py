"""SQL Server's address as people write it (Microsoft, "DSN and Connection String Keywords", Server)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from model.errors import SettingsError


@dataclass(frozen=True)
class ServerAddress:
    """A host, and its port or the name of its instance, where one is written."""

    host: str
    port: int | None = None
    instance: str = ""


def parse_address(written: str, port: str) -> ServerAddress:
    """What MSSQL_HOST and MSSQL_PORT mean: `host`, `host,1433`, `tcp:host,1433`, `HOST\\INSTANCE`.

    Raises SettingsError where they contradict each other, or mean no connection over TCP.
    """
    text = written.strip()
    protocol = re.match(r"(tcp|np|lpc|admin):", text, re.IGNORECASE)
    if protocol is not None and protocol[1].lower() != "tcp":
        raise SettingsError(f"MSSQL_HOST: {protocol[0]} is no TCP connection; write the host alone")
    text = text[protocol.end() :].strip() if protocol else text
    host, comma, behind = (part.strip() for part in text.partition(","))
    if comma and not re.fullmatch(r"\d{1,5}", behind):
        raise SettingsError(f"MSSQL_HOST must be like host or host,1433, not {written!r}")
    if comma and port and int(behind) != int(port):
        raise SettingsError(f"MSSQL_HOST names port {behind}, and MSSQL_PORT {port}: leave one of them out")
    host, backslash, instance = host.partition("\\")
    if not host:
        raise SettingsError("MSSQL_HOST is missing: the name or address of the SQL Server")
    if backslash and instance and port:
        raise SettingsError(
            f"MSSQL_HOST names the instance {instance}, and MSSQL_PORT a port, which decides by itself: leave one of "
            f"them out"
        )
    found = behind or port
    return ServerAddress(host, int(found) if found else None, "" if found else instance)
