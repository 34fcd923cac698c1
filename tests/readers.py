"""Readers of the nights' target: they query joined tables and views in a loop, and tell what they saw."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import psycopg2

from demo.target import EmbeddedTarget
from tests.harness import wait_until
from tests.nights import READER

#: milliseconds that a reader waits for a lock; a longer wait is a failed query
LONGEST_WAIT_MS = 250
#: seconds between two queries of a reader, so that four of them leave something of the machine
PAUSE_S = 0.003

Answer = tuple[Any, ...]

_JOINED = """
SELECT count(*), count(o.id), count(c.id), count(n.id), count(p.id),
       min(least(l.night, o.night, c.night, p.night)), max(greatest(l.night, o.night, c.night, p.night)),
       sum(l.amount * p.price), sum(c.referred_by::bigint * l.number)
FROM lines AS l
LEFT JOIN products AS p ON p.id = l.product
LEFT JOIN orders AS o ON o.id = l.order_id
LEFT JOIN customers AS c ON c.id = o.customer
LEFT JOIN countries AS n ON n.id = c.country
"""
_VIEWS = "SELECT count(*), min(first), max(last), sum(total), sum(orders) FROM country_totals"
_REFERRALS = """
SELECT count(*), min(least(c.night, r.night)), max(greatest(c.night, r.night)), sum(c.id::bigint * r.id)
FROM customers AS c JOIN customers AS r ON r.id = c.referred_by
"""
_SHOPS = """
SELECT count(*), min(least(f.night, s.night)), max(greatest(f.night, s.night)), sum(f.id::bigint * s.id)
FROM sales.shops AS s LEFT JOIN sales.shifts AS f ON f.shop = s.id
"""
_NOTES = "SELECT count(*), max(night), sum(night::bigint * length(words)), count(DISTINCT words) FROM notes"
#: what stands on the tables is counted, too: keys that are away for a moment
_KEYS = """
SELECT count(*) FILTER (WHERE contype = 'f'), count(*) FILTER (WHERE contype = 'p')
FROM pg_constraint WHERE connamespace IN ('public'::regnamespace, 'sales'::regnamespace)
"""
#: from the children to their parents, so that another reader takes the same locks the other way round
_UPWARDS = """
SELECT (SELECT sum(id) FROM products), (SELECT max(night) FROM lines), (SELECT sum(customer) FROM orders),
       (SELECT sum(country) FROM customers), (SELECT count(*) FROM countries)
"""
_ALL = f"""
SELECT (SELECT max(night) FROM notes), (SELECT sum(shop) FROM sales.shifts), (SELECT max(night) FROM customers),
       (SELECT sum(price) FROM products), (SELECT sum(length(name)) FROM sales.shops),
       (SELECT row(j.*)::text FROM ({_JOINED}) AS j)
"""
_OF_A_ROLE = """
SELECT count(*), bool_and(c.is_public), min(least(o.night, c.night)), max(greatest(o.night, c.night)), sum(o.id)
FROM public_customers AS c JOIN orders AS o ON o.customer = c.id
"""
_WITH_A_MATERIALISED_VIEW = """
SELECT count(*), sum(b.orders), min(c.night), max(c.night) FROM busiest AS b LEFT JOIN customers AS c ON c.id = b.id
"""


@dataclass(frozen=True)
class Part:
    """What one reader asks, by names; `role` is the login, the superuser if empty."""

    queries: Mapping[str, str]
    role: str = ""
    #: whether its queries are statements prepared once, whose plans outlive the tables
    is_prepared: bool = False
    #: whether they are asked in one transaction that sees one moment
    is_one_transaction: bool = False


#: within tables that foreign keys tie to each other: true of `--switch table`, too
WITHIN_UNITS = (
    Part({"joined": _JOINED, "keys": _KEYS, "notes": _NOTES}),
    Part(
        {"referrals": _REFERRALS, "with a materialised view": _WITH_A_MATERIALISED_VIEW, "views": _VIEWS},
        is_one_transaction=True,
    ),
    Part({"of a role": _OF_A_ROLE, "shops": _SHOPS}, role=READER),
    Part({"upwards": _UPWARDS, "joined": _JOINED, "shops": _SHOPS}, is_prepared=True),
)
#: across all tables: what `--switch together` promises
TOGETHER = (
    WITHIN_UNITS[0],
    Part({"shops": _SHOPS, **WITHIN_UNITS[1].queries, "notes": _NOTES}, is_one_transaction=True),
    Part({**WITHIN_UNITS[2].queries, "all as a role": _ALL}, role=READER),
    Part({**WITHIN_UNITS[3].queries, "all": _ALL}, is_prepared=True),
)


@dataclass
class _Notes:
    """What a reader saw."""

    rounds: int = 0
    #: the answers of each query in the order in which they came, the same one after itself left out
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Readers:
    """Four readers at work while this context manager is open."""

    def __init__(self, target: EmbeddedTarget, database: str, parts: Sequence[Part] = TOGETHER) -> None:
        self._target, self._database, self._parts = target, database, parts
        self._is_over = threading.Event()
        self._notes = [_Notes() for _ in parts]
        self._threads = [
            threading.Thread(target=self._read, args=(part, notes), daemon=True)
            for part, notes in zip(parts, self._notes, strict=True)
        ]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        try:
            self.go_round()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.go_round()
        finally:
            self._stop()

    def go_round(self) -> None:
        """Wait until each reader has begun and ended a round of its queries from now on."""
        before = [notes.rounds for notes in self._notes]
        wait_until(
            lambda: all(notes.rounds >= count + 2 for notes, count in zip(self._notes, before, strict=True)),
            f"the readers go on reading; {self.failures}",
        )

    @property
    def rounds(self) -> int:
        """How often the slowest reader has asked everything."""
        return min(notes.rounds for notes in self._notes)

    @property
    def failures(self) -> list[str]:
        """Queries that failed, each with PostgreSQL's words."""
        return [failure for notes in self._notes for failure in notes.failures]

    @property
    def answers(self) -> list[tuple[str, list[Answer]]]:
        """Of each reader and query, the answers in their order; equal ones that follow each other count once."""
        return [(name, list(seen)) for notes in self._notes for name, seen in notes.answers.items()]

    def troubles(self, nights: int) -> list[str]:
        """What no reader may see: a failure, or more answers to a query than there were nights.

        Whoever lets the readers go round in each night, and sees to it that it was one, knows with this that no answer
        was of two nights: it would be one more.
        """
        mixed = [
            f"{name}: {len(seen)} different answers: {' | '.join(map(str, seen))}"
            for name, seen in self.answers
            if len(seen) > nights
        ]
        return [*self.failures[:10], *mixed]

    def _stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(20)

    def _read(self, part: Part, notes: _Notes) -> None:
        variables = self._target.environment(self._database)
        if part.role:
            variables["PGUSER"] = part.role
        connection = psycopg2.connect(
            host=variables["PGHOST"], port=variables["PGPORT"], user=variables["PGUSER"], dbname=self._database,
            application_name="a reader",
        )  # fmt: skip
        connection.autocommit = True
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {LONGEST_WAIT_MS}")
            asked = {name: [sql] for name, sql in part.queries.items()}
            if part.is_prepared:
                for number, (name, sql) in enumerate(part.queries.items()):
                    cursor.execute(f"PREPARE question_{number} AS {sql}")
                    asked[name] = [f"EXECUTE question_{number}"]
            if part.is_one_transaction:
                asked = {" and ".join(part.queries): list(part.queries.values())}
            for name in itertools.cycle(asked):
                if self._is_over.is_set():
                    return
                try:
                    answer = _answer(cursor, asked[name])
                except psycopg2.Error as error:
                    notes.failures.append(f"{name}: {error.pgcode} {' '.join(str(error).split())}")
                    if connection.closed:
                        return
                    cursor.execute("ROLLBACK")
                else:
                    seen = notes.answers.setdefault(name, [])
                    if not seen or seen[-1] != answer:
                        seen.append(answer)
                notes.rounds += name == list(asked)[-1]
                time.sleep(PAUSE_S)


def _answer(cursor: Any, queries: Sequence[str]) -> Answer:
    """The answers of all of them; several as of one moment."""
    if len(queries) > 1:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    answer: Answer = ()
    for query in queries:
        cursor.execute(query)
        (row,) = cursor.fetchall()
        answer += row
    if len(queries) > 1:
        cursor.execute("COMMIT")
    return answer
