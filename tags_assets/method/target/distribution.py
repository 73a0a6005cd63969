"""Targets: what the user wants, as a distribution T over the tree's leaves.

T and the pool's pi are positive on every leaf and sum to 1. Formulas ours, on the design's terms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.errors import InvalidInputError
from tags_assets.method.target.likeness import ENOUGH_EXAMPLES, feedback_rows, likeness, relevance
from tags_assets.method.tree.nodes_by_name import find_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.text.embedding import Vectors
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

POOL_PSEUDO_ROWS = 0.5
"""Rows' mass that every leaf is given in pi, so that a leaf that no eligible row reaches has some."""

WEIGHTS_ROWS = 50
"""Rows that stand in for examples where a target is said by weights; 200 rows drawn from all under the nodes
gain less."""

WEIGHTS_BACK_OFF = 0.02
"""Share of pi in a target of weights: the user named the nodes, so little else is wanted."""

BACK_OFF = 0.7
"""Weight of each step of the back-off against the one below it."""

DESCRIPTION_ROWS, LEAST_DESCRIPTION_ROWS = 50, 5
DESCRIPTION_SHARE = 8
"""Rows nearest to a description that stand for it; of a small pool an eighth, and five at least: more would
be the pool itself."""

DESCRIPTION_LEAVES = 30
DESCRIPTION_TEMPERATURE = 0.03
"""Where there are no rows: leaves nearest to a description, and the softmax over their cosines."""

POOL_BACK_OFF = 0.03
"""Weight of the last step, pi."""

RELEVANCE_EXAMPLES = 100
"""How many examples the relevance model counts as: with so many examples, T is half theirs and half its."""


TARGET_SCHEMA: dict[str, pl.DataType] = {
    "node_id": pl.String(),
    "mass": pl.Float64(),
    "pool_mass": pl.Float64(),
    "supply": pl.Float64(),
    "origin": pl.String(),
}
"""Columns of the table ``target_distribution`` but for ``target``, one row per leaf."""


@dataclass(frozen=True, eq=False)
class TargetDistribution:
    """What a target asks of each leaf.

    Attributes
    ----------
    mass
        T_l > 0, sums to 1, float64 (n_leaves,).
    pool
        pi_l > 0, sums to 1, float64 (n_leaves,).
    supply
        Mass of the eligible rows at each leaf, in rows, float64 (n_leaves,).
    origin
        Where most of T_l comes from, in words, (n_leaves,).
    kind
        ``examples``, ``weights``, ``description`` or ``pool``.
    back_off
        Weight of each step of the back-off, from the leaf up to the pool: sums to 1, float64 (n_levels,).
    notes
        What the user should know about how the target was read.
    likeness
        How much more like the target than like the pool each row's whole text is, in nats, float64
        (n_rows,) (`tags_assets.method.target.likeness`); None where the target has no text.
    relevance
        Share of T that is the relevance model, the concepts of the pool's rows that are like the examples.
    """

    mass: NDArray[np.float64]
    pool: NDArray[np.float64]
    supply: NDArray[np.float64]
    origin: tuple[str, ...]
    kind: str
    back_off: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    likeness: NDArray[np.float64] | None = None
    relevance: float = 0.0

    @property
    def is_pool(self) -> bool:
        """Whether what is asked for is the pool's own mixture."""
        return self.divergence_from_pool < 1e-6

    @property
    def divergence_from_pool(self) -> float:
        """KL(T || pi) in nats: how far the target is from a random sample."""
        return kl(self.mass, self.pool)

    def to_frame(self, tree: KnowledgeTree) -> pl.DataFrame:
        """One row per leaf: ``node_id, mass, pool_mass, supply, origin``."""
        return pl.DataFrame(
            {
                "node_id": list(tree.node_ids[: tree.n_leaves]),
                "mass": self.mass,
                "pool_mass": self.pool,
                "supply": self.supply,
                "origin": list(self.origin),
            },
            schema=TARGET_SCHEMA,
        )

    @classmethod
    def from_frame(
        cls,
        frame: pl.DataFrame,
        tree: KnowledgeTree,
        kind: str,
        likeness: NDArray[np.float64] | None = None,
    ) -> TargetDistribution:
        """Read the target back from the table that `to_frame` wrote, rows in any order."""
        number = pl.Series([tree.number_of[node] for node in frame["node_id"]])
        frame = frame.with_columns(number.alias("leaf")).sort("leaf")
        return cls(
            mass=frame["mass"].to_numpy(),
            pool=frame["pool_mass"].to_numpy(),
            supply=frame["supply"].to_numpy(),
            origin=tuple(frame["origin"]),
            kind=kind,
            back_off=np.zeros(0),
            likeness=likeness,
        )


@dataclass(frozen=True, eq=False)
class PoolText:
    """What the whole texts of a target's examples and of the pool's rows say.

    Attributes
    ----------
    examples
        Unit-norm vectors of the examples, float32 (n_examples, n_dims).
    rows
        Of the pool by the same embedder, float32 (n_rows, n_dims).
    grounding
        p_i(l) of the pool's rows, CSR (n_rows, n_leaves).
    """

    examples: Vectors
    rows: Vectors
    grounding: sparse.csr_array


def pool_distribution(supply: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each leaf in the pool, pi, with `POOL_PSEUDO_ROWS` given to each: positive, sums to 1."""
    smoothed = supply + POOL_PSEUDO_ROWS
    pool: NDArray[np.float64] = smoothed / smoothed.sum()
    return pool


def target_from_pool(tree: KnowledgeTree, supply: NDArray[np.float64]) -> TargetDistribution:
    """Build the target that is the pool itself (global sampling): T = pi.

    Parameters
    ----------
    tree
        The knowledge tree.
    supply
        Mass of the eligible rows at each leaf, float64 (n_leaves,).
    """
    pool = pool_distribution(supply)
    return TargetDistribution(pool, pool, supply, ("pool",) * tree.n_leaves, "pool", np.array([1.0]))


def target_from_examples(
    examples: sparse.csr_array,
    tree: KnowledgeTree,
    supply: NDArray[np.float64],
    *,
    back_off: NDArray[np.float64] | None = None,
    text: PoolText | None = None,
) -> TargetDistribution:
    """Smooth the concepts of example rows, down the tree and by the rows that are like them.

    A few examples touch a few leaves of thousands. Down the tree: at each level above, the share that the
    examples give a node is spread over its leaves as the pool spreads it; each level weighs `BACK_OFF` times
    the one below it, and the last step is pi: Jelinek-Mercer interpolation along the tree. By the rows like
    them: n examples against a relevance model that counts as `RELEVANCE_EXAMPLES`, Dirichlet smoothing (Zhai
    and Lafferty, 2001). Either matters most where examples are few; what they gain is in docs/method.md,
    where fitting the weights on examples left out is found to gain nothing more.

    Parameters
    ----------
    examples
        Grounding of the examples, float64 CSR (n_examples, n_leaves); rows without mass are passed over.
    tree
        The knowledge tree.
    supply
        Mass of the eligible rows at each leaf, float64 (n_leaves,).
    back_off
        Weights of the steps from the leaf up to pi, (n_levels,), in place of `back_off_weights`.
    text
        The examples' vectors and the pool's; without it T has no relevance model and no likeness.

    Raises
    ------
    UserError
        Where no example has a concept of the tree.
    """
    sums = np.asarray(examples.sum(axis=1)).ravel()
    examples = examples[np.flatnonzero(sums > 0)]
    if examples.shape[0] == 0:
        raise InvalidInputError(
            f"none of the {len(sums):,} examples has a concept that the pool's tree knows",
            where="target.examples",
            fix="Give examples nearer to the pool, or say the target as weights or a description.",
        )
    examples = examples.multiply(1.0 / sums[sums > 0][:, None]).tocsr()
    notes = []
    if len(sums) > examples.shape[0]:
        notes.append(
            f"{len(sums) - examples.shape[0]:,} of {len(sums):,} examples have no concept of the tree"
        )
    if back_off is None:
        back_off = back_off_weights(tree)
    asked = np.asarray(examples.sum(axis=0)).ravel() / examples.shape[0]
    found = _backed_off(asked, tree, supply, back_off=back_off, kind="examples", notes=tuple(notes))
    return found if text is None else _with_relevance(found, text)


def target_from_weights(
    weights: Mapping[str, float],
    tree: KnowledgeTree,
    supply: NDArray[np.float64],
    *,
    row_vectors: NDArray[np.float32] | None = None,
    grounding: sparse.csr_array | None = None,
    where: str = "target.weights",
) -> TargetDistribution:
    """Spread weights on nodes over the leaves below them, as the pool spreads them.

    The rows that lie most under the nodes say what the text of such rows is like: `WEIGHTS_ROWS` of them,
    shared out by weight, stand in for the examples that likeness needs. Ours; measured in docs/method.md.

    Parameters
    ----------
    weights
        Name, path of names (``programming > python``) or node id -> weight. They count relative to each
        other.
    tree
        The knowledge tree.
    supply
        Mass of the eligible rows at each leaf, float64 (n_leaves,).
    row_vectors, grounding
        Unit-norm embeddings of the pool's rows, float32 (n_rows, n_dims), and p_i(l) of the same rows, CSR
        (n_rows, n_leaves). Without them the target has no likeness.
    where
        File and field, for errors.

    Raises
    ------
    UserError
        For an unknown name (with the nearest ones), an ambiguous one (with its paths), and weights that are
        negative, not finite or all zero.
    """
    pool = pool_distribution(supply)
    below = tree.ancestors.tocsc()
    mass = np.zeros(tree.n_leaves)
    named = np.zeros(tree.n_leaves, dtype=np.int64)
    nodes: list[int] = []
    asked: list[float] = []
    for name, weight in weights.items():
        if not np.isfinite(weight) or weight < 0:
            raise InvalidInputError(
                f"the weight of {name!r} is {weight:g}; weights are 0 or more", where=where
            )
        node = find_node(name, tree, where=where)
        nodes.append(node)
        asked.append(weight)
        leaves = below.indices[below.indptr[node] : below.indptr[node + 1]]
        mass[leaves] += weight * pool[leaves] / pool[leaves].sum()
        named[leaves] = len(nodes)
    total = mass.sum()
    if total <= 0:
        raise InvalidInputError("all weights are 0", where=where, fix="Give one node a weight above 0.")
    paths = ["pool", *(f"weight on {tree.paths[node]}" for node in nodes)]
    found = TargetDistribution(
        mass=(1 - WEIGHTS_BACK_OFF) * mass / total + WEIGHTS_BACK_OFF * pool,
        pool=pool,
        supply=supply,
        origin=tuple(paths[n] for n in named),
        kind="weights",
        back_off=np.array([1 - WEIGHTS_BACK_OFF, WEIGHTS_BACK_OFF]),
    )
    if row_vectors is None or grounding is None:
        return found
    examples = _rows_under(nodes, np.array(asked), tree, grounding)
    if not len(examples):
        return found
    return replace(found, likeness=likeness(row_vectors[examples], row_vectors))


def _rows_under(
    nodes: list[int], weights: NDArray[np.float64], tree: KnowledgeTree, grounding: sparse.csr_array
) -> NDArray[np.int64]:
    """List the rows that lie most under each node, more of them for a larger weight."""
    above = tree.ancestors.tocsc()
    rows = []
    for node, weight in zip(nodes, (weights / weights.sum()).tolist(), strict=True):
        share = grounding @ above[:, [node]].toarray()[:, 0]
        n = min(round(WEIGHTS_ROWS * weight), int(np.count_nonzero(share)))
        rows.append(np.argsort(-share, kind="stable")[:n])
    return np.concatenate(rows)


def target_from_description(
    vectors: NDArray[np.float32],
    tree: KnowledgeTree,
    supply: NDArray[np.float64],
    *,
    row_vectors: NDArray[np.float32] | None = None,
    grounding: sparse.csr_array | None = None,
) -> TargetDistribution:
    """Take the rows nearest to a description as its examples (or, where none are given, the nearest leaves).

    A description names its subject, rows exercise it: "grade-school maths word problems" lies near the
    concept of mathematics, while such rows hold arithmetic, muffins and train rides. So the description first
    finds rows, and their concepts say what is asked: relevance feedback (Rocchio, 1971; Lavrenko and Croft,
    2001). What it gains is in docs/method.md.

    Nearness is the cosine after the pool's mean is taken off both sides: what all rows share says nothing.

    Parameters
    ----------
    vectors
        Unit-norm embeddings of the description, or of its sentences, float32 (n_sentences, n_dims).
    tree
        The knowledge tree.
    supply
        Mass of the eligible rows at each leaf, float64 (n_leaves,).
    row_vectors, grounding
        Unit-norm embeddings of the pool's rows, float32 (n_rows, n_dims), by the same embedder, and p_i(l) of
        the same rows, CSR (n_rows, n_leaves). Likeness is to the rows that were found.

    Raises
    ------
    UserError
        Where no row has a concept of the tree.
    """
    asked_for = np.atleast_2d(vectors).astype(np.float64)
    if row_vectors is None or grounding is None:
        return _nearest_leaves(asked_for, tree, supply)
    held = np.flatnonzero(np.diff(grounding.indptr))
    mean = row_vectors[held].mean(axis=0, dtype=np.float64)
    wanted = _unit(asked_for - mean).mean(axis=0)
    # The cosine to the centred row, without a centred copy of all rows.
    length = np.sqrt(np.maximum(1.0 - 2.0 * (row_vectors[held] @ mean) + mean @ mean, 1e-12))
    cosine = (row_vectors[held] @ wanted - mean @ wanted) / length
    n_rows = min(DESCRIPTION_ROWS, max(LEAST_DESCRIPTION_ROWS, len(held) // DESCRIPTION_SHARE))
    nearest = held[np.argsort(-cosine, kind="stable")[:n_rows]]
    text = PoolText(row_vectors[nearest], row_vectors, grounding)
    found = target_from_examples(grounding[nearest], tree, supply, text=text)
    origin = tuple(where.replace("examples", "description") for where in found.origin)
    return replace(found, origin=origin, kind="description")


def _nearest_leaves(
    asked_for: NDArray[np.float64], tree: KnowledgeTree, supply: NDArray[np.float64]
) -> TargetDistribution:
    """Share a description out over the leaves nearest to it, by a softmax of the cosines."""
    leaves = tree.vectors[: tree.n_leaves].astype(np.float64)
    mean = pool_distribution(supply) @ leaves
    likeness = _unit(asked_for - mean) @ _unit(leaves - mean).T
    asked = np.zeros(tree.n_leaves)
    for of_sentence in likeness:
        nearest = np.argsort(-of_sentence, kind="stable")[:DESCRIPTION_LEAVES]
        share = np.exp((of_sentence[nearest] - of_sentence[nearest[0]]) / DESCRIPTION_TEMPERATURE)
        asked[nearest] += share / share.sum()
    asked /= len(likeness)
    return _backed_off(asked, tree, supply, back_off=back_off_weights(tree), kind="description")


def back_off_weights(tree: KnowledgeTree) -> NDArray[np.float64]:
    """Weights of the leaf, of each level above it and (in the root's place) of pi, float64 (n_levels,)."""
    weights = BACK_OFF ** np.arange(int(tree.level.max()) + 1.0)
    weights[-1] = 0.0
    weights *= (1 - POOL_BACK_OFF) / max(weights.sum(), 1e-12)
    weights[-1] = 1 - weights[:-1].sum()
    return weights


def _backed_off(
    asked: NDArray[np.float64],
    tree: KnowledgeTree,
    supply: NDArray[np.float64],
    *,
    back_off: NDArray[np.float64],
    kind: str,
    notes: tuple[str, ...] = (),
) -> TargetDistribution:
    """Mix the levels: T_l = sum over steps h of weight_h asked(anc_h(l)) pi_l / pi(anc_h(l))."""
    chains = _chains(tree)
    pool = pool_distribution(supply)
    asked_above = np.asarray(tree.ancestors.T @ asked)
    pool_above = np.asarray(tree.ancestors.T @ pool)
    parts = back_off * (asked_above / pool_above)[chains] * pool[:, None]
    mass = parts.sum(axis=1)
    step = np.argmax(parts, axis=1)
    words = [f"{kind} under {path}" for path in tree.paths]
    origin = tuple(
        kind if h == 0 else "pool" if h == chains.shape[1] - 1 else words[chain[h]]
        for h, chain in zip(step.tolist(), chains.tolist(), strict=True)
    )
    return TargetDistribution(mass / mass.sum(), pool, supply, origin, kind, back_off, notes)


def _with_relevance(found: TargetDistribution, text: PoolText) -> TargetDistribution:
    """Count in the rows that are like the examples: T = n / (n + m) T + m / (n + m) (R, backed off to pi)."""
    n = len(text.examples)
    like = likeness(text.examples, text.rows)
    model = relevance(like, text.grounding, max(n, ENOUGH_EXAMPLES))
    if feedback_rows(n, len(text.rows)):
        few = "1 example is" if n == 1 else f"{n} examples are"
        told = f"{few} few: the pool's rows most like them stand in for {ENOUGH_EXAMPLES - n} more"
        found = replace(found, notes=(*found.notes, told))
    if not model.any():
        return replace(found, likeness=like)
    share = RELEVANCE_EXAMPLES / (n + RELEVANCE_EXAMPLES)
    model = share * ((1 - POOL_BACK_OFF) * model + POOL_BACK_OFF * found.pool)
    mass = (1 - share) * found.mass + model
    of_rows = model > 0.5 * mass
    origin = tuple(
        f"rows like the {found.kind}" if by_rows else where
        for by_rows, where in zip(of_rows.tolist(), found.origin, strict=True)
    )
    return replace(found, mass=mass / mass.sum(), origin=origin, likeness=like, relevance=share)


def _chains(tree: KnowledgeTree) -> NDArray[np.int64]:
    """Each leaf and its ancestors up to the root, int64 (n_leaves, n_levels)."""
    return tree.ancestors.indices.reshape(tree.n_leaves, -1).astype(np.int64)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.where(norm > 0, norm, 1.0)
    return unit


def resembling_nodes(
    vector: NDArray[np.float32], tree: KnowledgeTree, supply: NDArray[np.float64], *, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the nodes nearest to a vector, between the leaves and the root, nearest first, with their cosines.

    Leaves are left out where there is a level above them: rows hold little mass on any one of them. Nearness
    is the cosine after the pool's mean is taken off both sides.
    """
    inner = np.flatnonzero(tree.level[: tree.root] > 0)
    nodes = inner if len(inner) else np.arange(tree.root)
    mean = pool_distribution(supply) @ tree.vectors[: tree.n_leaves].astype(np.float64)
    cosine = _unit(tree.vectors[nodes] - mean) @ _unit(vector[None, :] - mean)[0]
    order = np.argsort(-cosine, kind="stable")[:most]
    return nodes[order], cosine[order]


def kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """KL(p || q) in nats; 0 log 0 is 0."""
    held = p > 0
    return max(0.0, float(np.sum(p[held] * np.log(p[held] / q[held]))))
