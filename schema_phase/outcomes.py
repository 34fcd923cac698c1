"""What became of each object, as it comes true."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from model.findings import Finding
from postgres.ddl import SchemaPlan, Step


@dataclass
class Outcomes:
    """Findings as they came true, by kind and name; the report is made of them."""

    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def note(self, findings: Iterable[Finding]) -> None:
        """Findings that hold now; they replace earlier ones of the same objects."""
        for finding in findings:
            self.findings[(finding.kind, finding.name)] = finding

    def planned(self, plan: SchemaPlan) -> None:
        """What holds if nothing is refused."""
        self.note(plan.findings)
        self.note(findings_of(plan.schema_comments))
        self.note(finding for named in (*plan.domains, *plan.sequences) for finding in findings_of(named.steps))
        for table in plan.tables:
            self.note(table.all_findings)

    def not_made(self, findings: Iterable[Finding], why: str) -> None:
        """Findings that would hold, had the run come to them."""
        self.note(
            replace(finding, state="skipped", reason=f"not made: {why}")
            for finding in findings
            if self.findings[(finding.kind, finding.name)].state != "skipped"
        )


def findings_of(steps: Iterable[Step]) -> list[Finding]:
    return [step.finding for step in steps if step.finding is not None]
