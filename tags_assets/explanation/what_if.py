"""What would change with other settings of a target, computed from stored artifacts; nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tags_assets.errors import printable
from tags_assets.explanation.knobs import turned
from tags_assets.explanation.lineage import Lineage
from tags_assets.explanation.terminal_text import short, styled
from tags_assets.selection.inputs import SelectionInputs
from tags_assets.selection.tables import CODE_VERSION, Selected, select_target
from tags_assets.settings.target_file import DEFAULT_BUDGET, NOT_ASKED, BudgetField
from tags_assets.store.upstream import Inputs, figures_of
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.text import Text

    from tags_assets.settings.target_file import TargetSpec
    from tags_assets.store.artifacts import ArtifactStore

_FIGURES = (
    ("KL to the target", "kl", ".3f"),
    ("  lower bound", "kl_floor", ".3f"),
    ("KL, reversed", "kl_reverse", ".3f"),
    ("certificate", "certificate", ".4f"),
    ("mean quality", "mean_quality", ".3f"),
    ("tokens", "tokens_selected", ",d"),
    ("Faith's PD", "faith_pd_selection", ",.1f"),
    ("Rao's entropy", "rao_selection", ".3f"),
)
"""Label, name among the figures, format."""


@dataclass(frozen=True, eq=False)
class WhatIf:
    """A hypothetical selection compared with the current one.

    Attributes
    ----------
    target
        The target's name.
    turned
        Knob to (value now, value tried), for the knobs that differ.
    now
        Figures of the current selection.
    selected
        What would be selected instead, with its figures.
    kept
        Rows in both: ``rank_now, rank, instance_id, id, source, gain, quality``, by rank.
    dropped, added
        Rows of the current selection alone, and of the other alone, likewise.
    sources
        ``source, pool, now, then``: shares of the rows to choose from, of the current selection and of the
        other, by the larger of the last two.
    concepts
        ``node_id, path, level, now, then, change``: every node's share of the selections, by falling change.
    is_older
        Whether the current selection was made by older code, so that part of the difference is the code's.
    levels
        ``level, nodes, covered_now, covered_then, effective_now, effective_then``: diversity, leaves last.
    """

    target: str
    turned: Mapping[str, tuple[object, object]]
    now: Mapping[str, Any]
    selected: Selected
    kept: pl.DataFrame
    dropped: pl.DataFrame
    added: pl.DataFrame
    sources: pl.DataFrame
    concepts: pl.DataFrame
    levels: pl.DataFrame
    is_older: bool = False

    @property
    def then(self) -> Mapping[str, Any]:
        """Figures of what would be selected."""
        return self.selected.figures

    def to_text(self, *, most: int = 6) -> str:
        """Write it for a terminal: plain text without control characters, `most` lines to a list."""
        return printable("\n".join(_lines(self, most)))

    def __str__(self) -> str:
        return self.to_text()

    def __rich__(self) -> Text:
        return styled(self.to_text())


def what_if(store: ArtifactStore, target: str, changes: Mapping[str, object]) -> WhatIf:
    """Make the current selection again from the same data with knobs turned; nothing is stored.

    Parameters
    ----------
    store
        The store of artifacts.
    target
        Name of a target that has a selection.
    changes
        See `tags_assets.explanation.knobs.turned`.

    Raises
    ------
    UserError
        For a target without a selection, a knob that does not exist, and what cannot be met.
    """
    lineage = Lineage.of(store, target)
    made = lineage.selection
    spec = turned(made.config, changes, target=target)
    inputs = Inputs(store, lineage.versions, lambda _done, _total: None, base=lineage.selection)
    problem = SelectionInputs.read(inputs, spec)
    selected = select_target(problem, target)
    before = inputs.read("selected_subset")
    ranks = before.select("instance_id", pl.col("rank").alias("rank_now"))
    columns = ("instance_id", "id", "source", "gain", "quality")
    return WhatIf(
        target=target,
        turned=_differences(made.config, spec),
        now=figures_of(made),
        selected=selected,
        kept=selected.rows.join(ranks, on="instance_id", maintain_order="left").select(
            "rank_now", "rank", *columns
        ),
        dropped=before.join(selected.rows, on="instance_id", how="anti", maintain_order="left").select(
            "rank", *columns
        ),
        added=selected.rows.join(before, on="instance_id", how="anti", maintain_order="left").select(
            "rank", *columns
        ),
        sources=_sources(problem.rows, before, selected.rows),
        concepts=_concepts(problem, inputs.read("selected_subset", "nodes"), selected.nodes),
        is_older=made.code_version != CODE_VERSION,
        levels=_levels(inputs.read("selected_subset", "diversity"), selected.diversity),
    )


def select_again(store: ArtifactStore, target: str, changes: Mapping[str, object]) -> Selected:
    """Make the selection of `what_if`, without comparing it."""
    lineage = Lineage.of(store, target)
    inputs = Inputs(store, lineage.versions, lambda _done, _total: None, base=lineage.selection)
    spec = turned(lineage.selection.config, changes, target=target)
    return select_target(SelectionInputs.read(inputs, spec), target)


def _differences(config: Mapping[str, Any], spec: TargetSpec) -> dict[str, tuple[object, object]]:
    before = _flat(config)
    after = _flat(spec.model_dump(mode="json", exclude=NOT_ASKED))
    pairs = {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})}
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _flat(config: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """Name every knob of a configuration by its path; a budget is one knob, not one of three."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key == "budget":
            budget = DEFAULT_BUDGET if value is None else BudgetField.model_validate(value).to_budget()
            flat[key] = str(budget).removesuffix(" of the eligible rows")
        elif isinstance(value, dict):
            flat |= _flat(value, f"{under}{key}.")
        elif value is not None and value != []:
            flat[f"{under}{key}".removeprefix("constraints.")] = value
    return flat


def _sources(rows: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    def shares(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        return frame.group_by("source").agg((pl.len() / max(frame.height, 1)).alias(name))

    return (
        shares(rows, "pool")
        .join(shares(before, "now"), on="source", how="left")
        .join(shares(after, "then"), on="source", how="left")
        .with_columns(pl.col("now", "then").fill_null(0.0))
        .sort([pl.max_horizontal("now", "then"), "source"], descending=[True, False])
    )


def _concepts(problem: SelectionInputs, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    tree = problem.tree
    share = pl.col("selection_mass") / pl.col("selection_mass").max()
    return (
        pl.DataFrame({"node_id": tree.node_ids, "path": tree.paths, "level": tree.level})
        .join(before.select("node_id", share.alias("now")), on="node_id")
        .join(after.select("node_id", share.alias("then")), on="node_id")
        .with_columns(change=pl.col("then") - pl.col("now"))
        .sort([pl.col("change").abs().round(9), "level", "node_id"], descending=[True, True, False])
    )


def _levels(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    def named(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        return frame.select(
            "level",
            "nodes",
            pl.col("covered_selection").alias(f"covered_{name}"),
            pl.col("effective_selection").alias(f"effective_{name}"),
        )

    joined = named(before, "now").join(named(after, "then").drop("nodes"), on="level")
    return joined.sort("level", descending=True)


def _lines(one: WhatIf, most: int) -> Iterator[str]:
    knobs = ", ".join(f"{name} {_value(a)} -> {_value(b)}" for name, (a, b) in one.turned.items())
    yield f"{one.target}, what if {knobs or 'nothing changed'}? (Nothing was stored.)"
    yield ""
    n_now, n_then = one.now["rows_selected"], one.then["rows_selected"]
    yield (
        f"  {counted(n_now, 'row')} now, {n_then:,} then: {one.kept.height:,} kept, "
        f"{one.dropped.height:,} dropped, {one.added.height:,} added"
    )
    yield ""
    yield f"{'Figures':<24}{'now':>12}{'then':>12}"
    for label, name, form in _FIGURES:
        now, then = one.now.get(name), one.then.get(name)
        if now is not None and then is not None:
            yield f"  {label:<22}{format(now, form):>12}{format(then, form):>12}"
    leaves = one.levels.row(one.levels.height - 1, named=True)
    yield f"  {'concepts touched':<22}{leaves['covered_now']:>12,}{leaves['covered_then']:>12,}"
    yield f"  {'effective concepts':<22}{leaves['effective_now']:>12,.0f}{leaves['effective_then']:>12,.0f}"
    yield from (f"  note: {message}" for message in one.then["messages"])
    if one.is_older:
        yield "  note: Older code made the current selection, which may explain part of this. Select again."
    yield ""
    yield f"{'Share by source':<24}{'pool':>12}{'now':>12}{'then':>12}"
    for row in one.sources.head(most).iter_rows(named=True):
        yield (
            f"  {short(row['source'] or '(none)', 21):<22}"
            f"{row['pool']:>12.1%}{row['now']:>12.1%}{row['then']:>12.1%}"
        )
    yield from _moved(one, most)


def _moved(one: WhatIf, most: int) -> Iterator[str]:
    """Tell which concepts and rows come and go."""
    for heading, some in (
        ("Concepts that grow most", one.concepts.filter(pl.col("change") >= 0.0005)),
        ("Concepts that shrink most", one.concepts.filter(pl.col("change") <= -0.0005)),
    ):
        apart = _apart(some, most)
        if apart:
            yield ""
            yield f"{heading} (share of the selection)"
        for row in apart:
            yield f"  {row['now']:>6.1%} to {row['then']:>6.1%}  {row['path']}"
    for heading, rows in (("First rows dropped", one.dropped), ("First rows added", one.added)):
        if not rows.is_empty():
            yield ""
            yield heading
            for row in rows.head(3).iter_rows(named=True):
                yield f"  {row['rank']:>6,}  {row['id'] or row['instance_id']}  ({row['source']})"


def _apart(concepts: pl.DataFrame, most: int) -> list[dict[str, Any]]:
    """Take the concepts that moved most, none below or above another."""
    taken: list[dict[str, Any]] = []
    for row in concepts.filter(pl.col("path").str.contains(" > ", literal=True)).iter_rows(named=True):
        below = [f"{other['path']} > " for other in taken]
        if not any(row["path"].startswith(path) for path in below) and not any(
            path.startswith(f"{row['path']} > ") for path in below
        ):
            taken.append(row)
        if len(taken) == most:
            break
    return taken


def _value(value: object) -> str:
    return "none" if value is None else short(str(value), 60)
