"""What somebody else may do to a target between a kill and a resume, or beside a run.

Each disturbance is a function over a `Scene`: it does one thing to the target or to the progress file, keeps
the account of what must still be there afterwards, and says in a few words what it did, or None where it
could do nothing now. What it chooses comes from the scene's random numbers.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg2

from bench.arena import RUN_TIMEOUT_S, TABLES, Arena
from postgres.names import quote
from tests.harness import Workplace

NAMES = tuple(table.name for table in TABLES)
#: what the target's owner added, of which the source knows nothing
OWN = ("no_inserts", "meddles", "ledger_some", "fk_small_customer")

#: everything that a load may drop or disable, and a person may make
#: (a number beside a column that somebody widened reads `(2)::bigint` where it read `2`, and means the same)
THINGS = r"""
SELECT r.relname, coalesce(f.relname, ''), c.conname, c.contype::text, pg_get_constraintdef(c.oid),
       coalesce(obj_description(c.oid, 'pg_constraint'), '')
FROM pg_constraint AS c JOIN pg_class AS r ON r.oid = c.conrelid LEFT JOIN pg_class AS f ON f.oid = c.confrelid
WHERE c.connamespace = 'public'::regnamespace AND c.contype <> 'n'
UNION ALL
SELECT r.relname, '', i.relname, 'index',
       regexp_replace(pg_get_indexdef(x.indexrelid), '\(([0-9]+)\)::bigint', '\1', 'g'),
       coalesce(obj_description(x.indexrelid, 'pg_class'), '') || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END
FROM pg_index AS x JOIN pg_class AS r ON r.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE r.relnamespace = 'public'::regnamespace
UNION ALL
SELECT r.relname, '', t.tgname, 'trigger', pg_get_triggerdef(t.oid), t.tgenabled::text
FROM pg_trigger AS t JOIN pg_class AS r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
"""
SUSPENDED = "SELECT table_name, name, kind FROM replication.suspended WHERE table_schema = 'public'"
PARTLY_LOADED = """
SELECT DISTINCT table_name FROM replication.load JOIN replication.checkpoint USING (table_schema, table_name)
WHERE table_schema = 'public' AND finished_at IS NULL
"""


@dataclass(frozen=True)
class Thing:
    """A constraint, an index or a trigger of the target; `to` is the table that a foreign key points to.

    `kind` is `index`, `trigger`, or a constraint's letter: p, u, f. `more` is its comment, or whether it is enabled.
    """

    table: str
    to: str
    name: str
    kind: str
    definition: str
    more: str

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.name} {self.definition} {self.more}".rstrip()

    @property
    def statements(self) -> list[str]:
        """What makes it."""
        if self.kind == "trigger":
            return [self.definition]
        if self.kind == "index":
            comment = self.more.replace("'", "''")
            remark = [f"COMMENT ON INDEX {quote(self.name)} IS '{comment}'"] if comment else []
            return [self.definition, *remark]
        return [f"ALTER TABLE {quote(self.table)} ADD CONSTRAINT {quote(self.name)} {self.definition}"]


@dataclass
class Account:
    """What must be in the target when all is over, after what was done to it on purpose.

    Of `loose` tables, which were made anew in another way, only what is required counts; `forgiven` things, by
    table and name, may be there or not.
    """

    required: set[Thing]
    loose: set[str] = field(default_factory=set)
    forgiven: set[tuple[str, str]] = field(default_factory=set)

    def loosen(self, table: str) -> None:
        """Nothing on this table, or pointing to it, is required any more."""
        self.loose.add(table)
        self.required = {thing for thing in self.required if table not in (thing.table, thing.to)}

    def forgive(self, thing: Thing) -> None:
        """A thing, in whatever words, may be there or not."""
        self.forgiven.add((thing.table, thing.name))
        self.required = {one for one in self.required if (one.table, one.name) != (thing.table, thing.name)}

    def note(self, before: set[Thing], after: set[Thing]) -> None:
        """A change by hand: what it made must stay, what it dropped need not come back."""
        gone = before - after
        self.required = (self.required - gone) | (after - before)
        self.forgiven |= {(thing.table, thing.name) for thing in gone}


@dataclass
class Scene:
    """An arena in mid-round, and what is known of it."""

    made: Arena
    chance: random.Random
    account: Account
    #: what stood in the target when the round began
    first: frozenset[Thing]
    #: everything that any process said, for a person
    output: list[str] = field(default_factory=list)
    #: the progress file as it stood after the first run of the round
    saved: bytes | None = None

    @property
    def other(self) -> Workplace:
        """Another directory, with settings of its own."""
        folder = self.made.workplace.folder / "other"
        folder.mkdir(exist_ok=True)
        return Workplace(folder, self.made.workplace.environment).with_settings(CHUNK_ROWS=self.chunk_rows())

    def chunk_rows(self) -> str:
        """A setting of CHUNK_ROWS."""
        return self.chance.choice(("3000", "5000", "12000"))

    def table(self) -> str:
        """The target's name of some table, the large one rather often."""
        return "ledger" if self.chance.random() < 0.3 else self.chance.choice(NAMES).lower()

    def things(self) -> set[Thing]:
        """What stands there now."""
        return {Thing(*row) for row in self.made.query(THINGS)}

    def suspended(self) -> list[tuple[str, str, str]]:
        """What loads have recorded as dropped: table, name, kind."""
        try:
            return [(table, name, kind) for table, name, kind in self.made.query(SUSPENDED)]
        except psycopg2.Error:
            return []

    def change(self, *statements: str) -> bool:
        """Change the target by hand, in one transaction, and keep account of it; False if PostgreSQL refused."""
        before = self.things()
        try:
            self.made.query(";\n".join(("SET lock_timeout = '20s'", *statements)))
        except psycopg2.Error as error:
            self.output.append(f"-- refused: {'; '.join(statements)}: {error}")
            return False
        self.account.note(before, self.things())
        return True


Disturbance = Callable[[Scene], "str | None"]


# -- tables that become others -------------------------------------------------------------------


def recreate_by_script(scene: Scene) -> str | None:
    """A table that differs is made anew by `replicate-schema.py --recreate`."""
    table = scene.table()
    if not scene.change(f"ALTER TABLE {quote(table)} ADD COLUMN surplus integer"):
        return None
    finished = scene.made.workplace.run("schema", "--recreate", "--tables", table, timeout=RUN_TIMEOUT_S)
    scene.output.append(finished.text)
    scene.account.loosen(table)
    scene.account.required |= {thing for thing in scene.first if thing.table == table and thing.name not in OWN}
    return f"replicate-schema.py --recreate --tables {table}: {finished.code}"


def recreate_by_hand(scene: Scene) -> str | None:
    """A table is dropped and made as it was; foreign keys to it are not made again."""
    return _made_anew(scene, scene.table(), ("p", "u", "index", "f", "trigger"))


def recreate_bare(scene: Scene) -> str | None:
    """A table is dropped and made with its columns only: the keys that the source has are to be missed."""
    return _made_anew(scene, scene.table(), ())


def _made_anew(scene: Scene, table: str, kinds: tuple[str, ...]) -> str | None:
    of_table = [thing for thing in scene.first if thing.table == table]
    constraints = {thing.name for thing in of_table if thing.kind in ("p", "u")}
    # What a key rests on is made with it.
    made = [thing for thing in of_table if thing.kind != "index" or thing.name not in constraints]
    parts = [part for kind in kinds for thing in made if thing.kind == kind for part in thing.statements]
    if not scene.change(
        f"CREATE TABLE fresh (LIKE {quote(table)} INCLUDING DEFAULTS INCLUDING IDENTITY)",
        f"DROP TABLE {quote(table)} CASCADE",
        f"ALTER TABLE fresh RENAME TO {quote(table)}",
        *parts,
    ):
        return None
    scene.account.loosen(table)
    scene.account.required |= {thing for thing in of_table if thing.kind in ("p", "u", *kinds)}
    return f"dropped {table} and made it anew {'as it was' if kinds else 'without keys'}"


def rename_and_make_anew(scene: Scene) -> str | None:
    """A table is renamed, and one like it takes its name."""
    table = scene.table()
    old = f"{table}_of_{scene.chance.randrange(10**6)}"
    if not scene.change(
        f"ALTER TABLE {quote(table)} RENAME TO {quote(old)}",
        f"CREATE TABLE {quote(table)} (LIKE {quote(old)} INCLUDING ALL)",
    ):
        return None
    scene.account.loosen(table)
    scene.account.loosen(old)
    return f"renamed {table} to {old} and made it anew"


def rename_away_and_back(scene: Scene) -> str | None:
    """A table is renamed, one like it is made and dropped again, and the old one takes its name back."""
    table = scene.table()
    if not scene.change(
        f"ALTER TABLE {quote(table)} RENAME TO passing",
        f"CREATE TABLE {quote(table)} (LIKE passing INCLUDING DEFAULTS)",
        f"DROP TABLE {quote(table)}",
        f"ALTER TABLE passing RENAME TO {quote(table)}",
    ):
        return None
    return f"renamed {table} and back"


def drop_table(scene: Scene) -> str | None:
    """A table is dropped, with what points to it."""
    table = scene.table()
    if not scene.change(f"DROP TABLE {quote(table)} CASCADE"):
        return None
    scene.account.loosen(table)
    return f"dropped {table}"


# -- rows ---------------------------------------------------------------------------------------


def truncate(scene: Scene) -> str | None:
    """A table is emptied, and those that point to it."""
    table = scene.table()
    return f"truncated {table}" if scene.change(f"TRUNCATE {quote(table)} CASCADE") else None


def delete_rows(scene: Scene) -> str | None:
    """Some rows of a table that is loaded partly go. Of a completed one, nothing but --verify could tell."""
    table = _partly_loaded(scene)
    if table is None or not scene.change(
        f"DELETE FROM {quote(table)} WHERE ctid IN (SELECT ctid FROM {quote(table)} ORDER BY random() LIMIT 7)"
    ):
        return None
    return f"deleted 7 rows of {table}"


def double_rows(scene: Scene) -> str | None:
    """Some rows of a table that is loaded partly stand there twice."""
    table = _partly_loaded(scene)
    if table is None or not scene.change(f"INSERT INTO {quote(table)} SELECT * FROM {quote(table)} LIMIT 7"):
        return None
    return f"doubled 7 rows of {table}"


def _partly_loaded(scene: Scene) -> str | None:
    try:
        found = [table for (table,) in scene.made.query(PARTLY_LOADED)]
    except psycopg2.Error:
        return None
    return scene.chance.choice(sorted(found)) if found else None


# -- alterations ----------------------------------------------------------------------------------


def add_column(scene: Scene) -> str | None:
    """A table gets a column of its own, which its rows may have to be rewritten for."""
    table, name = scene.table(), f"own{scene.chance.randrange(10**6)}"
    kind = scene.chance.choice(
        ("integer", "integer DEFAULT 7", "integer NOT NULL DEFAULT 7", "float DEFAULT random()", "text")
    )
    return (
        f"added {table}.{name} {kind}" if scene.change(f"ALTER TABLE {quote(table)} ADD COLUMN {name} {kind}") else None
    )


def widen_column(scene: Scene) -> str | None:
    """A column gets a wider type, or one by another name, so that the table is rewritten."""
    table, column, kind = scene.chance.choice(
        (
            ("heap", "number", "bigint"), ("heap", "note", "text"), ("small", "note", "text"),
            ("ledger", "customerid", "bigint"), ("parts", "kind", "integer"), ("amounts", "amount", "numeric(24,6)"),
            ("days", "sum", "numeric"), ("codes", "code", "text"), ("tickets", "number", "bigint"),
        )
    )  # fmt: skip
    statement = f"ALTER TABLE {table} ALTER COLUMN {quote(column)} TYPE {kind}"
    return f"made {table}.{column} {kind}" if scene.change(statement) else None


def rename_column(scene: Scene) -> str | None:
    """A column gets another name."""
    table = scene.chance.choice(("amounts", "codes", "guids", "heap", "moments", "small", "tickets"))
    return f"renamed {table}.note" if scene.change(f"ALTER TABLE {quote(table)} RENAME COLUMN note TO remark") else None


def rewrite(scene: Scene) -> str | None:
    """A table's rows are written to another file; none is changed."""
    table = scene.table()
    kind = scene.chance.choice(("VACUUM FULL {}", "ALTER TABLE {} SET UNLOGGED", "ALTER TABLE {} SET LOGGED"))
    statement = kind.format(quote(table))
    try:
        scene.made.query(statement)
    except psycopg2.Error as error:
        scene.output.append(f"-- refused: {statement}: {error}")
        return None
    return statement


def add_index(scene: Scene) -> str | None:
    """A table gets an index of its own."""
    table, name = scene.table(), f"own{scene.chance.randrange(10**6)}"
    column = scene.chance.choice([c.name.lower() for t in TABLES if t.name.lower() == table for c in t.columns])
    statement = f"CREATE INDEX {name} ON {quote(table)} ({quote(column)})"
    return statement if scene.change(statement) else None


def take_a_suspended_name(scene: Scene) -> str | None:
    """Another table gets an index by the name of one that a load has dropped."""
    names = [(table, name) for table, name, kind in scene.suspended() if kind in ("index", "key")]
    if not names:
        return None
    owner, name = scene.chance.choice(names)
    table, column = scene.chance.choice([("small", "note"), ("heap", "number"), ("codes", "note"), ("guids", "note")])
    statement = f"CREATE INDEX {quote(name)} ON {table} ({column})"
    return f"{statement}, a name of {owner}" if scene.change(statement) else None


def drop_index(scene: Scene) -> str | None:
    """Somebody drops the index that they made themselves."""
    return "dropped ledger_some" if scene.change("DROP INDEX IF EXISTS ledger_some") else None


# -- what the tool remembers ------------------------------------------------------------------------


def drop_replication(scene: Scene) -> str | None:
    """Schema `replication` goes. What was dropped for a load and is the source's must be missed by the tool."""
    lost = scene.suspended()
    try:
        scene.made.query("DROP SCHEMA replication CASCADE")
    except psycopg2.Error:
        return None
    for table, name, kind in lost:
        if name in OWN or name.startswith("own") or kind == "trigger":
            scene.account.forgive(Thing(table, "", name, kind, "", ""))
    return f"dropped schema replication with {', '.join(f'{table}.{name}' for table, name, _ in lost) or 'nothing'}"


def lose_the_file(scene: Scene) -> str | None:
    """The progress file goes."""
    if not scene.made.workplace.data_progress.exists():
        return None
    scene.made.workplace.data_progress.unlink()
    return "removed the progress file"


def set_the_file_back(scene: Scene) -> str | None:
    """An earlier progress file replaces the last one."""
    if scene.saved is None:
        return None
    scene.made.workplace.data_progress.write_bytes(scene.saved)
    return "set the progress file back to an earlier one"


def take_the_others_file(scene: Scene) -> str | None:
    """The progress file is one of another directory."""
    other = scene.made.workplace.folder / "other" / scene.made.workplace.data_progress.name
    if not other.exists():
        return None
    shutil.copy(other, scene.made.workplace.data_progress)
    return "took the progress file of the other directory"


# -- the server, and other runs ------------------------------------------------------------------------


def restart_fast(scene: Scene) -> str | None:
    """PostgreSQL is restarted."""
    scene.made.restart("fast")
    return "restarted PostgreSQL"


def crash(scene: Scene) -> str | None:
    """PostgreSQL crashes: unlogged tables are empty afterwards."""
    scene.made.restart("immediate")
    return "crashed PostgreSQL"


def make_the_schema(scene: Scene) -> str | None:
    """The schema phase runs, here or in another directory."""
    workplace = scene.chance.choice((scene.made.workplace, scene.other))
    finished = workplace.run("schema", timeout=RUN_TIMEOUT_S)
    scene.output.append(finished.text)
    # A foreign key that was lost, and that rows violate now, is made all the same, and told: docs/schema.md.
    for thing in scene.things():
        if thing.kind == "f" and thing.definition.endswith(" NOT VALID") and thing not in scene.account.required:
            scene.account.forgive(thing)
    return f"replicate-schema.py in {workplace.folder.name}: {finished.code}"


#: what may happen while no run is under way, except for other runs: the rounds start these themselves
BETWEEN_RUNS: tuple[Disturbance, ...] = (
    recreate_by_script, recreate_by_hand, recreate_bare, rename_and_make_anew, rename_away_and_back, drop_table,
    truncate, truncate, delete_rows, delete_rows, double_rows,
    add_column, widen_column, rename_column, rewrite, rewrite, add_index, take_a_suspended_name,
    take_a_suspended_name, drop_index,
    drop_replication, drop_replication, lose_the_file, set_the_file_back, take_the_others_file,
    restart_fast, crash, crash, make_the_schema,
)  # fmt: skip
#: what may happen while one is
BESIDE_A_RUN: tuple[Disturbance, ...] = (restart_fast, crash, make_the_schema)
