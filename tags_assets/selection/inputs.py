"""What a selection is made from: rows, scores, grounding and target, lined up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tags_assets.errors import UserError
from tags_assets.formats.instance import CONDITION_COLUMNS
from tags_assets.method.selection.near_texts import ALONE
from tags_assets.method.selection.request import EVERY, SelectionRequest
from tags_assets.method.target.distribution import TargetDistribution
from tags_assets.method.tree.grounding import from_frame
from tags_assets.store.conditions import evaluate_condition
from tags_assets.store.upstream import read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree
    from tags_assets.settings.target_file import TargetSpec
    from tags_assets.store.upstream import Inputs

_NAMES_COMPARED = 10_000
"""Ids that a mistyped one is compared with; of more it would take minutes."""


@dataclass(frozen=True, eq=False)
class SelectionInputs:
    """The inputs of `method.selection.selector.select`; rows are numbered as in `instance_scores`.

    ``excluded_by`` is the target's condition for rows that may not be in, as its file has it.
    """

    rows: pl.DataFrame
    tree: KnowledgeTree
    grounding: sparse.csr_array
    quality: NDArray[np.float64]
    target: TargetDistribution
    request: SelectionRequest
    excluded_by: str | None = None

    @classmethod
    def read(cls, inputs: Inputs, spec: TargetSpec) -> SelectionInputs:
        """Read the versions upstream and lay them out for the target.

        Raises
        ------
        UserError
            For a constraint that names what is not there.
        """
        tree = read_tree(inputs)
        scores = inputs.read("instance_scores", columns=["instance_id", "quality"])
        stored = {name for name, _ in inputs.versions["raw_instances"].tables["data"].columns}
        details = inputs.read("raw_instances", columns=[n for n in CONDITION_COLUMNS if n in stored])
        rows = scores.join(details, on="instance_id", how="left", maintain_order="left")
        rows = _with_templates(inputs, rows)
        distribution = TargetDistribution.from_frame(
            inputs.read("target_distribution"),
            tree,
            str(inputs.figures("target_distribution")["kind"]),
            _likeness(inputs, rows),
        )
        return cls(
            rows=rows,
            tree=tree,
            grounding=from_frame(inputs.read("grounded_instances"), tree, rows["instance_id"]),
            quality=rows["quality"].to_numpy(),
            target=distribution,
            request=replace(
                build_request(spec, rows, details),
                texts=_text_groups(inputs, rows),
                **_selected_before(inputs, spec, rows),
            ),
            excluded_by=None if spec.constraints.exclude is None else spec.constraints.exclude.where,
        )


def _likeness(inputs: Inputs, rows: pl.DataFrame) -> NDArray[np.float64] | None:
    """Line up what the target says of whole texts; a row without a vector is as like as the mean row."""
    if "likeness" not in inputs.versions["target_distribution"].tables:  # made by older code
        return None
    said = inputs.read("target_distribution", "likeness")
    if said.is_empty():
        return None
    of_rows = rows.select("instance_id").join(said, on="instance_id", how="left", maintain_order="left")
    like = of_rows["likeness"].cast(pl.Float64)
    return like.fill_null(like.mean() if like.count() else 0.0).to_numpy()


def _with_templates(inputs: Inputs, rows: pl.DataFrame) -> pl.DataFrame:
    """Add the column ``template``, null where a row's prompt begins as no other's does."""
    if "templates" not in inputs.versions["grounded_instances"].tables:  # made by older code
        return rows.with_columns(template=pl.lit(None, pl.String()))
    alike = inputs.read("grounded_instances", "templates")
    return rows.join(alike, on="instance_id", how="left", maintain_order="left")


def _text_groups(inputs: Inputs, rows: pl.DataFrame) -> NDArray[np.int64] | None:
    """Line up the groups of rows of nearly the same text."""
    if "texts" not in inputs.versions["grounded_instances"].tables:  # made by older code
        return None
    said = inputs.read("grounded_instances", "texts")
    of_rows = rows.select("instance_id").join(said, on="instance_id", how="left", maintain_order="left")
    return of_rows["text_group"].cast(pl.Int64).fill_null(ALONE).to_numpy()


def build_request(spec: TargetSpec, rows: pl.DataFrame, read: pl.DataFrame | None = None) -> SelectionRequest:
    """Translate a target's file into what the method is asked, row by row.

    ``read`` are all rows of the pool, those that take no part as well, with ``id`` and ``instance_id``.
    """
    constraints = spec.constraints
    named = {*constraints.max_share, *constraints.min_share}
    for attribute in sorted(named - set(rows.columns)):
        raise UserError.unknown("column", attribute, rows.columns, where=spec.at("constraints"))
    for kind, shares in (("max_share", constraints.max_share), ("min_share", constraints.min_share)):
        for attribute, values in shares.items():
            known = rows[attribute].cast(pl.String()).fill_null("").unique().to_list()
            for value in sorted(values.keys() - {*known, EVERY}):
                where = spec.at(f"constraints.{kind}.{attribute}")
                raise UserError.unknown(attribute, value, [name for name in known if name], where=where)
    exclude = None
    if constraints.exclude is not None:
        where = spec.at("constraints.exclude.where")
        exclude = evaluate_condition(rows, constraints.exclude.where, where=where).to_numpy()
    return SelectionRequest(
        budget=spec.method_budget,
        alignment=spec.method_alignment,
        breadth=spec.breadth,
        text_share=spec.text_share,
        exclude=exclude,
        include=_numbers(spec, rows, constraints.include, rows if read is None else read),
        min_quality=spec.min_quality,
        max_share=constraints.max_share,
        min_share=constraints.min_share,
        attributes={name: rows[name].cast(pl.String()).fill_null("").to_numpy() for name in sorted(named)},
        tokens=(rows["prompt_tokens"] + rows["response_tokens"]).cast(pl.Int64()).to_numpy(),
        names=[own or ours for own, ours in zip(rows["id"], rows["instance_id"], strict=True)],
        seed=spec.seed,
        certificate=spec.certificate,
    )


def _selected_before(inputs: Inputs, spec: TargetSpec, rows: pl.DataFrame) -> dict[str, Any]:
    """Find the rows of the selection before that are to be kept if possible; nothing where none are."""
    base = inputs.base
    if base is None or not spec.stability:
        return {}
    picked = inputs.store.read_version(base, columns=["instance_id"])
    names, raw = "instance_id", base.upstream.get("raw_instances", "")
    before = inputs.store.find("raw_instances", raw)
    now = inputs.read("raw_instances", columns=["instance_id", "content_hash"])
    if before is not None and raw != inputs.versions["raw_instances"].data_version:
        # By content: a row that only moved within its file, or to another one, is the same row.
        names = "content_hash"
        then = inputs.store.read_version(before, columns=["instance_id", "content_hash"])
        picked = picked.join(then, on="instance_id")
    known = rows.select("instance_id").join(now, on="instance_id", how="left", maintain_order="left")
    stays = known[names].is_in(picked[names].implode())
    return {
        "stability": spec.stability,
        "previous": np.flatnonzero(stays.to_numpy()).astype(np.int64),
        "n_previous": len(picked),
    }


def _numbers(
    spec: TargetSpec, rows: pl.DataFrame, wanted: tuple[str, ...], read: pl.DataFrame
) -> NDArray[np.int64]:
    """Find the rows that a target includes, by their own id or by ours."""
    if not wanted:
        return np.zeros(0, dtype=np.int64)
    numbered = rows.select("id", "instance_id", pl.int_range(pl.len()).alias("number"))
    known: Mapping[str, int] = {
        **{
            row["id"]: row["number"]
            for row in numbered.drop_nulls("id")
            .filter(pl.col("id").is_in(list(wanted)))
            .iter_rows(named=True)
        },
        **{
            row["instance_id"]: row["number"]
            for row in numbered.filter(pl.col("instance_id").is_in(list(wanted))).iter_rows(named=True)
        },
    }
    for name in wanted:
        is_it = (pl.col("id") == name) | (pl.col("instance_id") == name)
        if name not in known and not read.filter(is_it).is_empty():
            raise UserError(
                f"the row {name!r} takes no part: it is a duplicate, a rule took it out, or it has no tags",
                where=spec.at("constraints.include"),
                fix=f"Take it out of include, or ask for its reason: tags-assets explain {name}",
            )
        if name not in known:
            ids = pl.concat([rows["id"].drop_nulls(), rows["instance_id"]]).head(_NAMES_COMPARED)
            raise UserError.unknown("row that takes part", name, ids, where=spec.at("constraints.include"))
    return np.array(sorted({known[name] for name in wanted}), dtype=np.int64)
