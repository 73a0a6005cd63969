"""Users' SQL conditions on rows, evaluated where they can reach nothing but those rows."""

from __future__ import annotations

import re
from contextlib import closing

import duckdb
import polars as pl

from tags_assets.errors import UserError
from tags_assets.store.artifact_file import storable

# No files, no network, no extensions, no Python variables; and none of it can be switched back on.
_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    # The order of rows, and the numbers that random() gives them, do not depend on the machine.
    "threads": "1",
    "lock_configuration": "true",
}
_ROW = "__row"
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
        anything else (files, settings), or fails on a row.
    """
    with closing(duckdb.connect(":memory:", config=_CLOSED)) as connection:
        connection.execute("select setseed(0.0)").fetchall()
        connection.register("instances", storable(frame, "instances").with_row_index(_ROW))
        try:
            keep = duckdb.SQLExpression(condition).alias("keep")
            rows: pl.DataFrame = (
                connection.table("instances").select(duckdb.ColumnExpression(_ROW), keep).pl()
            )
        except duckdb.Error as error:
            raise _explained(error, frame, condition, where) from error
    if rows.width != 2 or rows.schema["keep"] not in (pl.Boolean, pl.Null):
        kinds = ", ".join(str(dtype) for name, dtype in rows.schema.items() if name != _ROW)
        raise UserError(
            f"{condition!r} is not true or false but {kinds}", where=where, mend="Compare it with something."
        )
    if rows.height != frame.height:
        problem = f"{condition!r} gives {rows.height} values for {frame.height} rows"
        raise UserError(problem, where=where, mend="Write a condition on one row.")
    return rows.sort(_ROW)["keep"].cast(pl.Boolean).fill_null(value=False)


def _explained(error: duckdb.Error, frame: pl.DataFrame, condition: str, where: str) -> UserError:
    text = str(error)
    if not condition.strip():
        return UserError("the condition is empty", where=where, mend="Leave it out, or write one.")
    unknown = _UNKNOWN_COLUMN.search(text)
    if unknown:
        return UserError.unknown("column", unknown[1], frame.columns, where=where)
    reason = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    mend = "Write one SQL condition, as: response_tokens > 4096 and language = 'de'."
    if isinstance(error, duckdb.PermissionException):
        mend = "A condition can read the columns of the rows and nothing else."
    elif isinstance(error, (duckdb.ConversionException, duckdb.OutOfRangeException)):
        mend = "Guard it with try_cast or a condition that comes first in a case."
    elif _ROW in text:  # DuckDB asks to group by it
        reason, mend = (
            "it sums rows up",
            "Write a sub-query, as: (select avg(response_tokens) from instances).",
        )
    return UserError(f"{condition!r} cannot be evaluated: {reason}", where=where, mend=mend)
