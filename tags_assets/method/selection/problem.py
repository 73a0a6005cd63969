"""The problem that a request poses: candidates, features and constraints, laid out for the solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.method.selection.alignment import (
    closeness,
    departure,
    kl,
    kl_floor,
    prior,
    sample_distribution,
)
from tags_assets.method.selection.attribution import Attribution, attribute, lost_to_repetition
from tags_assets.method.selection.constraints import Constraints, build_constraints
from tags_assets.method.selection.objective import (
    TEXT_BRANCH,
    NodeWeights,
    Objective,
    fair_shares,
    node_weights,
    tree_objective,
    with_texts,
)
from tags_assets.method.selection.solver import greedy

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.selection.request import SelectionRequest
    from tags_assets.method.target.distribution import TargetDistribution
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree


RANDOM_DRAWS, FEW_RANDOM_DRAWS = 20, 5
"""Samples that the KL of random rows is the mean of: the fewer of more than `MANY_PICKS` rows, which differ
little."""

MANY_PICKS = 2_000

RANDOM_SPREADS = 2.0
RANDOM_LEAST = 0.01
"""How far above the mean KL of random rows a selection still counts as no farther from the target than they
are: so many of their standard deviations, and so many nats at least, a difference of no consequence."""


@dataclass(frozen=True)
class RandomKL:
    """KL(T || P_S) of random rows, in nats: its mean, and above what a selection is farther than they are."""

    mean: float
    limit: float


@dataclass(frozen=True)
class Blend:
    """How the two parts of F are weighed against each other.

    Attributes
    ----------
    alignment
        lambda in [0, 1].
    breadth
        Weight of coverage beside closeness; infinite: coverage alone.
    gain_scale, alignment_scale
        G_g and A_g; 1 and None where the part takes no part.
    """

    alignment: float
    breadth: float
    gain_scale: float = 1.0
    alignment_scale: float | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows here are numbered among the candidates.

    Attributes
    ----------
    candidates
        Number of each candidate among all rows, int64 (n_candidates,), ascending.
    n_eligible
        Rows that a fraction is of.
    n_picks
        Rows that the budget buys: exactly, or under a budget of tokens as many as rows of average length.
    budget_mass
        Mass, weighted with quality, that the budget buys of rows of mean quality.
    capacity
        a_l, float64 (n_leaves,).
    closeness
        Of each candidate, in nats, float64 (n_candidates,).
    aim
        Factor of a row's closeness in A: the mean departure over its own, float64 (n_candidates,).
    text_share, text
        Share of closeness that is the likeness of the whole text, and that likeness, centred and brought to
        the spread of the aimed closeness, float64 (n_candidates,); 0 where the target has none.
    features
        Nodes, then leaves, then groups of nearly the same text, shared by every objective that the problem
        makes; its bonus is what the information gain takes off for the texts.
    priority
        Order among rows of equal gain; None is the order of the rows.
    tokens
        Of each candidate, None where they are not known.
    """

    tree: KnowledgeTree
    target: TargetDistribution
    grounding: sparse.csr_array
    candidates: NDArray[np.int64]
    n_eligible: int
    n_picks: float
    budget_mass: float
    capacity: NDArray[np.float64]
    closeness: NDArray[np.float64]
    aim: NDArray[np.float64]
    text_share: float
    text: NDArray[np.float64]
    features: Objective
    constraints: Constraints
    priority: NDArray[np.int32] | None
    tokens: NDArray[np.int64] | None

    @classmethod
    def build(
        cls,
        grounding: sparse.csr_array,
        tree: KnowledgeTree,
        quality: NDArray[np.float64],
        target: TargetDistribution,
        request: SelectionRequest,
    ) -> Problem:
        """Lay out a request; parameters and errors are those of `selector.select`."""
        grounding = _checked(grounding, tree, quality, target)
        eligible, candidates, include = _candidates(grounding, quality, request)
        tokens = None if request.tokens is None else np.asarray(request.tokens, dtype=np.int64)[candidates]
        budget = request.budget
        if budget.tokens is not None and tokens is None:
            raise ValueError("a budget of tokens needs the tokens of each row")
        constraints = build_constraints(
            len(candidates),
            budget.n_rows(int(eligible.sum())) if budget.tokens is None else budget.tokens,
            tokens=None if budget.tokens is None else tokens,
            attributes={
                name: np.asarray(values)[candidates] for name, values in sorted(request.attributes.items())
            },
            max_share=request.max_share,
            min_share=request.min_share,
            include=np.searchsorted(candidates, include),
        )
        n_picks = min(constraints.budget / float(constraints.cost.mean()), float(len(candidates)))
        chosen, q = grounding[candidates], quality[candidates].astype(np.float64)
        capacity = prior(target, n_picks)
        departs = departure(chosen, target, tree)
        near, aim = closeness(chosen, target), departs.mean() / departs
        text = _text(target, candidates, (near - near.mean()) * aim)
        nodes = node_weights(tree, target.pool, 1.0)  # features need to know which nodes count, and no more
        features = tree_objective(chosen, tree, q, nodes, coverage_capacity=capacity)
        if request.texts is not None:
            way = np.asarray(chosen.sum(axis=0)).ravel() @ (tree.ancestors @ nodes.weight) / len(candidates)
            features = with_texts(features, request.texts[candidates], q, TEXT_BRANCH * float(way))
        return cls(
            tree=tree,
            target=target,
            grounding=chosen,
            candidates=candidates,
            n_eligible=int(eligible.sum()),
            n_picks=n_picks,
            budget_mass=max(n_picks * float(q.mean()), 1e-6),
            capacity=capacity,
            closeness=near,
            aim=aim,
            text_share=request.text_share if text.any() else 0.0,
            text=text,
            features=features,
            constraints=constraints,
            priority=_priority(len(candidates), request.seed),
            tokens=tokens,
        )

    @property
    def n_tree_features(self) -> int:
        """Features of the tree, nodes and leaves; groups of texts come behind them."""
        return self.tree.n_nodes + self.tree.n_leaves

    def nodes(self, alignment: float) -> NodeWeights:
        """w_v and c_v under a lambda: what counts as covered depends on what is asked for."""
        fair = fair_shares(self.target.pool, self.target.mass, alignment)
        return node_weights(self.tree, fair, self.budget_mass)

    def gain_objective(self, alignment: float, scale: float = 1.0) -> Objective:
        """G / scale, with the capacities of a lambda."""
        nodes, texts = self.nodes(alignment), slice(self.n_tree_features, None)
        return self.features.reweighted(
            np.concatenate(
                [nodes.weight / scale, np.zeros(self.tree.n_leaves), self.features.weight[texts] / scale]
            ),
            np.concatenate([nodes.capacity, self.capacity, self.features.capacity[texts]]),
            self.features.bonus / scale,
        )

    def alignment_objective(self, breadth: float, scale: float = 1.0) -> Objective:
        """A / scale, where A = closeness above the mean + breadth x coverage.

        Closeness is that of the concepts, aimed, and the likeness of the whole text, by `text_share`.

        The candidates' mean is taken off so that A is measured from what a random sample has; without this a
        large budget, which must take rows nearer to the pool than to the target, would leave nothing to scale
        by. An infinite breadth is coverage alone.
        """
        alone = np.isinf(breadth)
        coverage = (1.0 if alone else breadth) * self.target.mass / self.capacity / scale
        bonus = np.zeros(len(self.candidates))
        if not alone:
            concepts = (self.closeness - self.closeness.mean()) * self.aim
            bonus = (1 - self.text_share) * concepts + self.text_share * self.text
            bonus /= self.n_picks * scale
        weight = np.zeros(self.features.n_features)
        weight[self.tree.n_nodes : self.n_tree_features] = coverage
        return self.features.reweighted(weight, self.features.capacity, bonus)

    def objective(self, blend: Blend) -> Objective:
        """F = (1 - lambda) G / G_g + lambda A / A_g."""
        part = blend.alignment if blend.alignment_scale is not None else 0.0
        if part == 0 or blend.alignment_scale is None:
            return self.gain_objective(0.0, blend.gain_scale)
        aligned = self.alignment_objective(blend.breadth, blend.alignment_scale / part)
        if part == 1:
            return aligned
        gain = self.gain_objective(part, blend.gain_scale / (1 - part))
        return self.features.reweighted(
            gain.weight + aligned.weight, gain.capacity, gain.bonus + aligned.bonus
        )

    def attribute(self, rows: NDArray[np.int64], blend: Blend) -> Attribution:
        """Take the gains of picks (in their order) apart; see `tags_assets.method.selection.attribution`."""
        chosen = self.grounding[rows]
        scale = 0.0
        if blend.alignment_scale is not None and not np.isinf(blend.breadth):
            scale = blend.alignment / (blend.alignment_scale * self.n_picks)
        # A row's shares sum to 1, so the mean that its bonus is measured from falls on its leaves by them.
        above_mean = np.log(self.target.mass / self.target.pool) - self.closeness.mean()
        aim = np.repeat(self.aim[rows], np.diff(chosen.indptr))
        amounts = chosen.data * above_mean[chosen.indices] * aim * (scale * (1 - self.text_share))
        objective, n = self.objective(blend), self.n_tree_features
        parts = attribute(
            objective,
            rows,
            n_nodes=self.tree.n_nodes,
            n_features=n,
            closeness=(chosen.indptr, chosen.indices, amounts) if scale else None,
        )
        text = self.text[rows] * (scale * self.text_share) - lost_to_repetition(objective, rows, n)
        return parts.with_text(text, self.tree.root) if text.any() else parts

    def likeness(self, rows: NDArray[np.int64]) -> float | None:
        """Mean likeness of picks above that of the candidates, in nats; None where the target has no text."""
        if self.target.likeness is None:
            return None
        of_candidates = self.target.likeness[self.candidates]
        return float(of_candidates[rows].mean() - of_candidates.mean())

    def leaf_mass(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """n_l, float64 (n_leaves,)."""
        return np.asarray(self.grounding[rows].sum(axis=0), dtype=np.float64).ravel()

    def sample(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """P_S, float64 (n_leaves,)."""
        return sample_distribution(self.leaf_mass(rows), self.capacity)

    def kl(self, rows: NDArray[np.int64]) -> float:
        """KL(T || P_S) in nats."""
        return kl(self.target.mass, self.sample(rows))

    def kl_of_random(self, n_picks: int) -> RandomKL:
        """Measure KL(T || P_S) of random candidates that keep to the same constraints, from a fixed seed.

        They hold the rows of ``include``, and caps and floors bind them as they bind the selection: what the
        user demands beside the target is not held against the selection. Under a budget of tokens they are as
        many rows as were selected.
        """
        random = np.random.default_rng(0)
        n_draws = RANDOM_DRAWS if n_picks <= MANY_PICKS else FEW_RANDOM_DRAWS
        draws = [self.kl(self._random_rows(n_picks, random)) for _ in range(n_draws)]
        mean, spread = float(np.mean(draws)), float(np.std(draws))
        return RandomKL(mean, mean + max(RANDOM_SPREADS * spread, RANDOM_LEAST))

    def _random_rows(self, n_picks: int, random: np.random.Generator) -> NDArray[np.int64]:
        constraints, n = self.constraints, len(self.candidates)
        if constraints.n_groups:
            # All rows gain alike, so the order among equals decides.
            alike = self.features.reweighted(
                np.zeros(self.features.n_features), self.features.capacity, np.ones(n)
            )
            return greedy(alike, constraints, priority=random.permutation(n).astype(np.int32)).rows
        others = np.setdiff1d(np.arange(n), constraints.include)
        more = min(max(n_picks - len(constraints.include), 0), len(others))
        return np.concatenate([constraints.include, random.choice(others, size=more, replace=False)])

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Leaves of which T asks for more than the pool has, bool (n_leaves,)."""
        return self.target.mass > self.target.pool * (1 + 1e-9)

    def asked_shares(self, rows: NDArray[np.int64]) -> tuple[float, float, float]:
        """Share of selection, pool and target on the `asked` leaves."""
        asked, target = self.asked, self.target
        of_rows = self.leaf_mass(rows)[asked].sum() / len(rows)
        return float(of_rows), float(target.pool[asked].sum()), float(target.mass[asked].sum())

    def kl_floor(self, n_picks: int) -> float:
        """Bound from below the KL of every selection of `n_picks` candidates."""
        return kl_floor(self.target, self.grounding, n_picks, self.capacity)

    def kl_of_prefixes(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """KL(T || P_S) of the first 1, 2, ... picks, float64 (k,)."""
        alone = attribute(
            self.alignment_objective(np.inf),
            rows,
            n_nodes=self.tree.n_nodes,
            n_features=self.n_tree_features,
        )
        coverage = np.cumsum(alone.totals(len(rows)).sum(axis=1))
        start = float(np.dot(self.target.mass, np.log(self.target.mass / self.capacity)))
        total = np.arange(1, len(rows) + 1) + self.capacity.sum()
        divergence: NDArray[np.float64] = np.maximum(start + np.log(total) - coverage, 0.0)
        return divergence


def _checked(
    grounding: sparse.csr_array,
    tree: KnowledgeTree,
    quality: NDArray[np.float64],
    target: TargetDistribution,
) -> sparse.csr_array:
    """Raise where the arrays do not fit each other; return the grounding in canonical form."""
    n_rows, n_leaves = grounding.shape
    if n_leaves != tree.n_leaves or len(target.mass) != tree.n_leaves:
        raise ValueError(
            f"grounding has {n_leaves} leaves, the target {len(target.mass)}, the tree {tree.n_leaves}"
        )
    if target.likeness is not None and len(target.likeness) != n_rows:
        raise ValueError(f"{len(target.likeness)} likenesses for {n_rows} rows")
    if len(quality) != n_rows:
        raise ValueError(f"{len(quality)} qualities for {n_rows} rows")
    if not (np.all(np.isfinite(quality)) and np.all(quality >= 0) and np.all(quality <= 1)):
        raise ValueError("quality must lie in [0, 1]")
    if np.any(grounding.data < 0):
        raise ValueError("grounding has negative masses")
    if not grounding.has_canonical_format or np.any(grounding.data == 0):
        grounding = grounding.copy()
        grounding.sum_duplicates()
        grounding.eliminate_zeros()
    return grounding


def _candidates(
    grounding: sparse.csr_array, quality: NDArray[np.float64], request: SelectionRequest
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Find eligible rows, those that may be picked, and those that must be."""
    n_rows = grounding.shape[0]
    eligible = np.diff(grounding.indptr) > 0
    if request.eligible is not None:
        eligible &= request.eligible
    if not eligible.any():
        raise UserError(
            f"none of the {n_rows:,} rows can be selected",
            fix="Rows must be kept at reading, not be duplicates, and have tags.",
        )
    include = np.unique(np.asarray(request.include, dtype=np.int64))

    def name(row: int) -> str:
        return repr(request.names[row]) if request.names is not None else f"number {row}"

    for row in include[~eligible[include]][:1]:
        raise InvalidInputError(
            f"row {name(row)} cannot be selected: it is filtered, a duplicate or has no tags",
            where="constraints.include",
            fix="Take it out of include.",
        )
    open_rows = eligible & (quality >= request.min_quality)
    if request.exclude is not None:
        for row in include[request.exclude[include]][:1]:
            raise InvalidInputError(
                f"row {name(row)} is named by include and by exclude", where="constraints"
            )
        open_rows &= ~request.exclude
    open_rows[include] = True
    if not open_rows.any():
        raise InvalidInputError(
            f"exclude and min_quality {request.min_quality:g} leave none of "
            f"the {int(eligible.sum()):,} eligible rows",
            where="constraints",
        )
    return eligible, np.flatnonzero(open_rows), include


def _text(
    target: TargetDistribution, candidates: NDArray[np.int64], concepts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Centre the likeness of the candidates and bring it to the spread of what their concepts say.

    The kernel's nats are those of vectors: their spread differs by embedder, and a share of one and the rest
    of the other must mean the same for all.
    """
    if target.likeness is None:
        return np.zeros(len(candidates))
    like = target.likeness[candidates]
    spread = float(like.std())
    if spread <= 0:
        return np.zeros(len(candidates))
    text: NDArray[np.float64] = (like - like.mean()) * (float(concepts.std()) / spread)
    return text


def _priority(n_rows: int, seed: int) -> NDArray[np.int32] | None:
    return None if seed == 0 else np.random.default_rng(seed).permutation(n_rows).astype(np.int32)
