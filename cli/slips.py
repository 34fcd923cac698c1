"""What a hand that slipped at the shell meant: near flags, unset variables, globs that the shell took."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


def given(text: str) -> str:
    """A value that is not blank, for argparse. Raises ArgumentTypeError."""
    if not text.strip(" ,\t\r\n"):
        raise argparse.ArgumentTypeError("its value is empty. Is it a shell variable that is not set?")
    return text


def given_path(text: str) -> Path:
    """A path that is not blank, for argparse. Raises ArgumentTypeError."""
    return Path(given(text))


def meant(extras: Sequence[str], flags: Iterable[str]) -> str:
    """What is wrong with arguments that no flag takes, and what was probably meant."""
    known = sorted(flags)
    return "; ".join(_meant(word, known) for word in extras)


def _meant(word: str, flags: Sequence[str]) -> str:
    if not word.startswith("-"):
        return (
            f"{word!r} belongs to no flag. Several tables are given with commas, --tables A,B, or by repeating the "
            f"flag; a glob needs quotes, --tables '*Log', else the shell puts file names in its place"
        )
    name = word.partition("=")[0]
    longer = [flag for flag in flags if len(name) > 3 and flag.startswith(name)]
    near = longer or difflib.get_close_matches(name, flags, n=2, cutoff=0.6)
    return f"there is no flag {name}" + (f"; is {' or '.join(near)} meant?" if near else "; --help lists all flags")
