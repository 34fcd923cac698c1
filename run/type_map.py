"""The type map: a JSON file in which a person says how types and columns are to cross, where not as usual.

    {"types": {"rowversion": "bigint", "alias": "domain"}, "columns": {"Sales.Orders.Placed": "offset"}}

`types` holds for every column of a type, `columns` for one column, over its type's entry. What may be asked
for stands in `type_mapping.OPTIONS`. Both phases read the same file; what it says ends up in the columns
themselves, so that nothing else needs to know of it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hand_edits.json_mistakes import first_mistake
from hand_edits.reading import HandEditError, decoded
from model.catalog import Column, SqlType, Table, written
from model.errors import TypeMapError
from type_mapping import COMMON_NAMES, MAPPINGS, OFFSET_MINUTES, OPTIONS

_ALIAS = "alias"
DROP, OFFSET, DOMAIN = "drop", "offset", "domain"


@dataclass(frozen=True)
class TypeMap:
    """What is asked for: by T-SQL type, and by column (`schema.table.column`, as written in the file)."""

    types: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None

    def resolved(self, tables: Sequence[Table]) -> TypeMap:
        """The same with every column's name in full and as the source spells it.

        Raises TypeMapError for an entry that fits no column, or several, or not its type.
        """
        columns: dict[str, str] = {}
        for entry, option in self.columns.items():
            table, column = _find(entry, tables)
            name = f"{table.full_name}.{column.name}"
            if name in columns:
                raise TypeMapError(f'type map: "columns" names {name} twice')
            if option not in (allowed := _options_of(column.type)):
                words = f"can be {_listed(allowed)}" if allowed else "has no options"
                raise TypeMapError(f'type map: "{entry}": "{option}" does not apply; {column.type} {words}')
            columns[name] = option
        return replace(self, columns=columns)

    def apply(self, tables: Sequence[Table]) -> tuple[Table, ...]:
        """The tables as the target is to have them: options in the columns' types, columns dropped and added.

        Of a resolved map. Raises TypeMapError for what cannot be made.
        """
        return tuple(self._table(table) for table in tables)

    def _table(self, table: Table) -> Table:
        columns: list[Column] = []
        dropped: list[Column] = []
        for column in table.columns:
            chosen = self.columns.get(f"{table.full_name}.{column.name}")
            mapped = replace(column, type=self._type(column.type, chosen))
            (dropped if mapped.type.option == DROP else columns).append(mapped)
            if mapped.type.option == OFFSET:
                columns.append(_offset_column(table, column))
        if not columns:
            raise TypeMapError(f"type map: no column of {table.full_name} is left; --exclude it, or keep one")
        return replace(table, columns=tuple(columns), internal_columns=(*table.internal_columns, *dropped))

    def _type(self, kind: SqlType, chosen: str | None) -> SqlType:
        own = OPTIONS.get(_written(kind), ())
        option = chosen if chosen in own else self.types.get(_written(kind))
        as_alias = chosen if chosen in OPTIONS[_ALIAS] else self.types.get(_ALIAS)
        is_domain = kind.alias is not None and as_alias == DOMAIN
        # What happens anyway is no option: a map that says so changes nothing.
        return replace(kind, option=None if not own or option == own[0] else option, is_domain=is_domain)

    @property
    def document(self) -> dict[str, dict[str, str]]:
        """What the map says, as the progress file keeps it; empty where it changes nothing."""
        parts = {"types": self.types, "columns": self.columns}
        return {name: dict(sorted(part.items())) for name, part in parts.items() if part}

    @property
    def lines(self) -> list[str]:
        """One line for each entry, for a person."""
        return [f"{name}: {option}" for part in self.document.values() for name, option in part.items()]


def read_type_map(path: Path | None) -> TypeMap:
    """The map in a file; an empty one for no file.

    Raises TypeMapError where the file cannot be read, is not of this shape, or names a type or an option that
    does not exist. Columns are looked for when it is applied.
    """
    if path is None:
        return TypeMap()
    try:
        text = decoded(path.read_bytes())
        document = json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise TypeMapError(f"type map {path}: {first_mistake(text, json.loads) or error}") from None
    except HandEditError as error:
        raise TypeMapError(f"type map {path}: {error}") from None
    except (OSError, RecursionError) as error:
        raise TypeMapError(f"type map {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(document, dict):
        raise TypeMapError(f'type map {path}: the whole must be an object with "types" and "columns"')
    for name in document:
        if name not in ("types", "columns"):
            raise TypeMapError(f'type map {path}: "{name}" is not known; there are "types" and "columns"')
    types = {_type_name(name): option for name, option in _pairs(path, document, "types")}
    for name, option in types.items():
        if option not in OPTIONS[name]:
            raise TypeMapError(
                f'type map {path}: "{name}": "{option}" is not known; it can be {_listed(OPTIONS[name])}'
            )
    usual = {name for name, option in types.items() if option == OPTIONS[name][0]}
    types = {name: option for name, option in types.items() if name not in usual}
    return TypeMap(types, dict(_pairs(path, document, "columns")), path)


def difference(before: Mapping[str, Mapping[str, str]], now: TypeMap) -> list[str]:
    """What two maps say differently, one line an entry; `before` is a `TypeMap.document`."""
    lines = []
    for part in ("types", "columns"):
        old, new = before.get(part, {}), now.document.get(part, {})
        lines += [
            f"{name}: was {old.get(name, 'not named')}, is {new.get(name, 'not named')}"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    return lines


def _without_twins(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    names = [name.lower() for name, _ in pairs]
    for name, _ in pairs:
        if names.count(name.lower()) > 1:
            raise TypeMapError(f'type map: "{name}" appears twice')
    return dict(pairs)


def _pairs(path: Path, document: Mapping[str, object], part: str) -> Iterator[tuple[str, str]]:
    entries = document.get(part, {})
    if not isinstance(entries, dict):
        raise TypeMapError(f'type map {path}: "{part}" must be an object of names and options')
    for name, option in entries.items():
        if not isinstance(option, str):
            raise TypeMapError(f'type map {path}: "{name}": the option must be a text, not {json.dumps(option)}')
        yield name, option.strip().lower()


def _type_name(written: str) -> str:
    name = written.strip().lower()
    name = COMMON_NAMES.get(name, name)
    if name in OPTIONS:
        return name
    if name in MAPPINGS:
        raise TypeMapError(f'type map: "{written}" has no options; those that have: {_listed(OPTIONS)}')
    raise TypeMapError(f'type map: "{written}" is no type with options{_near(name, OPTIONS) or _known(OPTIONS)}')


def _options_of(kind: SqlType) -> tuple[str, ...]:
    own = OPTIONS.get(_written(kind), ())
    return (*own, *OPTIONS[_ALIAS]) if kind.alias is not None else own


def _written(kind: SqlType) -> str:
    return COMMON_NAMES.get(kind.name, kind.name)


def _find(entry: str, tables: Sequence[Table]) -> tuple[Table, Column]:
    """The one column that an entry names, as `schema.table.column` or `table.column`, without case."""
    wanted = entry.strip().lower()
    spelled: dict[str, list[tuple[Table, Column]]] = {}
    for table in tables:
        for column in table.columns:
            for owner in {table.full_name, f"{table.schema}.{table.name}", written(table.name), table.name}:
                spelled.setdefault(f"{owner}.{column.name}".lower(), []).append((table, column))
    found = spelled.get(wanted, [])
    # Written in full it means one, though another table's name with a dot in it is written so too.
    found = [one for one in found if f"{one[0].full_name}.{one[1].name}".lower() == wanted] or found
    if len(found) == 1:
        return found[0]
    if found:
        candidates = ", ".join(f"{table.full_name}.{column.name}" for table, column in found)
        raise TypeMapError(f'type map: "{entry}": several columns have that name: {candidates}')
    names = {name: f"{owner.full_name}.{column.name}" for name, ((owner, column), *_) in spelled.items()}
    raise TypeMapError(f'type map: "{entry}": there is no such column{_near(wanted, names)}')


def _offset_column(table: Table, column: Column) -> Column:
    name = f"{column.name}_offset"
    if any(other.name.lower() == name.lower() for other in table.columns):
        raise TypeMapError(
            f'type map: "offset" for {table.full_name}.{column.name} would make a column {name}, which is there already'
        )
    kind = SqlType("datetimeoffset", option=OFFSET_MINUTES)
    return Column(name, kind, is_nullable=column.is_nullable, is_masked=column.is_masked, made_of=column.name)


def _near(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    shown = dict.fromkeys(str(known[one]) if isinstance(known[one], str) else one for one in near)
    return f". Near: {', '.join(shown)}" if shown else ""


def _known(names: Iterable[str]) -> str:
    return f"; those that have: {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
