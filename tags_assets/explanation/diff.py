"""A comparison of two selections: rows kept, removed and added, and the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tags_assets.errors import InvalidInputError, NotFoundError, UserError, printable
from tags_assets.explanation.lineage import Lineage
from tags_assets.explanation.terminal_text import short, styled
from tags_assets.method.tree.share_changes import deepest_moves
from tags_assets.selection.data_changes import data_changes
from tags_assets.store.upstream import GROWN_FROM
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.text import Text

    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion

LEAST_VERSION = 4
"""Minimum number of characters that identify a data version."""

CALLED = {
    "raw_instances": "the pool's rows",
    "filtered_rows": "the filtered rows",
    "instance_embeddings": "the vectors of the rows",
    "atomic_tags": "the tagger's raw tags",
    "tag_vocabulary": "the vocabulary",
    "tag_embeddings": "the vectors of the tags",
    "instance_tags": "the rows' concepts",
    "knowledge_tree": "the tree",
    "grounded_instances": "the rows' positions in the tree",
    "quality_judgements": "the judgements",
    "instance_scores": "the scores",
    "target_distribution": "the target's distribution",
}
"""Names of assets in texts for people."""

SETTINGS = {
    "examples": "the content of the target's examples",
    "tagger": "how examples are tagged",
    "text_share": "text share",
    "min_quality": "minimum quality",
    "wish.description": "the target's description",
    "wish.pool": "the target",
    "constraints.include": "rows always in",
    "constraints.exclude": "rows never in",
}
"""Names of a target's settings in texts for people; other settings keep their own names."""

UNSET: tuple[object, ...] = (None, [], {}, ())

DIGESTS = frozenset({"examples", "tagger"})
"""Settings whose values are of use to programs only."""

ROW_COLUMNS = ("instance_id", "id", "source", "gain", "quality", "prompt")


@dataclass(frozen=True, eq=False)
class Diff:
    """What changed from selection ``a`` to selection ``b``.

    Rows are identified by content, so renaming or re-sorting a file changes nothing.

    Attributes
    ----------
    a, b
        Labels of the selections.
    kept
        Rows in both: ``rank_a, rank_b`` and `ROW_COLUMNS` as in ``b``, by ``rank_b``.
    dropped, added
        Rows of ``a`` alone and of ``b`` alone: ``rank`` and `ROW_COLUMNS`, by rank.
    shares
        ``node_id, parent_id, node, level, path, before, after, change``: each concept's share of the
        selections, by falling change.
    reasons
        The differences between the two, in words: configuration, and data upstream.
    """

    a: str
    b: str
    kept: pl.DataFrame
    dropped: pl.DataFrame
    added: pl.DataFrame
    shares: pl.DataFrame
    reasons: tuple[str, ...]

    @property
    def overlap(self) -> float:
        """Rows in both over rows in either (Jaccard's index), 1 where both are empty."""
        either = self.kept.height + self.dropped.height + self.added.height
        return self.kept.height / either if either else 1.0

    def to_text(self, *, most: int = 10) -> str:
        """Write it for a terminal: plain text without control characters. Print it with markup switched
        off.
        """
        return printable("\n".join(_lines(self, most)))

    def __str__(self) -> str:
        return self.to_text()

    def __rich__(self) -> Text:
        return styled(self.to_text())


def diff(store: ArtifactStore, a: str, b: str) -> Diff:
    """Compare two selections, of two targets or of two versions of one.

    Parameters
    ----------
    store
        The store of artifacts.
    a, b
        ``maths`` (the current selection of a target), ``maths~1`` (the one before it), ``maths@3f9a`` (the
        version that begins so), or the version alone.

    Raises
    ------
    UserError
        For a target or version that does not exist, or that several versions begin with.
    """
    return compare(resolve(store, a), resolve(store, b), names=(a, b))


def compare(one: Lineage, other: Lineage, *, names: tuple[str, str] | None = None) -> Diff:
    """Compare two selections that are in hand."""
    before, after = _picks(one), _picks(other)
    columns = [pl.col(name) for name in ROW_COLUMNS]
    ranks = before.select("content_hash", pl.col("rank").alias("rank_a"))
    kept = after.join(ranks, on="content_hash").sort("rank")
    shares = _shares(one, "before").join(_shares(other, "after"), on="node_id", how="full", coalesce=True)
    changed = (
        shares.select(
            "node_id",
            *(
                pl.coalesce(name, f"{name}_right").alias(name)
                for name in ("parent_id", "node", "level", "path")
            ),
            pl.col("before", "after").fill_null(0.0),
        )
        .with_columns(change=pl.col("after") - pl.col("before"))
        .sort([pl.col("change").abs(), "level", "node_id"], descending=[True, True, False])
    )
    labels = names if names is not None and names[0] != names[1] else (_label(one), _label(other))
    return Diff(
        a=labels[0],
        b=labels[1],
        kept=kept.select("rank_a", pl.col("rank").alias("rank_b"), *columns),
        dropped=before.join(after, on="content_hash", how="anti").sort("rank").select("rank", *columns),
        added=after.join(before, on="content_hash", how="anti").sort("rank").select("rank", *columns),
        shares=changed,
        reasons=tuple(_reasons(one, other)),
    )


def resolve(store: ArtifactStore, name: str) -> Lineage:
    """Find the selection that a name refers to; see `diff`."""
    targets = [target for target in store.partitions("selected_subset") if target is not None]
    if name in targets:
        return Lineage.of(store, name)
    target, mark, version = name.partition("@")
    if mark:
        return Lineage.of(store, target, _beginning(store, [target], version, name).data_version)
    target, mark, back = name.rpartition("~")
    if mark and back.isdigit():
        versions = _up_to_current(store, target, targets)
        if int(back) >= len(versions):
            raise NotFoundError(
                f"the selection for {target} has {len(versions)} versions, none is {back} before the current "
                f"one",
                where=str(store.home),
            )
        return Lineage.of(store, target, versions[-1 - int(back)].data_version)
    if len(name) >= LEAST_VERSION and name.isalnum():
        found = _versions_beginning(store, targets, name)
        if len(found) == 1 and found[0].partition is not None:
            return Lineage.of(store, found[0].partition, found[0].data_version)
    raise UserError.unknown("selection", name, targets, where=str(store.home))


def _beginning(store: ArtifactStore, targets: list[str], beginning: str, name: str) -> ArtifactVersion:
    found = _versions_beginning(store, targets, beginning)
    if len(found) == 1:
        return found[0]
    if not found:
        every = _versions_beginning(store, targets, "")
        known = [version.data_version for version in every]
        raise UserError.unknown("version", name, known, where=str(store.home))
    raise InvalidInputError(
        f"{len(found)} versions begin with {beginning!r}", where=name, fix="Give more characters of it."
    )


def _versions_beginning(store: ArtifactStore, targets: list[str], beginning: str) -> list[ArtifactVersion]:
    return [
        version
        for target in targets
        for version in store.versions("selected_subset", target)
        if version.data_version.startswith(beginning)
    ]


def _up_to_current(store: ArtifactStore, target: str, targets: list[str]) -> list[ArtifactVersion]:
    """Versions of a target's selection up to the current one, oldest first."""
    current = store.current("selected_subset", target)
    if current is None:
        raise UserError.unknown("selection for a target", target, targets, where=str(store.home))
    versions = store.versions("selected_subset", target)
    return [version for version in versions if version.created_at <= current.created_at]


def _picks(lineage: Lineage) -> pl.DataFrame:
    picks = lineage.ask("explain/picks")
    prompts = picks.select(
        pl.col("messages")
        .list.filter(pl.element().struct.field("role") == "user")
        .list.eval(pl.element().struct.field("content"))
        .list.first()
        .fill_null("")
        .str.slice(0, 300)
        .alias("prompt")
    )
    return picks.drop("messages").hstack(prompts)


def _shares(lineage: Lineage, name: str) -> pl.DataFrame:
    return lineage.ask("explain/selected_shares").rename({"share": name})


def _label(lineage: Lineage) -> str:
    return f"{lineage.target}@{lineage.selection.data_version[:8]}"


def _reasons(one: Lineage, other: Lineage) -> Iterator[str]:
    if one.target != other.target:
        yield f"the target is {other.target} instead of {one.target}"
    for asset in ("target_distribution", "selected_subset"):
        if one.has(asset) and other.has(asset):
            yield from _changed(one.versions[asset].config, other.versions[asset].config)
    known = {*one.versions} & {*other.versions} - {"selected_subset", "selection_attribution"}
    moved = {name for name in known if one.versions[name].data_version != other.versions[name].data_version}
    followed = []
    for asset in sorted(moved - {"target_distribution"}):
        before, after = one.versions[asset], other.versions[asset]
        same = before.config == after.config and before.code_version == after.code_version
        if same and moved & after.upstream.keys():
            followed.append(asset)  # nothing of its own is different
            continue
        n = after.rows - before.rows
        rows = f", {counted(abs(n), 'row')} {'more' if n > 0 else 'fewer'}" if n else ""
        code = ", made by newer code" if before.code_version != after.code_version else ""
        versions = f"{before.data_version[:8]} to {after.data_version[:8]}"
        if asset == "raw_instances":
            rows = f", {data_changes(one.store, before, after)}"
        yield f"changed: {CALLED.get(asset, asset)} (version {versions}{rows}{code})"
    if followed:
        yield f"changed as a result: {', '.join(CALLED.get(asset, asset) for asset in followed)}"


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], under: str = "") -> Iterator[str]:
    for key in sorted({*before, *after} - {GROWN_FROM}):
        a, b, name = before.get(key), after.get(key), f"{under}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _changed(a, b, f"{name}.")
        elif a != b:
            yield _change(name, a, b)


def _change(name: str, before: object, after: object) -> str:
    """Say in words how a setting changed: "max_share of source is now mathematics 0.3 (was not set)"."""
    limit, _, attribute = name.removeprefix("constraints.").partition(".")
    share = limit in {"max_share", "min_share"} and attribute
    called = (
        f"{limit} of {attribute}" if share else SETTINGS.get(name, name.replace("wish.", "the target's "))
    )
    if name in DIGESTS:
        return f"{called} changed"
    if after in UNSET:
        return f"{called} is no longer set (was {_value(before)})"
    return (
        f"{called} is now {_value(after)} ({'was not set' if before in UNSET else f'was {_value(before)}'})"
    )


def _value(value: object) -> str:
    if isinstance(value, dict):
        return short(", ".join(f"{name} {part}" for name, part in value.items()), 60)
    return short(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value), 60)


def _lines(one: Diff, most: int) -> list[str]:
    kept = counted(one.kept.height, "row")
    counts = f"{kept} kept, {one.dropped.height:,} removed, {one.added.height:,} added"
    out = [f"{one.a} to {one.b}: {counts} ({_share(one.overlap)} in common)"]
    out += [f"  {reason}" for reason in one.reasons]
    moved = deepest_moves(one.shares).head(most)
    if not moved.is_empty():
        out += ["", "Concepts that changed most (share of the selection)"]
        out += [
            f"  {row['before']:>6.1%} to {row['after']:>6.1%}  {row['path']}"
            for row in moved.iter_rows(named=True)
        ]
    for heading, rows in (("Removed rows", one.dropped), ("Added rows", one.added)):
        if rows.is_empty():
            continue
        out += ["", heading]
        out += [
            f"  {row['rank']:>6,}  {row['id'] or row['instance_id']}  {short(row['prompt'], 90)}"
            for row in rows.head(most).iter_rows(named=True)
        ]
        if rows.height > most:
            out.append(f"          and {rows.height - most:,} more")
    return out


def _share(part: float) -> str:
    """Write a share; what is not quite all does not become 100%."""
    return f"{part:.0%}" if part in {0.0, 1.0} or 0.005 <= part < 0.995 else f"{part:.1%}"
