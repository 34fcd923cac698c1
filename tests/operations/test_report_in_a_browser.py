"""The report as a browser shows it, where Chromium is installed: nothing runs, nothing sticks out."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from operations.report import page
from tests.made_runs import a_bad_night, nights_before

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PHONE, DESK = 390, 1280

#: shows the page in a frame of a width, with all that is folded open, and writes down what it measures
FRAME = """<!doctype html><meta charset="utf-8"><pre id="found"></pre>
<iframe style="border:0" width="{width}" height="900" sandbox="allow-same-origin allow-scripts"
 srcdoc="{page}"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {{
  const inside = frame.contentDocument, root = inside.documentElement;
  inside.querySelectorAll("details").forEach(one => {{ one.open = true; }});
  const out = [...inside.querySelectorAll("main *:not(svg *)")].filter(
    one => one.getBoundingClientRect().right > root.clientWidth + 1).map(one => one.outerHTML.slice(0, 200));
  document.getElementById("found").textContent = JSON.stringify({{
    width: root.clientWidth, scroll: root.scrollWidth, height: root.scrollHeight, out: out.slice(0, 3),
    hacked: frame.contentWindow.hacked || window.hacked || 0,
    rows: inside.querySelectorAll("tr[data-status]").length, title: inside.title,
    requests: frame.contentWindow.performance.getEntriesByType("resource").length,
  }});
}});
</script>"""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed: the report is not looked at in a browser")
    return found


def measured(chromium: str, folder: Path, text: str, width: int) -> dict[str, Any]:
    """What a page measures in a frame of that width."""
    outer = folder / "frame.html"
    outer.write_text(FRAME.format(width=width, page=html.escape(text)), encoding="utf-8")
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000", "--dump-dom"]
    ended = subprocess.run(
        [*command, outer.as_uri()], capture_output=True, text=True, encoding="utf-8", timeout=120, check=True
    )
    found = re.search(r'<pre id="found">(.+?)</pre>', ended.stdout)
    assert found is not None, ended.stderr[-2000:]
    measures: dict[str, Any] = json.loads(html.unescape(found[1]))
    return measures


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("count", [0, 1, 300, 5_000])
def test_nothing_sticks_out_and_no_name_runs(chromium: str, tmp_path: Path, count: int, width: int) -> None:
    text = page(a_bad_night(count), nights_before(count, 3))
    found = measured(chromium, tmp_path, text, width)
    assert 0 < width - found["width"] <= 20 or width == found["width"]
    assert (found["scroll"], found["out"]) == (found["width"], [])
    assert (found["hacked"], found["requests"], found["rows"]) == (0, 0, count)
    assert found["title"].startswith("Failed: sync-data.py")


def test_no_name_runs_without_the_page_s_policy_either(chromium: str, tmp_path: Path) -> None:
    text = page(a_bad_night(300), [])
    without = re.sub(r"<meta http-equiv[^>]+>", "", text)
    assert without != text
    assert measured(chromium, tmp_path, without, PHONE)["hacked"] == 0


def test_the_measure_sees_what_runs_and_what_sticks_out(chromium: str, tmp_path: Path) -> None:
    text = "<main><p style='width:2000px'>wide</p><script>window.hacked = 1</script></main>"
    found = measured(chromium, tmp_path, text, PHONE)
    assert (found["hacked"], found["scroll"]) == (1, 2008)
    assert found["out"]
