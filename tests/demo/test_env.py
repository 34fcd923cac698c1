"""The demo's settings, which a reader goes on with by hand."""

from __future__ import annotations

import stat
from pathlib import Path

from demo.__main__ import write_env


def test_the_file_is_its_owner_s_alone_also_where_an_earlier_demo_left_one(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    write_env(tmp_path, {"MSSQL_PASSWORD": "a b#c"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text(encoding="utf-8") == "MSSQL_PASSWORD='a b#c'\n"
