"""Sequence objects after a load: what feeds columns goes on where the source stands, as identities do."""

from __future__ import annotations

import psycopg2

from data_phase.connection_pair import ConnectionPair
from db import target_words
from model.errors import ServerError
from mssql.introspection import read_sequences
from postgres import ddl, loader, sequences
from run.context import Run


def let_sequences_go_on(this_run: Run, pair: ConnectionPair) -> None:
    """Read the source's positions after its rows, so that no row is ahead of them. What fails is told, and no more."""
    display = this_run.display
    try:
        positions = {
            ddl.sequence_target(sequence, this_run.settings): sequence.current
            for sequence in read_sequences(pair.source)
            if sequence.current is not None and not sequence.is_cycling
        }
        refused = sequences.go_on(pair.target, positions) if positions else []
    except ServerError as error:
        display.say(f"⚠️ sequences stand where they stood: {error}")
    except psycopg2.Error as error:
        loader.roll_back(pair.target)
        display.say(f"⚠️ sequences could not be set to where the source's stand: {target_words(error)}")
    else:
        for sequence in refused:
            display.say(f"⚠️ {sequence} stands where it stood: this role lacks SELECT or UPDATE on it")
