"""All entries of the corpus of expressions, each part of which is a module of its own."""

from __future__ import annotations

from tests import (
    expression_corpus,
    expression_corpus_business,
    expression_corpus_dates,
    expression_corpus_moments,
    expression_corpus_numbers,
    expression_corpus_texts,
)

_PARTS = (
    expression_corpus,
    expression_corpus_business,
    expression_corpus_dates,
    expression_corpus_moments,
    expression_corpus_numbers,
    expression_corpus_texts,
)
ENTRIES = tuple(entry for part in _PARTS for entry in part.ENTRIES)
