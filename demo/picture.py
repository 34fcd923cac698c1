"""The picture of how it works, made of text: `python -m demo.picture > docs/how-it-works.svg`."""

from __future__ import annotations

from xml.sax.saxutils import escape

WIDTH, HEIGHT = 900, 400
#: boxes: left, top, width, height, title, lines
SOURCE = (
    "tables, and the catalog",
    "that describes them",
    "",
    "",
    "only read;",
    "chunks are cut here,",
    "by its own order",
)
SCHEMA = ("types, keys, defaults, comments",)
DATA = ("worker 1: chunk → Arrow → COPY", "worker 2: chunk → Arrow → COPY", "…")
FILES = ("progress (JSON, yours to edit),", "log, run_report.html, runs.jsonl")
TARGET = (
    "tables, keys, indexes",
    "",
    "",
    "",
    "schema replication:",
    "checkpoints, rejects,",
    "what is suspended,",
    "sessions and runs",
)
BOXES = (
    (24, 24, 200, 334, "SQL Server", SOURCE),
    (310, 24, 270, 76, "replicate-schema.py", SCHEMA),
    (310, 124, 270, 116, "sync-data.py", DATA),
    (310, 268, 270, 90, "files beside it", FILES),
    (686, 24, 190, 334, "PostgreSQL", TARGET),
)
#: arrows: from, to, words
ARROWS = (
    ((224, 62), (310, 62), "catalog"),
    ((580, 62), (686, 62), "CREATE"),
    ((224, 182), (310, 182), "rows"),
    ((580, 182), (686, 182), "rows + checkpoint"),
    ((445, 240), (445, 268), ""),
)
BELOW = (
    "A chunk's rows and its checkpoint commit in one transaction: after a kill, whole chunks are there, nothing else."
)
#: a ground of its own: a page may be dark where the system is light, and the reverse
STYLE = """
.ground { fill: #f7f9fc; }
.box { fill: #ffffff; stroke: #4a6fa5; stroke-width: 2; }
.arrow { stroke: #4a6fa5; stroke-width: 2; marker-end: url(#end); }
.end { fill: #4a6fa5; }
text { font: 14px sans-serif; fill: #1d2430; }
.title { font-weight: bold; }
.small { font-size: 12px; }
@media (prefers-color-scheme: dark) {
.ground { fill: #151b24; }
.box { fill: #1e2733; stroke: #7fa3d6; }
.arrow { stroke: #7fa3d6; }
.end { fill: #7fa3d6; }
text { fill: #e3e8ef; }
}
"""


def picture() -> str:
    """The SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(BELOW)}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="end" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path class="end" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
    ]
    for left, top, width, height, title, lines in BOXES:
        parts.append(f'<rect class="box" x="{left}" y="{top}" width="{width}" height="{height}" rx="8"/>')
        parts.append(f'<text class="title" x="{left + 14}" y="{top + 26}">{escape(title)}</text>')
        for number, line in enumerate(lines):
            parts.append(f'<text x="{left + 14}" y="{top + 52 + 21 * number}">{escape(line)}</text>')
    for (x1, y1), (x2, y2), words in ARROWS:
        parts.append(f'<line class="arrow" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')
        for number, line in enumerate(words.split(" + ") if words else []):
            told, x, y = f"+ {line}" if number else line, (x1 + x2) // 2, y1 + 18 + 14 * number
            parts.append(f'<text class="small" text-anchor="middle" x="{x}" y="{y}">{escape(told)}</text>')
    parts.append(f'<text x="24" y="{HEIGHT - 18}">{escape(BELOW)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    print(picture(), end="")
