"""Gathers what a report shows from the versions that one selection was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tags_assets.assets.participating import participating_rows
from tags_assets.formats.conversation import texts
from tags_assets.method.selection.attribution import WHOLE_TEXT
from tags_assets.report.content import (
    DIVERSITY_SCHEMA,
    DRIVER_SCHEMA,
    MASS_SCHEMA,
    NEARLY_SCHEMA,
    POOL_SCHEMA,
    ROW_SCHEMA,
    ROWS_SHOWN,
    SATURATION_SCHEMA,
    SHORTAGE_SCHEMA,
    Changes,
    ReportInput,
)
from tags_assets.selection.data_changes import data_changes
from tags_assets.selection.inferred import shows_inferred
from tags_assets.selection.notes import notes_of
from tags_assets.store.upstream import GROWN_FROM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.assets.versioned import Inputs
    from tags_assets.settings.target_file import TargetSpec
    from tags_assets.store.versions import ArtifactVersion

SNIPPET_CHARS = 600
"""Characters of a prompt or response that the report holds."""

TOP_DRIVERS = 20
EXAMPLES_PER_DRIVER = 3
SHARED_TAGS = 3
TAGS_SHOWN = 8


def report_input(inputs: Inputs, spec: TargetSpec) -> ReportInput:
    """Gather what the report of a selection shows."""
    selected = inputs.read("selected_subset")
    nodes = inputs.read("selected_subset", "nodes")
    tree = inputs.read("knowledge_tree").drop("vector")
    figures = dict(inputs.figures("selected_subset"))
    raw = inputs.figures("raw_instances")
    figures |= {name: raw[name] for name in ("rows_in", "rows_kept", "rows_rejected", "rows_duplicate")}
    figures["rows_filtered"] = inputs.figures("filtered_rows")["rows_filtered"]
    figures["rows_untagged"] = inputs.figures("instance_tags")["rows_untagged"]
    figures["rows_eligible"] = figures["n_eligible"]
    with_inferred = shows_inferred(inputs.figures("instance_tags")["rows"])
    runners = _with_nearest(
        inputs, inputs.read("selected_subset", "runners_up"), selected, with_inferred=with_inferred
    )
    shown = selected.head(ROWS_SHOWN)["instance_id"].to_list()
    drivers = inputs.query(
        "assets/drivers",
        ["selection_attribution", "instance_tags", "knowledge_tree", "selected_subset"],
        top=TOP_DRIVERS,
        examples=EXAMPLES_PER_DRIVER,
        inferred=with_inferred,
    )
    carried = drivers["examples"].explode().drop_nulls()
    beaten_by = runners["beaten_by"].drop_nulls()
    snippets = _snippets(inputs, {*shown, *carried, *runners["instance_id"], *beaten_by})
    frontier = inputs.read("selected_subset", "frontier", columns=["rows", "value"])
    leaves = tree.filter(pl.col("level") == 0).select("node_id")
    scored = participating_rows(inputs, ["source", "language", "prompt_tokens", "response_tokens"]).join(
        inputs.read("instance_scores", columns=["instance_id", "quality"]), on="instance_id"
    )
    return ReportInput(
        target=spec.name,
        nodes=tree,
        masses=_fit(
            nodes.join(leaves, on="node_id", how="semi").rename(
                {"pool_mass": "pool", "selection_mass": "selection", "target_share": "target"}
            ),
            MASS_SCHEMA,
        ),
        figures={name: value for name, value in figures.items() if name not in ("messages", "notes")},
        request=_request(spec),
        pool=_fit(
            scored.with_columns(selected=pl.col("instance_id").is_in(selected["instance_id"].to_list())),
            POOL_SCHEMA,
        ),
        rows=_rows(inputs, selected.head(ROWS_SHOWN), snippets, with_inferred=with_inferred),
        drivers=_drivers(drivers, snippets, tree),
        gain_curve=pl.concat([frontier, inputs.read("selected_subset", "beyond", columns=["rows", "value"])]),
        shortages=_fit(inputs.read("selected_subset", "shortages"), SHORTAGE_SCHEMA),
        nearly=_nearly(inputs, runners, snippets),
        diversity=_fit(inputs.read("selected_subset", "diversity"), DIVERSITY_SCHEMA),
        saturation=_fit(
            nodes.rename({"quality_mass": "mass"}).join(
                tree.select("node_id", "level"), on="node_id", how="left"
            ),
            SATURATION_SCHEMA,
        ),
        inferred_shown=with_inferred,
        changes=_changes(inputs, selected, spec.name),
        messages=notes_of(figures, inputs.figures("target_distribution")),
        made=f"{inputs.versions['selected_subset'].created_at:%Y-%m-%d %H:%M} UTC",
        version=inputs.versions["selected_subset"].data_version,
    )


def _fit(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _snippets(inputs: Inputs, ids: set[str]) -> pl.DataFrame:
    """Read the beginnings of the texts of a few rows: ``instance_id, prompt, response``."""
    found = [
        pl.DataFrame(schema={"instance_id": pl.String(), "prompt": pl.String(), "response": pl.String()})
    ]
    for batch in inputs.store.read_batches(
        inputs.versions["raw_instances"], columns=["instance_id", "messages"]
    ):
        some = batch.filter(pl.col("instance_id").is_in(list(ids)))
        if len(some):
            found.append(
                texts(some).select(
                    "instance_id",
                    pl.col("prompt").str.slice(0, SNIPPET_CHARS),
                    pl.col("response").str.slice(0, SNIPPET_CHARS),
                )
            )
    return pl.concat(found)


def _rows(
    inputs: Inputs, selected: pl.DataFrame, snippets: pl.DataFrame, *, with_inferred: bool
) -> pl.DataFrame:
    tags = (
        _tags(inputs, with_inferred=with_inferred)
        .join(selected.select("instance_id"), on="instance_id", how="semi")
        .sort("weight", "tag", descending=[True, False])
        .group_by("instance_id")
        .agg(
            tags=pl.col("tag").filter(~pl.col("inferred")).head(TAGS_SHOWN),
            inferred_tags=pl.col("tag").filter("inferred").head(TAGS_SHOWN),
        )
    )
    rows = selected.join(snippets, on="instance_id", how="left").join(tags, on="instance_id", how="left")
    return _fit(rows.sort("rank"), ROW_SCHEMA)


def _tags(inputs: Inputs, *, with_inferred: bool) -> pl.DataFrame:
    """Read ``instance_id, tag, weight, inferred``, without the inferred ones where they say little."""
    tags = inputs.read("instance_tags").select(
        "instance_id", "tag", "weight", inferred=(pl.col("origin") == "assigned").fill_null(value=False)
    )
    return tags if with_inferred else tags.filter(~pl.col("inferred"))


def _drivers(found: pl.DataFrame, snippets: pl.DataFrame, tree: pl.DataFrame) -> pl.DataFrame:
    """Name the concepts and the tags that gave most of the gain, with the rows that they gave most to."""
    at_root = pl.col("parent_id").is_null()
    names = tree.select("node_id", path=pl.when(at_root).then(pl.lit(WHOLE_TEXT)).otherwise("path"))
    ids = found.select("kind", "key", "examples").explode("examples")
    texts_of = (
        ids.join(snippets, left_on="examples", right_on="instance_id", how="inner", maintain_order="left")
        .group_by("kind", "key", maintain_order=True)
        .agg(pl.col("prompt").alias("texts"))
    )
    named = (
        found.drop("examples")
        .join(names, left_on="key", right_on="node_id", how="left")
        .join(texts_of, on=["kind", "key"], how="left")
        .with_columns(name=pl.coalesce("path", "key"), examples=pl.col("texts").fill_null([]))
    )
    return _fit(named.sort("kind", "share", "key", descending=[False, True, False]), DRIVER_SCHEMA)


def _nearly(inputs: Inputs, runners: pl.DataFrame, snippets: pl.DataFrame) -> pl.DataFrame:
    facts = participating_rows(inputs, ["id", "source"]).join(
        inputs.read("instance_scores", columns=["instance_id", "quality"]), on="instance_id"
    )
    beaten = snippets.select(pl.col("instance_id").alias("beaten_by"), pl.col("prompt").alias("winner"))
    rows = (
        runners.join(facts, on="instance_id", how="left", maintain_order="left")
        .join(snippets, on="instance_id", how="left", maintain_order="left")
        .join(beaten, on="beaten_by", how="left", maintain_order="left")
        .join(
            inputs.read("selected_subset", columns=["instance_id", "rank"]).rename({"rank": "winner_rank"}),
            left_on="beaten_by",
            right_on="instance_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(beaten_by=pl.col("winner"))
    )
    return _fit(rows, NEARLY_SCHEMA)


def _with_nearest(
    inputs: Inputs, runners: pl.DataFrame, selected: pl.DataFrame, *, with_inferred: bool
) -> pl.DataFrame:
    """Name for each row the pick that shares most of its tags: ``beaten_by, overlap, shared``.

    What took most of its gain is often one of the first picks, which take most from every row; a reader wants
    the one that says the same. Where no pick shares a tag, that one stands.
    """
    tags = _tags(inputs, with_inferred=with_inferred)
    own = tags.join(runners.select("instance_id"), on="instance_id", how="semi")
    theirs = (
        tags.join(own.select("tag").unique(), on="tag", how="semi")
        .join(selected.select("instance_id", "rank"), on="instance_id")
        .rename({"instance_id": "pick", "weight": "pick_weight"})
    )
    nearest = (
        own.join(theirs, on="tag")
        .with_columns(
            both=pl.min_horizontal("weight", "pick_weight"),
            tag=pl.when(pl.any_horizontal("inferred", "inferred_right"))
            .then(pl.col("tag") + " (inferred)")
            .otherwise("tag"),
        )
        .sort("both", "tag", descending=[True, False])
        .group_by("instance_id", "pick", "rank", maintain_order=True)
        .agg(overlap=pl.col("both").sum(), shared=pl.col("tag").head(SHARED_TAGS))
        .sort(pl.col("overlap").round(9), "rank", descending=[True, False])
        .unique("instance_id", keep="first", maintain_order=True)
        .drop("rank")
    )
    return runners.join(nearest, on="instance_id", how="left", maintain_order="left").with_columns(
        beaten_by=pl.coalesce("pick", "beaten_by")
    )


def _request(spec: TargetSpec) -> dict[str, object]:
    wish = spec.target
    asked: dict[str, object] = {
        "budget": str(spec.method_budget),
        "target": {
            "examples": f"the examples in {wish.examples}",
            "description": f"“{wish.description}”",
            "weights": "; ".join(f"{weight:g} on {node}" for node, weight in (wish.weights or {}).items()),
            "pool": "the pool itself",
        }[wish.kind],
    }
    asked["alignment"] = str(spec.alignment)
    if wish.kind != "pool":  # where they say nothing
        asked |= {"breadth": spec.breadth, "text share": spec.text_share}
    limits = spec.constraints
    return asked | {
        "minimum quality": spec.min_quality or None,
        "at most": _shares_told(limits.max_share),
        "at least": _shares_told(limits.min_share),
        "always in": f"{len(limits.include):,} rows by their ids" if limits.include else None,
        "never in": f"rows where {limits.exclude.where}" if limits.exclude else None,
        "seed": spec.seed,
    }


def _shares_told(shares: Mapping[str, Mapping[str, float]]) -> str | None:
    """Write caps or floors as a person reads them: "30% of source alpaca"."""
    told = [
        f"{100 * share:.4g}% of {attribute} {value}"
        for attribute, of in shares.items()
        for value, share in of.items()
    ]
    return "; ".join(told) or None


def _changes(inputs: Inputs, selected: pl.DataFrame, target: str) -> Changes | None:
    """Compare with the selection before, if there was one."""
    store, now = inputs.store, inputs.versions["selected_subset"]
    last = _selection_before(inputs, target)
    if last is None:
        return None
    with store.using([last]):
        return _compared(inputs, selected, last, now)


def _selection_before(inputs: Inputs, target: str) -> ArtifactVersion | None:
    """Find the selection of the newest report before that shows another one; None if it is gone."""
    store, now = inputs.store, inputs.versions["selected_subset"].data_version
    report = inputs.base
    while report is not None and report.upstream.get("selected_subset") == now:
        report = store.find("selection_report", str(report.config.get(GROWN_FROM)), target)
    return (
        None if report is None else store.find("selected_subset", report.upstream["selected_subset"], target)
    )


def _compared(inputs: Inputs, selected: pl.DataFrame, last: ArtifactVersion, now: ArtifactVersion) -> Changes:
    store = inputs.store
    rows = store.read_version(last, columns=["instance_id", "id", "source"])
    kept = rows.join(selected, on="instance_id", how="semi")
    dropped = rows.join(selected, on="instance_id", how="anti")
    added = selected.join(rows, on="instance_id", how="anti")
    some = _snippets(inputs, {*dropped["instance_id"].head(10), *added["instance_id"].head(10)})
    return Changes(
        previous=f"{last.created_at:%Y-%m-%d %H:%M} UTC",
        kept=len(kept),
        dropped=len(dropped),
        added=len(added),
        shares=_shares(inputs, last),
        dropped_rows=_told(dropped, some),
        added_rows=_told(added, some),
        reasons=_reasons(inputs, last, now),
    )


def _told(rows: pl.DataFrame, snippets: pl.DataFrame) -> pl.DataFrame:
    return rows.head(10).join(snippets, on="instance_id", how="left").select("id", "source", "prompt")


def _shares(inputs: Inputs, last: ArtifactVersion) -> pl.DataFrame:
    columns = ["node_id", "selection_mass"]
    before = inputs.store.read_version(last, "nodes", columns=columns)
    after = inputs.read("selected_subset", "nodes", columns=columns)
    share = pl.col("selection_mass") / pl.col("selection_mass").max()
    return before.select("node_id", share.alias("before")).join(
        after.select("node_id", share.alias("after")), on="node_id"
    )


_WHY = {
    "instance_scores": "the scores changed",
    "target_distribution": "the target asks for something else",
}


def _reasons(inputs: Inputs, last: ArtifactVersion, now: ArtifactVersion) -> list[str]:
    changed = {name for name in now.upstream if last.upstream.get(name) != now.upstream[name]}
    reasons = []
    if "raw_instances" in changed:
        before = inputs.store.find("raw_instances", last.upstream.get("raw_instances", ""))
        raw = inputs.versions["raw_instances"]
        if before is None:
            reasons.append("the data of the pool changed")
        elif before.code_version != raw.code_version:
            # Newer code makes every version another one: data that is the same must not look changed.
            told = data_changes(inputs.store, before, raw)
            reasons.append(f"newer code of tags-assets made it; of the pool's rows: {told}")
        else:
            reasons.append(f"the data of the pool changed: {data_changes(inputs.store, before, raw)}")
    if "knowledge_tree" in changed:
        grew = not inputs.figures("knowledge_tree")["rebuilt"]
        reasons.append(f"the knowledge tree {'grew' if grew else 'was built anew'}")
    if not changed & {"raw_instances", "knowledge_tree"}:
        # Else these follow from that, and a target that is only read on another tree asks for what it asked.
        reasons += [text for name, text in _WHY.items() if name in changed]
    elif _asks_anew(inputs, last):
        reasons.append(_WHY["target_distribution"])
    old: Mapping[str, Any] = last.config
    new: Mapping[str, Any] = now.config
    fields = sorted(key for key in {*old, *new} - {GROWN_FROM} if old.get(key) != new.get(key))
    return reasons + [f"the target's {field} changed" for field in fields]


def _asks_anew(inputs: Inputs, last: ArtifactVersion) -> bool:
    """Whether the target's own file says something else than it did for the selection before."""
    now = inputs.versions["target_distribution"]
    then = inputs.store.find("target_distribution", last.upstream["target_distribution"], last.partition)
    return then is not None and then.config != now.config
