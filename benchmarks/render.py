"""Writes docs/benchmarks.md and its plots from ``results/*.json`` and the prose in ``page.md.jinja``.

    python benchmarks/render.py

A plot is drawn by plotly.js in a Chromium, where what it shows has changed. ``README.md`` beside this file
says how to add a benchmark; a test fails where the page or a plot is not what the results make.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jinja2

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from plots import PLOTS  # noqa: E402 - this folder comes first on the path
from results import RESULTS, ROOT  # noqa: E402
from run import BENCHMARKS  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images" / "benchmarks"
TEMPLATE = ROOT / "benchmarks" / "page.md.jinja"
MADE = (
    "<!-- Made by `python benchmarks/render.py` from benchmarks/results/ and benchmarks/page.md.jinja: "
    "edit those, not this page. -->\n\n"
)
Result = dict[str, Any]


class Page:
    """What the template may call."""

    def __init__(self, results: dict[str, Result]) -> None:
        self.results = results

    def has(self, name: str, title: str | None = None) -> bool:
        return name in self.results and (title is None or title in self.results[name]["tables"])

    def table(self, name: str, title: str, leave: tuple[str, ...] = ()) -> str:
        """Set a table, without the columns in `leave`; one line where it was not measured."""
        if title not in self.results.get(name, {}).get("tables", {}):
            return self.absent(name)
        found = self.results[name]["tables"][title]
        kept = [at for at, (header, _) in enumerate(found["columns"]) if header not in leave]
        best = self._best(found)
        lines = [
            "| " + " | ".join(found["columns"][at][0] for at in kept) + " |",
            "|---" * len(kept) + "|",
        ]
        for place, row in enumerate(found["rows"]):
            cells = []
            for at in kept:
                text = shown(row[at], found["columns"][at][1])
                cells.append(f"**{text}**" if (place, at) in best else text)
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

    @staticmethod
    def _best(table: Result) -> set[tuple[int, int]]:
        """Places of the cells in bold: all that are shown as the best one is."""
        best = set()
        for at, (header, digits) in enumerate(table["columns"]):
            if header not in table["best"]:
                continue
            means = {
                place: round(mean_of(row[at]), digits)
                for place, row in enumerate(table["rows"])
                if row[at] is not None
            }
            top = (max if table["best"][header] == "max" else min)(means.values())
            best |= {(place, at) for place, mean in means.items() if mean == top}
        return best

    def cell(self, name: str, title: str, row: str | tuple, column: str, digits: int | None = None) -> str:
        """Set the cell of the row that starts with `row`, one cell or several; without its interval."""
        if name not in self.results:
            return "(not measured)"
        table = self.results[name]["tables"][title]
        at, (_, own) = next(
            (at, column_) for at, column_ in enumerate(table["columns"]) if column_[0] == column
        )
        start = [row] if isinstance(row, str) else list(row)
        value = next(line[at] for line in table["rows"] if line[: len(start)] == start)
        return shown(mean_of(value), own if digits is None else digits)

    def value(self, name: str, figure: str, digits: int | None = None) -> str:
        """Set one of a result's single figures."""
        return shown(self.results[name]["figures"][figure], digits) if self.has(name) else "(not measured)"

    def about(self, name: str) -> str:
        """Say when and on what a result was measured."""
        if name not in self.results:
            return ""
        found = self.results[name]
        parts = [
            found["date"],
            f"{found['cores']} core{'s' if found['cores'] != 1 else ''}",
            f"code {found['commit']}",
        ]
        if found.get("cpu_seconds"):
            parts.append(f"{found['cpu_seconds']:,} s of CPU")
        return f"*Measured {', '.join(parts)}.*"

    def plot(self, name: str) -> str:
        plot = PLOTS[name]
        if plot.needs not in self.results:
            return ""
        return f"![{plot.alt}](images/benchmarks/{name}.svg)"

    def benchmarks(self) -> str:
        """List every benchmark with what it asks."""
        lines = ["| benchmark | measures |", "|---|---|"]
        lines += [f"| `{one.arguments[0]}` | {one.asks} |" for one in BENCHMARKS.values()]
        return "\n".join(lines)

    def absent(self, name: str) -> str:
        return f"*Not measured yet: `python {' '.join(BENCHMARKS[name].arguments)}`.*".replace(
            "{home}", "HOME"
        )

    def not_measured(self) -> str:
        """List the benchmarks that have no result."""
        missing = [name for name in BENCHMARKS if name not in self.results]
        return "\n".join(f"- {BENCHMARKS[name].asks}: {self.absent(name)}" for name in missing)


def mean_of(cell: Any) -> Any:
    return cell[0] if isinstance(cell, list) else cell


def shown(cell: Any, digits: int | None) -> str:
    """Write a cell: an empty one, a text, a number, or a mean with its interval."""
    if cell is None:
        return ""
    if isinstance(cell, list):
        return " ± ".join(shown(part, digits) for part in cell)
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if digits is None else f"{cell:,.{digits}f}"


def read_results(folder: Path = RESULTS) -> dict[str, Result]:
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    }
    strange = sorted(set(found) - set(BENCHMARKS))
    assert not strange, f"{', '.join(strange)}: no such benchmark in run.py"
    return found


def page(results: dict[str, Result]) -> str:
    """Make the page's text."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown of our own
    )
    names = Page(results)
    said = {name: getattr(names, name) for name in dir(names) if not name.startswith("_")}
    return MADE + environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(said).strip() + "\n"


def figures(results: dict[str, Result]) -> dict[str, dict[str, Any]]:
    """Every plot that there is a result for, as plotly.js takes it."""
    return {name: plot.draw(results[plot.needs]) for name, plot in PLOTS.items() if plot.needs in results}


def mark(figure: dict[str, Any]) -> str:
    """Say what an SVG was drawn from, as its last line does."""
    drawn = json.dumps(figure, sort_keys=True).encode()
    return f"<!-- drawn from {hashlib.sha256(drawn).hexdigest()[:16]} -->"


def is_drawn(path: Path, figure: dict[str, Any]) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8").rstrip().endswith(mark(figure))


def draw(wanted: dict[str, dict[str, Any]]) -> None:
    """Draw figures as SVG files, by plotly.js in a Chromium without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the page alone needs no browser
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    from tags_assets_tests.browsing import ARGUMENTS  # noqa: PLC0415
    from tags_assets_tests.requirements_of_tests import find_chromium  # noqa: PLC0415

    chromium = find_chromium()
    if chromium is None:
        sys.exit(
            f"{', '.join(wanted)}: to draw these plots put Chromium on the PATH, or name it with CHROMIUM="
        )
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        tab = browser.new_page()
        tab.set_content("<html><body></body></html>")
        tab.add_script_tag(content=get_plotlyjs())
        for name, figure in wanted.items():
            uri = tab.evaluate(
                "([data, size]) => Plotly.toImage(data, {format: 'svg', width: size[0], height: size[1]})",
                [figure, [figure["layout"]["width"], figure["layout"]["height"]]],
            )
            head, body = uri.split(",", 1)
            svg = base64.b64decode(body).decode() if head.endswith(";base64") else unquote(body)
            (IMAGES / f"{name}.svg").write_text(f"{svg}\n{mark(figure)}\n", encoding="utf-8")
        browser.close()


def main() -> None:
    results = read_results()
    wanted = figures(results)
    PAGE.write_text(page(results), encoding="utf-8")
    stale = {name: figure for name, figure in wanted.items() if not is_drawn(IMAGES / f"{name}.svg", figure)}
    if stale:
        draw(stale)
    for path in IMAGES.glob("*.svg"):
        if path.stem not in wanted:
            path.unlink()
    print(f"{PAGE.relative_to(ROOT)}: {len(results)} results, {len(wanted)} plots, {len(stale)} drawn anew")


if __name__ == "__main__":
    main()
