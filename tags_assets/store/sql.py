"""SQL that lives in files, loaded by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tags_assets.errors import InvalidInputError, UserError

_NAME = re.compile(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*")


@cache
def sql_folder() -> Path:
    """Return the folder of the SQL files: inside the package where it was installed, else the checkout's."""
    package = Path(__file__).resolve().parents[1]
    return next(
        (folder for folder in (package / "sql", package.parent / "sql") if folder.is_dir()), package / "sql"
    )


def query_error(error: Exception) -> UserError:
    """Say in one line why a query of the user's failed, without the excerpt that DuckDB draws below it."""
    reason = re.split(r"\n\s*LINE \d+:", str(error))[0]
    return InvalidInputError(
        f"the query failed: {reason}", fix="`tags-assets describe` lists the tables and views."
    )


@cache
def load_sql(name: str) -> str:
    """Return the text of ``sql/<name>.sql``.

    Raises
    ------
    ValueError
        If `name` is not lower-case words with slashes between.
    FileNotFoundError
        If there is no such file.
    """
    if not is_sql_name(name):
        raise ValueError(f"not the name of an SQL file: {name!r}")
    return (sql_folder() / f"{name}.sql").read_text(encoding="utf-8")


def is_sql_name(text: str) -> bool:
    """Whether `text` could name an SQL file (no SQL statement of any use could)."""
    return _NAME.fullmatch(text) is not None


def sql_names(folder: str) -> list[str]:
    """Names of the files in a folder of the SQL tree, sorted."""
    if not is_sql_name(folder):
        raise ValueError(f"not the name of an SQL folder: {folder!r}")
    return sorted(f"{folder}/{path.stem}" for path in (sql_folder() / folder).glob("*.sql"))
