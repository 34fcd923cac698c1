"""A target whose settings read our SQL otherwise: the same comes of it, and nothing of the source is executed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

from demo.target import EmbeddedTarget
from model.catalog import Column, Computed, Database, Default, SqlType
from tests.harness import DEFAULT_TIMEOUT_S, Finished, Workplace, clean_environment
from tests.made_schemas import dump
from tests.samples import INT, TEXT, MakeWorkplace, Serve, query, table, target_tables

#: what somebody may have set for a database, a role or a session, and what would then be read or done otherwise
HOSTILE = {
    "standard_conforming_strings": "off",
    "search_path": "evil, pg_catalog",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "session_replication_role": "replica",
    "quote_all_identifiers": "on",
    "xmloption": "document",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "client_encoding": "LATIN1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "100",
    "synchronous_commit": "off",
}
NASTY = r"\'; create table pwned(); --"


def _traps() -> Database:
    """A table whose defaults, names and values are read otherwise under other settings."""
    columns = (
        Column("label", TEXT, default=Default("DF_label", "('" + r"\''; create table pwned(); --" + "')")),
        Column("path", TEXT, default=Default("DF_path", r"('C:\new\')")),
        Column("moment", SqlType("datetimeoffset", 10, 34, 7), default=Default("DF_m", "('2024-02-03 04:05:06')")),
        Column("day", SqlType("date", 3, 10), default=Default("DF_d", "('2024-02-03')")),
        Column("markup", SqlType("xml", -1)),
        Column("raw", SqlType("varbinary", 20)),
        Column("real", SqlType("float", 8, 53)),
        Column("length", INT, computed=Computed("(len([label]))")),
        Column(
            r"back\slash", TEXT, comment=r"a comment \'; create table pwned(); --", collation="Latin1_General_CI_AS"
        ),
    )
    plain = table("Plain")
    trapped = replace(table("Traps"), columns=(plain.columns[0], *columns), comment=r"\'; create table pwned(); --")
    return Database("shop", (plain, trapped))


TRAPS = _traps()
TRAP_ROWS = {
    "dbo.Plain": [(1, r"back\slash 'quoted'"), (2, "ü€")],
    "dbo.Traps": [
        (1, NASTY, "C:\\new\\", "2024-02-03 04:05:06.1234567 +02:00", "2024-02-03", "text <a/> more", b"\\\x00\xff",
         0.1 + 0.2, len(NASTY), "x"),
        (2, None, None, None, None, None, None, None, None, None),
    ],
}  # fmt: skip


def _set(target: EmbeddedTarget, database: str) -> None:
    # A trap for names without a schema, in front of everything.
    query(
        target, database,
        "CREATE SCHEMA evil;"
        "CREATE TABLE evil.pg_class (oid oid, relname name);"
        "CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'shadowed'; END$$;"
        "CREATE FUNCTION evil.format_type(oid, integer) RETURNS text LANGUAGE sql AS 'SELECT ''shadowed''::text';"
        "CREATE FUNCTION evil.unequal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'shadowed'; END$$;"
        "CREATE OPERATOR evil.<> (FUNCTION = evil.unequal, LEFTARG = text, RIGHTARG = text)",
    )  # fmt: skip
    for name, value in HOSTILE.items():
        quoted = value if name == "search_path" else f"'{value}'"
        query(target, "postgres", f"ALTER DATABASE {database} SET {name} = {quoted}")


def _both(workplace: Workplace) -> list[Finished]:
    return [
        workplace.run("schema"),
        workplace.run("schema", "--resume"),
        workplace.run("data"),
        workplace.run("data", "--verify"),
    ]


def _schema(target: EmbeddedTarget, database: str) -> list[str]:
    """The statements that make the schema, but for those of the trap."""
    query(target, database, "DROP SCHEMA IF EXISTS evil CASCADE")
    text = re.sub(r"(?m)^(SET |SELECT pg_catalog|--).*\n", "", dump(target, database))
    return [line for line in text.splitlines() if line]


def test_settings_of_a_database_change_nothing_of_what_arrives(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = make_workplace(serve(TRAPS, TRAP_ROWS), TRAPS)
    assert [finished.code for finished in _both(workplace)] == [0, 0, 0, 0]
    shown = "SELECT * FROM public.traps ORDER BY id"
    wanted_rows, wanted_schema = query(target, target_database, shown), _schema(target, target_database)
    target.create_database("hostile")
    try:
        _set(target, "hostile")
        elsewhere = Workplace(workplace.folder / "elsewhere", {**workplace.environment, "PGDATABASE": "hostile"})
        elsewhere.folder.mkdir()
        for finished in _both(elsewhere):
            assert finished.code == 0, finished.text
        query(target, "postgres", "ALTER DATABASE hostile RESET ALL")
        assert query(target, "hostile", shown) == wanted_rows
        assert _schema(target, "hostile") == wanted_schema
        assert [name for name in target_tables(target, "hostile") if "pwned" in name] == []
        assert query(target, "hostile", "INSERT INTO traps (id) VALUES (9) RETURNING label, path") == [
            (NASTY, "C:\\new\\")
        ]
    finally:
        query(target, "postgres", "DROP DATABASE hostile WITH (FORCE)")


def test_a_dry_runs_script_means_the_same_by_psql_whatever_the_database_has_set(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = make_workplace(serve(TRAPS, TRAP_ROWS), TRAPS)
    script = workplace.run("schema", "--dry-run")
    assert script.code == 0, script.text
    assert workplace.run("schema").code == 0
    wanted = _schema(target, target_database)
    target.create_database("hostile_script")
    try:
        _set(target, "hostile_script")
        ran = subprocess.run(
            [str(target.psql), "--no-psqlrc", "--quiet"], input=script.out,
            env=clean_environment({**target.environment("hostile_script"), "PGCLIENTENCODING": "LATIN1"}),
            capture_output=True, text=True, encoding="utf-8", timeout=DEFAULT_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, "")
        query(target, "postgres", "ALTER DATABASE hostile_script RESET ALL")
        assert _schema(target, "hostile_script") == wanted
    finally:
        query(target, "postgres", "DROP DATABASE hostile_script WITH (FORCE)")


def test_options_of_the_environment_do_not_win_either(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = make_workplace(serve(TRAPS, TRAP_ROWS), TRAPS).with_settings(
        PGOPTIONS="-c standard_conforming_strings=off -c default_transaction_read_only=on -c statement_timeout=1s"
    )
    for finished in _both(workplace):
        assert finished.code == 0, finished.text
    assert query(target, target_database, "SELECT label, path FROM traps WHERE id = 1") == [(NASTY, "C:\\new\\")]
    assert "public.pwned" not in target_tables(target, target_database)


def test_citext_in_a_schema_of_its_own_is_found(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    query(target, target_database, "CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions")
    workplace = make_workplace(serve(TRAPS, TRAP_ROWS), TRAPS).with_settings(COLLATION_POLICY="citext")
    for finished in _both(workplace):
        assert finished.code == 0, finished.text
    kind = "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'traps'::regclass AND attname ~ '^back'"
    assert query(target, target_database, kind) == [("extensions.citext",)]


def test_a_setting_that_the_role_may_not_take_back_is_named(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = make_workplace(serve(TRAPS, TRAP_ROWS), TRAPS)
    query(
        target, target_database,
        "CREATE ROLE replicating LOGIN; ALTER ROLE replicating SET session_replication_role = replica",
    )  # fmt: skip
    try:
        finished = workplace.with_settings(PGUSER="replicating").run("schema")
    finally:
        query(target, target_database, "DROP ROLE replicating")
    assert finished.code == 3
    assert "session_replication_role" in finished.err
    assert "RESET" in finished.err
    assert target_tables(target, target_database) == []


def test_rows_that_a_policy_hides_from_the_role_are_an_error_and_not_missing(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = make_workplace(serve(TRAPS, TRAP_ROWS), TRAPS)
    assert workplace.run("schema").code == 0
    assert workplace.run("data").code == 0
    query(
        target, target_database,
        "DO $$ BEGIN CREATE ROLE watcher LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "GRANT SELECT ON plain, traps TO watcher; ALTER TABLE plain ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY part ON plain USING (id < 2)",
    )  # fmt: skip
    compared = workplace.with_settings(PGUSER="watcher").run("data", "--verify")
    assert compared.code == 1
    assert "row-level security" in compared.text
