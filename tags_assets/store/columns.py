"""What each column of the warehouse means, said once: for the UI, its comments, for the docs."""

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
"""Meaning of a column wherever it stands, unless `OWN` says otherwise."""

OWN: Mapping[str, Mapping[str, str]] = {
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
    "atomic_tags": {
        "tag": "Tag as the tagger gave it.",
        "weight": "How much of the row it is, by the tagger.",
        "origin": "`extracted`, `llm` or `given`; `assigned` where it was carried over from rows nearby.",
    },
    "atomic_tags_notes": {"note": "What was done with the answer.", "detail": "Of what, in words."},
    "concept_shares": {
        "wanted_rows": "The target's share of as many rows as were selected.",
        "pool_rows": "Rows of the pool on the concept; a row half about it counts half.",
        "selected_rows": "Rows selected on it, counted likewise.",
        "pool_share": "Its share of the pool.",
        "selected_share": "Its share of the selection.",
        "target_share": "Its share of the target.",
    },
    "exported_subset": {
        "format": "Form of the file: `raw`, `trl`, `llamafactory`, `axolotl` ...",
        "file": "File that was written, below the home.",
        "rows": "Rows in it; empty for a file of settings.",
        "bytes": "Its size.",
        "sha256": "Its checksum.",
    },
    "filtered_rows": {"rule": "Name of the rule that took the row out.", "detail": "What it found."},
    "filtered_rows_pii": {
        "role": "Who says it: `user`, `assistant` or `system`.",
        "kind": "Kind of personal data.",
        "count": "How often.",
    },
    "grounded_instances": {"mass": "Share of the row's tags below this leaf; those of a row add up to 1."},
    "grounded_instances_templates": {
        "template": "First words of the prompt, digits as 0 and names as X; rows that share them are alike."
    },
    "grounded_instances_texts": {"text_group": "Number of the group of rows of nearly the same text."},
    "instance_embeddings": {
        "is_teacher": "Whether the model itself made the vector; the others are the student's or your own.",
        "content_hash": "Hash of the conversation that it belongs to.",
    },
    "instance_embeddings_student_fit": {
        "mean": "Mean of the teacher's vectors in one dimension.",
        "weights": "Weights of that dimension.",
        "n_rows": "Rows that the student learnt from.",
        "likeness": "Mean cosine to the teacher on rows that were held out.",
    },
    "instance_embeddings_student_words": {
        "word": "Word that the student knows.",
        "share": "Share of the rows that hold it.",
        "weights": "What it adds to the student's dimensions.",
    },
    "instance_scores": {
        "eligible": "Whether the row can be chosen: it has tags.",
        "soundness": "Product over the defects of 1 less what each costs; 1 = nothing against it.",
        "richness": "Mean rank in the pool of information content and concepts, 0 to 1.",
        "information_content": "Mean of -log P over its leaves, in nats: rare concepts count more.",
        "concepts": "Distinct concepts: exponential of the entropy of its mass.",
        "spread": "Mean distance on the tree between two of its concepts.",
        "peer_standing": "Standing among rows on the same concepts, 0 to 1; 0.5 = as expected.",
        "judge_rating": "Rating by the judge, 0 to 1; empty where none is configured.",
        "given_score": "The row's own score as a rank in the pool, 0 to 1; empty where it has none.",
        "empty": "Defect, 0 to 1: there is next to no answer.",
        "degenerate": "Defect, 0 to 1: the answer is a placeholder or noise.",
        "refused": "Defect, 0 to 1: the answer refuses.",
        "truncated": "Defect, 0 to 1: the answer breaks off.",
        "repetitive": "Defect, 0 to 1: the answer repeats itself.",
        "disordered": "Defect, 0 to 1: the words stand in no order.",
        "prompt_copied": "Defect, 0 to 1: the answer is the prompt.",
        "incoherent": "Defect, 0 to 1: the answer has nothing to do with the prompt.",
        "off_language": "Defect, 0 to 1: the answer is in another language than asked.",
    },
    "instance_tags_concepts": {
        "tag": "Concept that was assigned to rows with this content.",
        "weight": "How near it lies.",
    },
    "instance_tags_placed": {
        "tag": "Concept that was on offer when known rows got theirs.",
        "mass": "Rows that bore it.",
    },
    "knowledge_tree": {
        "parent_id": "Node above; empty at the root.",
        "name": "What the node is called.",
        "description": "One line on what is in it.",
        "branch_length": "1 less the cosine to the node above.",
        "n_tags": "Tags below it.",
        "vector": "Centre of its tags' embeddings, of length 1.",
    },
    "knowledge_tree_placed": {
        "tag": "Tag that the tree was built or grown with.",
        "mass": "Rows that bore it then.",
    },
    "knowledge_tree_tags": {"node_id": "Leaf that holds the tag."},
    "node_ancestors": {
        "ancestor_id": "A node above, or the node itself.",
        "steps": "Steps up to it; 0 at the node itself.",
    },
    "node_rows": {
        "amount": "What the node gave to the row's gain: the sum of the four parts beside it.",
        "gain": "Part of `amount`: what the row teaches that the picks before it had not covered.",
    },
    "quality_judgements": {
        "rating": "Overall rating, 0 to 1.",
        "spread": "Standard deviation over the samples.",
        "samples": "Answers that it is made of.",
        "hostile": "Whether the row speaks to the judge.",
        "audited": "Whether a second look was taken.",
        "caught": "Whether that look took the first rating back.",
        **{name: f"{name.capitalize()}, 0 to 1." for name in ("helpfulness", "correctness", "completeness")},
        **{name: f"{name.capitalize()}, 0 to 1." for name in ("clarity", "difficulty")},
        **{
            f"{name}_reason": f"What the judge says of the {name}."
            for name in ("helpfulness", "correctness", "completeness", "clarity", "difficulty")
        },
    },
    "raw_instances": {
        "format": "Layout that the row came in: `alpaca`, `sharegpt`, `messages` ...",
        "duplicate_of": "The `instance_id` that it repeats; empty for a row that is kept.",
        "near_duplicate": "Whether it repeats that row nearly and not exactly.",
        "turns": "Messages of the conversation.",
        "messages": "The conversation in one normal form.",
        "raw": "The row as it came.",
        "given_tags": "Tags that came with the row.",
        "given_score": "Score that came with the row, of any scale.",
        "given_embedding": "Embedding that came with the row.",
        "structure": "What it holds beyond text: turns, tools, the rejected answer (JSON).",
        "attachments": "Number of its pictures, films, sounds and files; none is opened.",
        "label": "Whether its answer is to be imitated, where the row says so (KTO).",
        "pass_rate": "Pass rate that came with the row.",
        "difficulty": "Difficulty that came with the row.",
    },
    "rejected_rows": {"reason": "Why the line could not be read.", "raw": "What stands there, as bytes."},
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
    "selected_subset_beyond": {
        "rows": "The selection and the next picks, so many in all.",
        "tokens": "Tokens of those.",
        "value": "Their value under the objective of the selection.",
        "kl": "KL(target || those picks), in nats.",
    },
    "selected_subset_diversity": {
        "nodes": "Nodes of the level.",
        "covered_selection": "Nodes that the selection touches.",
        "effective_selection": "As many nodes, evenly held, would be as varied (Hill number of order 1).",
        "covered_pool": "Nodes that the pool touches.",
        "effective_pool": "The same number for the pool.",
    },
    "selected_subset_frontier": {
        "rows": "The first so many picks.",
        "tokens": "Tokens of those.",
        "value": "Their value: the sum of the four parts after it.",
        "gain": "Part of the value: information gain.",
        "closeness": "Part of the value: closeness to the target.",
        "coverage": "Part of the value: coverage of the target.",
        "text": "Part of the value: likeness of the whole texts, less what they repeat.",
        "kl": "KL(target || those picks), in nats.",
    },
    "selected_subset_left_out": {
        "why": "`excluded` or `below_min_quality`: which rule of the target's file took the row out.",
        "detail": "The rule.",
    },
    "selected_subset_nodes": {
        "selection_mass": "Rows of the selection below the node; a row half about it counts half.",
        "pool_mass": "Rows of the pool, counted likewise.",
        "target_share": "Share of the target.",
        "quality_mass": "Rows of the selection, each weighed with its quality.",
        "capacity": "Mass at which the concept counts as covered.",
    },
    "selected_subset_runners_up": {
        "instance_id": "Row that was nearly picked.",
        "gain": "What it would add now.",
        "beaten_by": "The `instance_id` of the nearest pick.",
    },
    "selected_subset_shortages": {
        "node_id": "Concept that the target asks more of than it got.",
        "wanted": "Rows that the target asks for.",
        "supply": "Rows that the pool has.",
        "reached": "Rows that were selected.",
        "missing": "`wanted` less `supply`.",
    },
    "selection_attribution": {"amount": "What the node gave to the row's gain by that part."},
    "selection_report": {
        "html": "The report, one file that needs nothing else.",
        "figures": "Its numbers (JSON).",
    },
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
    "tag_vocabulary": {"count": "Rows that hold it.", "aliases": "Other forms that were merged into it."},
    "tag_vocabulary_aliases": {"alias": "Form as it was given.", "tag": "Canonical tag that it became."},
    "target_distribution": {
        "node_id": "A leaf of the tree.",
        "mass": "Share that the target asks of it; all add up to 1.",
        "pool_mass": "Share that the pool has of it.",
        "supply": "Rows of the pool on it; a row half about it counts half.",
        "origin": "Where most of the share comes from, in words.",
    },
    "target_distribution_likeness": {
        "likeness": "How much more the row's text is like the target's than like the pool's, in nats.",
    },
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
"""Meanings of their own, by table or view."""


FURTHER_TABLES: Mapping[str, str] = {
    "atomic_tags_failures": "One row per instance that the tagger gave up on, with the reason.",
    "atomic_tags_notes": "One row per remark on an answer: cut, hostile or copied from the examples.",
    "filtered_rows_pii": "One row per kept instance, role and kind of personal data found in it.",
    "grounded_instances_templates": "One row per instance whose prompt begins as another's does.",
    "grounded_instances_texts": "One row per instance whose text is nearly another's.",
    "instance_embeddings_student_fit": "One row per dimension: the student of the embedder.",
    "instance_embeddings_student_words": "One row per word that the student knows.",
    "instance_tags_concepts": "One row per content and concept assigned to it: known rows keep theirs.",
    "instance_tags_placed": "One row per concept that was on offer: what drift is measured against.",
    "knowledge_tree_placed": "One row per tag that the tree was built with: what drift is measured against.",
    "knowledge_tree_tags": "One row per canonical tag, with the leaf that holds it.",
    "quality_judgements_failures": "One row per instance that the judge gave up on, with the reason.",
    "selected_subset_diversity": "One row per level of the tree: how varied the selection and the pool are.",
    "selected_subset_beyond": "One row per pick that a larger budget would add, up to twice the budget.",
    "selected_subset_frontier": "One row per pick: what all picks up to it reach.",
    "selected_subset_left_out": "One row per instance that the target's own file leaves out.",
    "selected_subset_nodes": "One row per node: the selection, the pool and the target there.",
    "selected_subset_runners_up": "One row per instance that was nearly picked, nearest first.",
    "selected_subset_shortages": "One row per concept of which the pool has less than the target asks for.",
    "tag_vocabulary_aliases": "One row per form that was merged into a canonical tag.",
    "target_distribution_likeness": "One row per instance: how like the target its whole text is.",
}
"""What one row of an asset's further table is."""


def meaning(table: str, column: str) -> str:
    """Say what a column means; empty for one that nobody described."""
    return OWN.get(table, {}).get(column) or GENERAL.get(column, "")
