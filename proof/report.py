"""sqlserver-proof.md: with which versions the tool was proven, what ran, and what differed. No names of machines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.run_tsql_script import Refusal
from proof.samples import Replicated
from proof.suite import Case

#: characters of a failure's words, lines of what a program said
WORDS = 600
LINES = 20


def page(
    versions: Mapping[str, str], samples: Sequence[Replicated], cases: Sequence[Case], places: Mapping[str, str]
) -> str:
    """The proof as Markdown; `places` are names of machines and folders, and what stands for them."""
    lines = [f"# Proof on {versions.get('SQL Server', 'SQL Server').splitlines()[0]}", "", verdict(samples, cases), ""]
    lines += ["| | |", "|---|---|", *(f"| {what} | {_cell(words)} |" for what, words in versions.items())]
    lines += ["", "## Sample databases", "", *_samples(samples), "", "## Tests on the T-SQL server", "", *_tests(cases)]
    text = "\n".join(lines) + "\n"
    for name in sorted(places, key=len, reverse=True):
        text = text.replace(name, places[name])
    return text


def is_proven(samples: Sequence[Replicated], cases: Sequence[Case]) -> bool:
    """Whether nothing that ran failed, and some of both kinds ran."""
    begun = [sample for sample in samples if sample.omitted is None]
    return (
        all(sample.is_proven for sample in begun)
        and any(case.state == "passed" for case in cases)
        and not any(case.state == "failed" for case in cases)
    )


def verdict(samples: Sequence[Replicated], cases: Sequence[Case]) -> str:
    """What came of it all, in a sentence or two."""
    states = Counter(case.state for case in cases)
    begun = [sample for sample in samples if sample.omitted is None]
    proven = sum(sample.is_proven for sample in begun)
    words = (
        f"{states['passed']:,} tests passed, {states['failed']:,} failed, {states['skipped']:,} were skipped. Of"
        f" {len(samples)} sample databases {len(begun)} were loaded; {proven} of these arrived complete and equal."
    )
    return f"**{'Proven' if is_proven(samples, cases) else 'NOT proven'}.** {words}"


def _samples(samples: Iterable[Replicated]) -> Iterator[str]:
    chosen = list(samples)
    yield "| database | its script | tables | rows | equal | schema report | account of objects |"
    yield "|---|---|---:|---:|---:|---|---|"
    for sample in chosen:
        if sample.omitted is not None:
            yield f"| {sample.name} | not run: {_cell(sample.omitted)} | | | | | |"
            continue
        report = ", ".join(f"{count} {state}" for state, count in (sample.report or {}).items())
        went_in = f"{sample.parts - len(sample.not_loaded)} of {sample.parts} parts went in"
        yield (
            f"| {sample.name} | {went_in} | {sample.tables} | {sample.rows:,} | {sample.equal} | {report} |"
            f" {_cell(sample.unaccounted or '')} |"
        )
    for sample in chosen:
        if sample.different:
            yield from ["", f"### {sample.name}: what differed", "", *(f"- {_cell(word)}" for word in sample.different)]
        for step in sample.steps:
            if step.code != 0:
                yield from ["", f"### {sample.name}: {step.what} ended with exit code {step.code}", "", "```"]
                yield from _telling(step.words.replace("```", "'''").splitlines())
                yield "```"
        if sample.not_loaded:
            yield from ["", f"### {sample.name}: not loaded, in the server's words", ""]
            yield from _alike(sample.not_loaded)


def _telling(lines: Sequence[str]) -> Sequence[str]:
    """The lines that a person would look for: those that are marked, else the last ones."""
    marked = [line for line in lines if line.lstrip().startswith(("❌", "⚠"))]
    return (marked or lines)[-LINES:]


def _alike(refusals: Iterable[Refusal]) -> Iterator[str]:
    """What was refused in the same words, by its first occurrence."""
    by_words: dict[str, list[Refusal]] = {}
    for refusal in refusals:
        by_words.setdefault(refusal.words, []).append(refusal)
    for alike in by_words.values():
        more = f", and {len(alike) - 1} more in the same words" if len(alike) > 1 else ""
        yield f"- {_cell(str(alike[0]))}{more}"


def _tests(cases: Sequence[Case]) -> Iterator[str]:
    modules: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        modules[case.module][case.state] += 1
    yield "| module | passed | failed | skipped |"
    yield "|---|---:|---:|---:|"
    for module, states in sorted(modules.items()):
        yield f"| {module} | {states['passed']} | {states['failed']} | {states['skipped']} |"
    failed = [case for case in cases if case.state == "failed"]
    if failed:
        yield from ["", "### Failed", ""]
        for words, alike in _by_words(failed):
            more = f", and {len(alike) - 1} more in the same words" if len(alike) > 1 else ""
            yield f"- {alike[0].module}: {_cell(alike[0].name)}: {_cell(words[:WORDS])}{more}"
    skipped = [case for case in cases if case.state == "skipped"]
    if skipped:
        yield from ["", "### Skipped, and why", ""]
        for words, alike in sorted(_by_words(skipped)):
            yield f"- {len(alike)} in {', '.join(sorted({case.module for case in alike}))}: {_cell(words)}"


def _by_words(cases: Iterable[Case]) -> Iterable[tuple[str, list[Case]]]:
    """Cases that did not pass for the same reason, together."""
    reasons: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        reasons[case.words].append(case)
    return reasons.items()


def _cell(text: str) -> str:
    """A text on one line that breaks no table."""
    return " ".join(text.split()).replace("|", "\\|")
