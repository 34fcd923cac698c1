"""The system's ODBC driver manager, which pyodbc and arrow-odbc are linked with: where each system has it."""

from __future__ import annotations


def libraries(platform: str) -> tuple[str, ...]:
    """Under which names and paths it is to be looked for, on a system by the name that Python gives it.

    None on Windows, of which it is a part. Homebrew and MacPorts have folders of their own, which macOS does not search
    (Homebrew, "Installation", prefixes).
    """
    if platform == "win32":
        return ()
    if platform == "darwin":
        folders = ("", "/opt/homebrew/lib/", "/usr/local/lib/", "/opt/local/lib/")
        return tuple(f"{folder}libodbc.2.dylib" for folder in folders)
    return ("libodbc.so.2",)
