"""What a benchmark found, as a small JSON file in ``benchmarks/results/``: the page is made of them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    columns
        Header to digits after the point; None where the cells are texts.
    rows
        Cells: a number, a text, None (empty), or ``[mean, half-width of the 95% interval]``.
    best
        Header to "max" or "min": the best of that column is set in bold.
    """

    columns: dict[str, int | None]
    rows: list[list[Any]]
    best: dict[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        assert all(len(row) == len(self.columns) for row in self.rows)
        assert set(self.best) <= set(self.columns)
        return {"columns": list(map(list, self.columns.items())), "best": self.best, "rows": self.rows}


def save(
    name: str,
    tables: dict[str, Table],
    figures: dict[str, Any] | None = None,
    cpu_seconds: float | None = None,
) -> Path:
    """Write ``results/NAME.json``, with the day, the cores, the code's commit and the CPU seconds so far.

    Parameters
    ----------
    figures
        Single values that the page's sentences name, or what a plot needs beside the tables.
    cpu_seconds
        Where parts were kept from a run before: the seconds of all.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    content = {
        "name": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": code(),
        "cpu_seconds": round(cpu_seconds or sum(one.ru_utime + one.ru_stime for one in used)),
        "figures": figures or {},
        "tables": {title: table.plain() for title, table in tables.items()},
    }
    return write(content)


def write(content: dict[str, Any]) -> Path:
    """Write a result one row of a table a line, so that a change can be read."""
    rows: dict[str, str] = {}

    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: marked(part) for key, part in value.items()}
        if isinstance(value, list) and value and isinstance(value[0], list):
            return [marked(part) if part and isinstance(part[0], list) else line(part) for part in value]
        return line(value) if isinstance(value, list) else rounded(value)

    def line(value: list[Any]) -> str:
        mark = f"@row {len(rows)}@"
        rows[f'"{mark}"'] = json.dumps([rounded(part) for part in value], ensure_ascii=False)
        return mark

    text = json.dumps(marked(content), indent=1, ensure_ascii=False)
    for mark, row in rows.items():
        text = text.replace(mark, row, 1)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{content['name']}.json"
    path.write_text(text + "\n", encoding="utf-8")
    return path


def rounded(value: Any) -> Any:
    """Give a number its first six digits: more are noise, and make the file unreadable."""
    if isinstance(value, list):
        return [rounded(part) for part in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{value:.6g}") if isinstance(value, float | np.floating) else value


def interval(values: Any) -> list[float]:
    """Give the mean of one value a seed, and the half-width of its 95% interval (Student's t)."""
    from scipy.stats import t as student  # noqa: PLC0415 - scipy.stats takes a second to import

    values = np.asarray(values, dtype=float)
    assert len(values) > 1, "an interval needs two seeds"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [float(values.mean()), float(half)]


def code() -> str:
    """Name the commit of the code that was measured: the last one that touched the package."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], check=False, capture_output=True, text=True
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", "tags_assets")
    return (git("log", "-1", "--format=%h", "--", "tags_assets") or "unknown") + (
        " and changes" if changed else ""
    )
