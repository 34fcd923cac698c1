"""The house's arrows, read from the modules' own imports (docs/development.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import ROOT

#: what a room may import of ours
MAY_IMPORT = {
    "model": set(),
    "type_mapping": {"model"},
    "db": {"model"},
    "hand_edits": {"model"},
    "progress": {"hand_edits", "model"},
    "scheduling": {"model"},
    "operations": {"hand_edits", "model", "progress"},
    "mssql": {"scheduling", "model", "db", "type_mapping"},
    "postgres": {"model", "db", "type_mapping"},
    "cluster": {"scheduling", "mssql", "postgres", "model", "db"},
    "run": {
        "cluster", "scheduling", "postgres", "operations", "hand_edits", "progress", "model", "db", "type_mapping",
    },
    "verification": {"run", "mssql", "postgres", "scheduling", "model", "db", "type_mapping"},
    "data_phase": {
        "verification", "run", "mssql", "postgres", "operations", "progress", "hand_edits", "scheduling",
        "model", "db", "type_mapping",
    },
    "schema_phase": {
        "cluster", "run", "mssql", "postgres", "operations", "progress", "hand_edits", "model", "db", "type_mapping",
    },
    "status": {"mssql", "postgres", "operations", "progress", "hand_edits", "model", "db"},
    "cli": {"status", "run", "operations", "progress", "hand_edits", "model", "installation"},
    "sync-data": {"cli", "data_phase", "schema_phase", "progress"},
    "replicate-schema": {"cli", "schema_phase", "progress"},
    "standin": {"model"},
    "installation": {"model"},
}  # fmt: skip
#: what shows, proves and measures the product, and is no part of it
BESIDE = {"standin", "demo", "bench", "proof", "tests"}


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = [
        path for path in ROOT.rglob("*.py") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in found}


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a module imports."""
    for node in _without_types_alone(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            module = name if name in MODULES else name.rpartition(".")[0]
            if module in MODULES:
                yield module


def _without_types_alone(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _without_types_alone(child)


def test_every_room_of_the_product_says_what_it_may_import() -> None:
    assert {module.split(".")[0] for module in MODULES} - {"demo", "bench", "proof", "tests"} == MAY_IMPORT.keys()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_go_down_only(room: str) -> None:
    wrong = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if module.split(".")[0] == room
        for other in imported(path)
        if other.split(".")[0] not in MAY_IMPORT[room] | {room}
    ]
    assert wrong == []


def test_the_product_imports_nothing_that_stands_beside_it() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if module.split(".")[0] not in BESIDE
        for other in imported(path)
        if other.split(".")[0] in BESIDE
    ]
    assert wrong == []


def test_there_is_no_circle_of_imports() -> None:
    arrows = {module: set(imported(path)) - {module} for module, path in MODULES.items()}
    while True:
        ends = {module for module, others in arrows.items() if not others & arrows.keys()}
        if not ends:
            break
        arrows = {module: others for module, others in arrows.items() if module not in ends}
    assert {module: sorted(others & arrows.keys()) for module, others in arrows.items()} == {}


def test_the_top_level_holds_the_user_s_files_alone() -> None:
    assert sorted(path.name for path in ROOT.glob("*.py")) == [
        "db.py", "progress.py", "replicate-schema.py", "sync-data.py", "type_mapping.py",
    ]  # fmt: skip


def test_no_test_module_imports_from_another() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if module.startswith("tests.")
        for other in imported(path)
        if other.rpartition(".")[2].startswith("test_")
    ]
    assert wrong == []


def test_no_module_grows_beyond_what_a_person_can_hold() -> None:
    long = {module: path.read_text(encoding="utf-8").count("\n") for module, path in MODULES.items()}
    assert {module: lines for module, lines in long.items() if lines > 700} == {}
