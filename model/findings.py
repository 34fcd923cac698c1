"""What becomes of each thing of the source: an expression in PostgreSQL's words, and an object in the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["done", "changed", "skipped"]
#: "unsure": disabled or not trusted on the source, and nothing else about it; "not looked at": kinds that are not read
Cause = Literal["unsure", "not looked at"]


@dataclass(frozen=True)
class Translation:
    """What became of one T-SQL expression.

    `sql` is `None` when it was refused, and `reason` then says why. `suggestion` beside a refusal is
    something a person may use after a look; beside a `sql` it is a remark on what the translation relies
    on. `is_immutable` is PostgreSQL's notion: only then can the SQL stand in a generated column or an
    index predicate.
    """

    original: str
    sql: str | None
    reason: str | None
    suggestion: str | None
    is_immutable: bool


@dataclass(frozen=True)
class Finding:
    """What becomes of one object of the source: one line of the fidelity report.

    `kind` is a word for a person ("index", "default"); `name` says where it stands on the source
    (`dbo.Orders.IX_Date`). `changed` says in `reason` how it differs, `skipped` why it is not there;
    `original` is then the source's own text, and `suggestion` what a person could do. `cause` is set where others need
    to tell such findings apart; the report does not have it.
    """

    kind: str
    name: str
    state: State = "done"
    reason: str | None = None
    original: str | None = None
    suggestion: str | None = None
    cause: Cause | None = None

    @property
    def document(self) -> dict[str, Any]:
        """What is written of it in JSON: its members by their names."""
        return {name: value for name, value in asdict(self).items() if name != "cause"}
