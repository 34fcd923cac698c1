"""What a hand that slipped at the shell meant: near flags, unset variables, globs that the shell took."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from model.visible import listed

UNSET = "Is it a shell variable that is not set?"
#: what programs for texts make of `--`: hyphens and dashes of Unicode (category Pd), and the minus sign
DASHES = re.compile("^[-\u2010-\u2015\u2212]+")


def given(text: str) -> str:
    """A value that is not blank, for argparse. Raises ArgumentTypeError."""
    if not text.strip(" ,\t\r\n"):
        raise argparse.ArgumentTypeError(f"its value is empty. {UNSET}")
    return text


def given_list(text: str) -> str:
    """Values between commas, none of them blank, for argparse. Raises ArgumentTypeError.

    One that is blank is refused, since what it stood for would be copied, or left out, without a word.
    """
    if not all(part.strip() for part in given(text).split(",")):
        raise argparse.ArgumentTypeError(f"nothing stands beside one of its commas: {text!r}. {UNSET}")
    return text


def given_path(text: str) -> Path:
    """A path that is not blank, for argparse. Raises ArgumentTypeError."""
    return Path(given(text))


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, also where it does not exist yet."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def meant(extras: Sequence[str], flags: Iterable[str]) -> str:
    """What is wrong with arguments that no flag takes, and what was probably meant."""
    known = sorted(flags)
    told, strays = [], []
    follows_flag = False
    for word in extras:
        is_flag = DASHES.match(word) is not None
        if is_flag:
            told.append(_meant(word, known))
        elif not follows_flag:
            strays.append(word)
        # What follows a flag that does not exist is its value, and no mistake of its own.
        follows_flag = is_flag and "=" not in word
    if strays:
        told.append(
            f"{listed(strays)} belong{'s' if len(strays) == 1 else ''} to no flag. Several tables are given with "
            f"commas, --tables A,B, or by repeating the flag; a glob needs quotes, --tables '*Log', else the shell "
            f"puts file names in its place"
        )
    return "; ".join(told)


def _meant(word: str, flags: Sequence[str]) -> str:
    name = word.partition("=")[0]
    plain = "--" + DASHES.sub("", name).lower()
    near = [flag for flag in flags if len(plain) > 3 and flag.startswith(plain)] or difflib.get_close_matches(
        plain, flags, n=2, cutoff=0.6
    )
    dash = "" if name.startswith("-") else f" ({name[0]!r} is a dash of a text program, not two hyphens)"
    return f"there is no flag {name}{dash}" + (
        f"; is {' or '.join(near)} meant?" if near else "; --help lists all flags"
    )
