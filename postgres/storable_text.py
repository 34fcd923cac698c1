"""Text as PostgreSQL can store it: the character U+0000, which its text cannot hold, by NUL_POLICY."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.changes import Changes
from model.errors import TargetError
from model.long_rows import LongRow, LongValue, Part, spool
from postgres.load_plan import LoadColumn, LoadPlan
from type_mapping import Family

REPLACEMENT = "\ufffd"
#: families whose values are stored as the texts that they arrive as
_TEXTS: frozenset[Family] = frozenset(("text", "xml", "variant"))


def without_nuls(plan: LoadPlan, part: Part, changes: Changes, *, refuses: bool) -> Part:
    """The rows with text that PostgreSQL can store; what was changed is counted.

    With the policy `error` NULs stay for the server to refuse them, or raise TargetError where it `refuses`.
    """
    batch = part.batch if isinstance(part, LongRow) else part
    arrays = batch.columns
    for position, column in enumerate(plan.columns):
        if column.family in _TEXTS:
            arrays[position] = _without_nuls(plan, arrays[position], column, changes, refuses)
    bare = pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
    if not isinstance(part, LongRow):
        return bare
    values = {
        position: _long_without_nuls(plan, value, plan.columns[position], changes, refuses)
        if plan.columns[position].family in _TEXTS
        else value
        for position, value in part.values.items()
    }
    return LongRow(bare, values)


def _long_without_nuls(
    plan: LoadPlan, value: LongValue, column: LoadColumn, changes: Changes, refuses: bool
) -> LongValue:
    if not any(b"\0" in piece for piece in value.pieces()):
        return value
    if refuses:
        raise _nul_refused(column, 1)
    if plan.nul_policy == "error":
        return value
    changes.add("nul_characters", column.name, 1)
    instead = b"" if plan.nul_policy == "strip" else REPLACEMENT.encode()
    return spool(piece.replace(b"\0", instead) for piece in value.pieces())


def _without_nuls(plan: LoadPlan, values: pa.Array, column: LoadColumn, changes: Changes, refuses: bool) -> pa.Array:
    data = values.buffers()[2]
    # The lowest byte says at once of a whole column that there is none.
    if data is None or not data.size or np.frombuffer(data, dtype=np.uint8).min() > 0:
        return values
    count = pc.sum(pc.match_substring(values, "\0")).as_py() or 0
    if not count:
        return values
    if refuses:
        raise _nul_refused(column, count)
    if plan.nul_policy == "error":
        return values
    changes.add("nul_characters", column.name, count)
    return pc.replace_substring(values, "\0", "" if plan.nul_policy == "strip" else REPLACEMENT)


def _nul_refused(column: LoadColumn, count: int) -> TargetError:
    return TargetError(
        f"column {column.name}: {count} values of a batch hold the character U+0000, which PostgreSQL's text "
        f"cannot; NUL_POLICY=strip or replace stores them without it"
    )
