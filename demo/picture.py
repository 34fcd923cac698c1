"""The picture of how it works, made of text: `python -m demo.picture > docs/how-it-works.svg`."""

from __future__ import annotations

from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 330
#: boxes: left, top, width, height, title, lines
SOURCE = ("tables and their catalog", "read only;", "chunks are cut there,", "by its own order")
TOOL = ("worker 1: chunk → Arrow → COPY", "worker 2: chunk → Arrow → COPY", "…")
BESIDE = ("progress file (JSON), log,", "run_report.html, runs.jsonl")
TARGET = ("tables", "schema replication:", "checkpoints, what is", "suspended, rejects")
BOXES = (
    (20, 60, 190, 200, "SQL Server", SOURCE),
    (270, 40, 310, 120, "sync-data.py", TOOL),
    (270, 190, 310, 90, "beside it", BESIDE),
    (680, 60, 170, 200, "PostgreSQL", TARGET),
)
#: arrows: from, to, words
ARROWS = (
    ((210, 100), (270, 100), "rows"),
    ((580, 100), (680, 100), "rows + checkpoint"),
    ((425, 160), (425, 190), ""),
)
BELOW = (
    "A chunk's rows and its checkpoint commit in one transaction: after a kill, whole chunks are there, nothing else."
)
STYLE = """
.box { fill: none; stroke: #4a6fa5; stroke-width: 2; }
.arrow { stroke: #4a6fa5; stroke-width: 2; marker-end: url(#end); }
.end { fill: #4a6fa5; }
text { font: 14px sans-serif; fill: #222; }
.title { font-weight: bold; }
.small { font-size: 11px; }
@media (prefers-color-scheme: dark) { text { fill: #ddd; } }
"""


def picture() -> str:
    """The SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(BELOW)}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="end" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path class="end" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
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
    parts.append(f'<text x="20" y="{HEIGHT - 14}">{escape(BELOW)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    print(picture(), end="")
