"""Which definitions are run out of the tool's own record: what PostgreSQL writes of keys and indexes, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import UnknownDefinitionError
from postgres.definitions import read_foreign_key, read_index, read_key
from postgres.names import TargetName, quote

KEYS = {
    "PRIMARY KEY (id)": ("id",),
    'PRIMARY KEY ("Id", b) INCLUDE (c, "d""e")': ("Id", "b"),
    "UNIQUE NULLS NOT DISTINCT (a, b) DEFERRABLE INITIALLY DEFERRED": ("a", "b"),
    "UNIQUE (a) DEFERRABLE": ("a",),
}
FOREIGN_KEYS = [
    "FOREIGN KEY (a) REFERENCES public.people(id)",
    'FOREIGN KEY (a, b) REFERENCES public.people(id, "x; y") MATCH FULL ON UPDATE SET NULL ON DELETE CASCADE',
    "FOREIGN KEY (a, b) REFERENCES public.people(id, label) ON DELETE SET NULL (a) DEFERRABLE INITIALLY DEFERRED",
    "FOREIGN KEY (a) REFERENCES public.people(id) ON UPDATE NO ACTION ON DELETE RESTRICT DEFERRABLE",
    "FOREIGN KEY (a) REFERENCES public.people(id) NOT ENFORCED",
    "FOREIGN KEY (a, PERIOD b) REFERENCES public.people(id, PERIOD valid)",
]
INDEXES = [
    "CREATE INDEX some ON public.orders USING btree (label DESC NULLS LAST) WITH (fillfactor='70')",
    "CREATE UNIQUE INDEX some ON ONLY public.orders USING btree (a, id) NULLS NOT DISTINCT WHERE (person > 0)",
    "CREATE INDEX some ON public.orders USING btree (lower((label)::text)) INCLUDE (id, person)",
    "CREATE INDEX some ON public.orders USING gin (label public.gin_trgm_ops)",
    "CREATE INDEX some ON public.orders USING btree (a COLLATE \"C\") WHERE (label ~~ 'a;b -- c''d'::text)",
    "CREATE INDEX some ON public.orders USING btree (a) WHERE ((label = E'back\\\\slash') AND (a IS NOT NULL))",
]
Reader = Callable[[str], object]


@pytest.mark.parametrize("definition", KEYS)
def test_keys_as_postgresql_writes_them(definition: str) -> None:
    assert read_key(definition) == KEYS[definition]


@pytest.mark.parametrize("definition", FOREIGN_KEYS)
def test_foreign_keys_as_postgresql_writes_them(definition: str) -> None:
    assert read_foreign_key(definition) == TargetName("public", "people")


@pytest.mark.parametrize("definition", INDEXES)
def test_indexes_as_postgresql_writes_them(definition: str) -> None:
    assert read_index(definition) == ("some", TargetName("public", "orders"))


READERS: list[tuple[Reader, list[str]]] = [
    (read_key, list(KEYS)),
    (read_foreign_key, FOREIGN_KEYS),
    (read_index, INDEXES),
]
BEHIND = [
    "; DROP TABLE orders", ";", " -- a comment", " /* a comment */", ", ADD COLUMN x integer", " $$ $$", ")", " (",
    " USING INDEX TABLESPACE other", "\\", " E'\\'", " 'open", ' "open', " WHERE", "\0",
]  # fmt: skip


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize(("read", "definitions"), READERS, ids=["keys", "foreign keys", "indexes"])
def test_nothing_may_stand_behind_a_definition(read: Reader, definitions: list[str], behind: str) -> None:
    for definition in definitions:
        with pytest.raises(UnknownDefinitionError):
            read(definition + behind)


@pytest.mark.parametrize(
    "definition",
    [
        "", "ALTER ROLE mallory SUPERUSER", "CHECK (pwn())", "PRIMARY KEY (id), ADD PRIMARY KEY (b)",
        "PRIMARY KEY USING INDEX x", "FOREIGN KEY (a) REFERENCES people(id)", "EXCLUDE USING gist (a WITH =)",
        "CREATE INDEX CONCURRENTLY some ON public.orders USING btree (a)", "CREATE TABLE public.x (a integer)",
        "CREATE INDEX some ON public.orders USING btree (a); SELECT pwn()",
        "CREATE INDEX some ON public.orders USING btree (a) TABLESPACE fast",
        "CREATE INDEX some ON public.orders USING btree (a)) WHERE (b",
    ],
)  # fmt: skip
def test_other_statements_are_none(definition: str) -> None:
    for read in (read_key, read_foreign_key, read_index):
        with pytest.raises(UnknownDefinitionError):
            read(definition)


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40))
def test_a_quoted_name_stays_a_name_whatever_it_is(name: str) -> None:
    assert read_key(f"PRIMARY KEY ({quote(name)})") == (name,)
    assert read_foreign_key(f"FOREIGN KEY (a) REFERENCES s.{quote(name)}(id)") == TargetName("s", name)
    index = f"CREATE INDEX {quote(name)} ON s.t USING btree ({quote(name)}) WHERE ({quote(name)} > 0)"
    assert read_index(index) == (name, TargetName("s", "t"))


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_key, read_foreign_key, read_index):
        with pytest.raises(UnknownDefinitionError):
            read(text)
