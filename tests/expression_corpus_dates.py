"""Dates, numbers, conversions and comparisons of padded texts as catalogs store them, with the documented values."""

from __future__ import annotations

from tests.expression_corpus import Entry

ENTRIES: tuple[Entry, ...] = ()
