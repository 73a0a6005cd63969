"""Users' SQL conditions on rows, evaluated where they can reach nothing but those rows.

A condition comes from a target's file, a pool's settings or a manifest that somebody sent. It is evaluated in
a confined process (`tags_assets.confined`): DuckDB's own memory limit does not bind what functions make of
text and lists, and no call into DuckDB can be interrupted while one of them is at work. The first condition
of a program waits a quarter of a second for the process, each further one a few milliseconds.
"""

from __future__ import annotations

import io
import re

import polars as pl
import pyarrow as pa

from tags_assets.confined.process import NO_MEMORY, TOO_SLOW, ConfinedError, run
from tags_assets.errors import InvalidInputError, UserError
from tags_assets.store.artifact_file import storable

SECONDS = 60.0
"""Most time that a condition may take for the rows that it is given at once."""

_ROW = "__row"
# What may stand for a column without its name: `*`, columns(...), #1, and `instances` for a whole row.
_ANY_COLUMN = re.compile(r"[*#]|columns|instances", re.IGNORECASE)
_NOTHING = pa.schema({_ROW: pa.uint32(), "keep": pa.bool_()})
_UNKNOWN_COLUMN = re.compile(r'Referenced column "([^"]*)" (?:was )?not found')


def evaluate_condition(frame: pl.DataFrame, condition: str, *, where: str) -> pl.Series:
    """Evaluate an SQL condition on each row of a frame.

    The condition is one expression of DuckDB's SQL over the frame's columns, such as
    ``response_tokens > 4096 and language in ('de', 'fr')``. Sub-queries may read the rows as ``instances``.
    As in a where clause, a condition that is null holds not.

    Parameters
    ----------
    frame
        The columns that the condition may see. Only those that it names are read.
    condition
        The text that the user wrote.
    where
        Where it was written, for the message: ``targets/maths.yaml: constraints.exclude.where``.

    Returns
    -------
    pl.Series
        Boolean, without nulls, aligned with the rows of `frame`.

    Raises
    ------
    UserError
        If it is not one expression, names an unknown column, is not true or false for each row, reaches for
        anything else (files, settings), fails on a row, or takes too much time or memory.
    """
    columns = storable(frame, "instances").with_row_index(_ROW).select(*_named(frame, condition), _ROW)
    content = io.BytesIO()
    columns.write_ipc_stream(content)
    try:
        answer = list(run({"condition": condition}, content.getvalue(), seconds=SECONDS))
    except ConfinedError as error:
        raise _explained(error, frame, condition, where) from error
    table = pa.Table.from_batches(answer, None if answer else _NOTHING)
    kinds = [str(kind) for kind in table.schema.types[1:]]
    if kinds not in (["bool"], ["null"]):
        raise InvalidInputError(
            f"{condition!r} is not true or false but {', '.join(kinds)}",
            where=where,
            fix="Compare it with something.",
        )
    rows = pl.DataFrame(table)
    if rows.height != frame.height:
        problem = f"{condition!r} gives {rows.height} values for {frame.height} rows"
        raise InvalidInputError(problem, where=where, fix="Write a condition on one row.")
    return rows.sort(_ROW)["keep"].cast(pl.Boolean).fill_null(value=False)


def _named(frame: pl.DataFrame, condition: str) -> list[str]:
    """Return the columns that a condition may name, all where it may mean them all."""
    if _ANY_COLUMN.search(condition):
        return frame.columns
    text = condition.casefold()
    return [name for name in frame.columns if name.casefold() in text or '"' in name]


def _explained(error: ConfinedError, frame: pl.DataFrame, condition: str, where: str) -> UserError:
    if not condition.strip():
        return InvalidInputError("the condition is empty", where=where, fix="Leave it out, or write one.")
    unknown = _UNKNOWN_COLUMN.search(error.message)
    if unknown:
        return UserError.unknown("column", unknown[1], frame.columns, where=where)
    reason = error.line
    fix = "Write one SQL condition, as: response_tokens > 4096 and language = 'de'."
    if error.kind in ("Refused", "PermissionException"):
        fix = "A condition can read the columns of the rows and nothing else."
    elif error.kind in (TOO_SLOW, NO_MEMORY, "OutOfMemoryException"):
        fix = "Write a simpler condition, without sub-queries over pairs of rows and without long lists."
    elif error.kind in ("ConversionException", "OutOfRangeException"):
        fix = "Guard it with try_cast or a condition that comes first in a case."
    elif _ROW in error.message:  # DuckDB asks to group by it
        reason, fix = (
            "it aggregates rows",
            "Write a sub-query, as: (select avg(response_tokens) from instances).",
        )
    return InvalidInputError(f"{condition!r} cannot be evaluated: {reason}", where=where, fix=fix)
