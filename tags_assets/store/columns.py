"""What columns of the warehouse mean that stand in several tables, or in a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

GENERAL: Mapping[str, str] = {
    "against_pool": "`selected_share` over `pool_share`: above 1 the selection has more of it than the pool.",
    "against_target": "`selected_share` over `target_share`: above 1 it has more than the target asks for.",
    "amount": "What it gave, in the unit of `gain`. Amounts of one row add up to its gain.",
    "closeness": "Part of the gain: how much more the target asks for its concepts than the pool holds.",
    "config": "Configuration that it was made with (JSON).",
    "content_hash": "Hash of the normalised conversation: equal for rows that say the same.",
    "coverage": "Part of the gain: the row's share of what the target asks for and had not got yet.",
    "data_version": "Fingerprint of what the table was made from.",
    "detail": "The same in words.",
    "file": "File that the row was read from.",
    "gain": "What the row added to the selection's value when it was picked.",
    "given_as": "Words that the tagger used for the tag; empty where the row never says it.",
    "id": "The row's own id, as text; empty where it has none.",
    "instance_id": "Id of the row, made from its source, file, line and content; unique.",
    "language": "Language of the row, as a code (`en`, which also stands where no language is recognized).",
    "leaf": "Name of the leaf of the tree that holds the tag.",
    "leaf_id": "Id of that leaf.",
    "level": "Level in the tree; 0 holds the leaves.",
    "line": "Line in the file, from 1; the row's number where the format has no lines.",
    "node": "Name of the node.",
    "node_id": "Id of a node of the tree; it stays while the node lives on in later trees.",
    "origin": "Where the tag came from: `extracted`, `assigned` by likeness, `llm`, or `given` with the row.",
    "part": "Part of the gain: `gain`, `closeness`, `coverage` or `text`.",
    "path": "Names from below the root to the node, joined by ` > `.",
    "prompt_tokens": "Tokens of the prompt, by the yardstick of docs/input.md.",
    "quality": "Quality of the row, above 0 and up to 1.",
    "rank": "Place among the picks, from 1.",
    "reason": "Why, in words.",
    "response_tokens": "Tokens of the response, by the same yardstick.",
    "rows": "Rows.",
    "share_of_gain": "`amount` over the row's whole gain.",
    "source": "The row's own source, else its file's name.",
    "tag": "Canonical tag: one concept, in its most frequent form.",
    "target": "Name of the target.",
    "text": "Part of the gain: how like the target the whole text is, less what it repeats of picks before.",
    "vector": "Embedding, of length 1.",
    "weight": "Weight of the tag in the row; those of a row add up to 1.",
}
"""Meaning of a column wherever it stands, unless its table or view says otherwise."""

VIEWS: Mapping[str, Mapping[str, str]] = {
    "asset_versions": {
        "asset": "Name of the asset.",
        "partition": "Target, for assets that have one version each.",
        "is_current": "Whether the table of the asset's name shows it.",
        "created_at": "When it was made.",
        "code_version": "Version of the code that made it.",
        "upstream": "Data versions that it was made from, by asset (JSON).",
        "metadata": "Figures, what the UI shows, seconds and memory (JSON).",
        "path": "Its DuckDB file.",
    },
    "concept_shares": {
        "wanted_rows": "The target's share of as many rows as were selected.",
        "pool_rows": "Rows of the pool on the concept; a row half about it counts half.",
        "selected_rows": "Rows selected on it, counted likewise.",
        "pool_share": "Its share of the pool.",
        "selected_share": "Its share of the selection.",
        "target_share": "Its share of the target.",
    },
    "node_ancestors": {
        "ancestor_id": "A node above, or the node itself.",
        "steps": "Steps up to it; 0 at the node itself.",
    },
    "node_rows": {
        "amount": "What the node gave to the row's gain: the sum of the four parts beside it.",
        "gain": "Part of `amount`: what the row teaches that the picks before it had not covered.",
    },
    "rivals": {
        "rival_id": "Another row about the same things.",
        "overlap": "Mass that the two share at the leaves, 0 to 1.",
        "rival_name": "The rival's own id.",
        "rival_source": "Its source.",
        "rival_quality": "Its quality.",
        "rival_rank": "Its place among the picks; empty where it was not picked.",
        "rival_gain": "What it added.",
    },
    "row_tags": {"path": "Path to the leaf that holds the tag."},
    "subset_overview": {
        "rows_selected": "Rows selected.",
        "rows_eligible": "Rows that could be.",
        "share_of_pool": "The one over the other.",
        "tokens_selected": "Tokens of the selected rows.",
        "quality": "Their mean quality.",
        "pool_quality": "Mean quality of the pool.",
        "sources": "Sources among them.",
        "languages": "Languages among them.",
        "leaves_touched": "Leaves of the tree that they touch.",
        "gain": "Value of the selection: the sum of its rows' gains.",
        "top_concept": "Concept that gave most.",
    },
    "tag_rows": {"amount": "The tag's part of the row's gain."},
    "why_not_selected": {
        "why": "`rejected`, `filtered`, `duplicate`, `near_duplicate`, `untagged`, `not_eligible`, "
        "`excluded`, `below_min_quality` or `not_picked`.",
    },
    "why_selected": {
        "tag": "Canonical tag that carries this part of the amount.",
        "node": "The leaf that holds the tag, or a node above it; `whole text` for the part `text`.",
        "path": "Path to that node; `whole text` likewise.",
        "amount": "The tag's share, by weight, of what the node gave; a row's add up to its gain.",
    },
}
"""Meanings of their own of the columns of ``asset_versions`` and of the views in ``sql/lineage``.

An asset's own module says what the columns of its tables mean.
"""


def meaning(column: str, own: Mapping[str, str]) -> str:
    """Say what a column means, first by a table's own meanings; empty for one that nobody described."""
    return own.get(column) or GENERAL.get(column, "")
