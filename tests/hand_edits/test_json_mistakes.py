"""What people do to JSON is told by its line, in words, and with what mends it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_edits.json_mistakes import first_mistake
from hand_edits.reading import HandEditError, decoded, parsed

ENTRY = """\
{
  "tables": {
    "Orders": {
      "data": {
        "status": "failed",
        "rows_synced": 12,
        "error": null
      }
    },
    "Products": {
      "data": {
        "status": "pending",
        "error": null
      }
    }
  }
}
"""

#: what was there, what somebody made of it, the line that is named, and words that the message has
SLIPS = {
    "a comma after the last member": ('"error": null', '"error": null,', 7, "comma before }"),
    "a missing comma between members": ('"failed",', '"failed"', 5, 'a comma is missing after "failed"'),
    "a missing comma between tables": ("    },\n", "    }\n", 9, "a comma is missing after }"),
    "two commas": ('"failed",', '"failed",,', 5, "two commas"),
    "a comment at a line's end": ('"failed",', '"failed", // ask Ann', 5, "// ask Ann is a comment"),
    "a comment as in a shell": ('"Orders"', '# ask Ann\n "Orders"', 3, "# ask Ann is a comment"),
    "a comment as in C": ('"Orders"', '/* ask\nAnn */ "Orders"', 3, "is a comment"),
    "single quotes around a value": ('"failed"', "'skipped'", 5, "'skipped' is in single quotes. Write \"skipped\""),
    "single quotes around a name": ('"Orders"', "'Orders'", 3, "'Orders' is in single quotes. Write \"Orders\""),
    "a word processor's quotes": ('"failed"', "“skipped”", 5, 'is in curly quotes. Write "skipped"'),
    "a word processor's German quotes": ('"Orders"', "„Orders“", 3, 'is in curly quotes. Write "Orders"'),
    "no quotes around a value": ('"failed"', "skipped", 5, 'the text skipped has no quotes. Write "skipped"'),
    "no quotes around a name": ('"Orders"', "Orders", 3, 'the name Orders has no quotes. Write "Orders"'),
    "no closing quote": ('"failed",', '"failed,', 5, "has no closing quote in its line"),
    "Python's None": ("null", "None", 7, "None is spelled null"),
    "SQL's NULL": ("null", "NULL", 7, "NULL is spelled null"),
    "Python's True": ("null", "True", 7, "True is spelled true"),
    "a number with underscores": ("12", "50_000", 6, "50_000 is no number"),
    "a number with a leading nought": ("12", "012", 6, "012 is no number"),
    "a missing value": ("null", "", 7, "a value is missing after the colon"),
    "a missing colon": ('"status": ', '"status" ', 5, 'a colon is missing after "status"'),
    "an equals sign": ('"status": ', '"status" = ', 5, 'there is a = after "status"'),
    "a semicolon": ('"failed",', '"failed";', 5, "there is a semicolon"),
    "a single backslash": ('"failed"', '"C:\\data"', 5, "single backslash"),
    "a tab within a text": ('"failed"', '"fai\tled"', 5, "control character"),
    "a blank that is none": ('"status": ', '"status":\u00a0', 5, "no-break space"),
    "a bracket for a brace": ("    },\n", "    ],\n", 9, "] closes the brace { of line 3"),
    "a brace too many": ("  }\n}\n", "  }\n}\n}\n", 18, "one } too many"),
    "a brace too few": ("  }\n}\n", "  }\n", 16, "} is missing at its end"),
    "marks of a merge": ('    "Orders"', '<<<<<<< HEAD\n    "Orders"', 3, "a mark of a merge"),
    "a table twice": ('"Products"', '"Orders"', 10, '"Orders" stands in line 3 and again here'),
    "a table twice, spelled otherwise": ('"Products"', '"\\u004frders"', 10, "stands in line 3 and again here"),
    "a status twice": ('"failed",', '"failed", "status": "skipped",', 5, "stands twice in this line"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told_by_line_and_in_words(slip: str) -> None:
    was, made, line, words = SLIPS[slip]
    assert was in ENTRY
    with pytest.raises(HandEditError) as refused:
        parsed(ENTRY.replace(was, made, 1))
    assert str(refused.value).startswith(f"line {line}, column ")
    assert words in str(refused.value)


def test_where_a_file_ends_early_it_is_said_what_is_missing() -> None:
    with pytest.raises(HandEditError, match=r"line 6.*ends before it is complete.*}}}} is missing.*line 4"):
        parsed(ENTRY[: ENTRY.index(',\n        "error"')])


def test_a_file_in_utf_16_is_told_from_a_broken_one() -> None:
    assert decoded(b"\xef\xbb\xbf" + ENTRY.encode()) == ENTRY
    with pytest.raises(HandEditError, match=r"UTF-16.*Save it as UTF-8"):
        decoded(ENTRY.encode("utf-16"))
    with pytest.raises(HandEditError, match=r"line 3: the byte 0xfc .* not UTF-8"):
        decoded(ENTRY.replace("Orders", "Grüße").encode("latin-1"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 2]), st.booleans())
@settings(deadline=None)
def test_what_is_json_has_no_mistake(value: object, indent: int | None, is_ascii: bool) -> None:
    assert first_mistake(json.dumps(value, indent=indent, ensure_ascii=is_ascii), json.loads) is None


def is_json(text: str) -> bool:
    """What Python says."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_a_mistake_is_found_exactly_where_python_finds_one(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(ENTRY)))
    end = data.draw(st.integers(start, min(len(ENTRY), start + 12)))
    typed = data.draw(st.text(st.sampled_from("{}[]:,\"'\\ \n#/x0-1.eN“”"), max_size=4) | st.text(max_size=3))
    text = ENTRY[:start] + typed + ENTRY[end:]
    mistake = first_mistake(text, json.loads)
    if is_json(text):
        # A name that stands twice is no mistake in Python's eyes.
        assert mistake is None or "only one of them can hold" in mistake.words
    else:
        assert mistake is not None
        assert 1 <= mistake.line <= text.count("\n") + 1
        assert mistake.column >= 1


@given(st.text(st.sampled_from("{}[]:,\"'\\ \n#/x01-.eEnulltrueNaN“”")) | st.text())
@settings(deadline=None, max_examples=300)
def test_any_text_is_json_or_has_a_mistake(text: str) -> None:
    mistake = first_mistake(text, json.loads)
    assert is_json(text) == (mistake is None or "only one of them can hold" in mistake.words)
