"""Selection: from scored, grounded rows and a target to the rows to train on, with the figures that vouch for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.errors import UserError
from tags_assets.method.alignment import (
    closeness,
    kl,
    kl_floor,
    prior,
    sample_distribution,
    shortages,
)
from tags_assets.method.attribution import Attribution, attribute, find_runners_up
from tags_assets.method.certificate import Certificate, certify
from tags_assets.method.constraints import Constraints, build_constraints
from tags_assets.method.objective import NodeWeights, Objective, node_weights, tree_objective
from tags_assets.method.request import MaxKL, SelectionRequest
from tags_assets.method.selection_result import FRONTIER_SCHEMA, SelectionFigures, SelectionResult
from tags_assets.method.solver import Solution, maximise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.alignment import TargetDistribution
    from tags_assets.method.knowledge_tree import KnowledgeTree

ALIGNMENT_GRID = tuple(round(0.1 * step, 1) for step in range(11))
"""Values of lambda that a ceiling on the KL is tried with, smallest first."""


def select(
    grounding: sparse.csr_array,
    tree: KnowledgeTree,
    quality: NDArray[np.float64],
    target: TargetDistribution,
    request: SelectionRequest,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SelectionResult:
    """Select rows that maximise F(S) = (1 - lambda) G(S) / G_g + lambda A(S) / A_g under the constraints.

    Parameters
    ----------
    grounding
        p_i(l), float64 CSR (n_rows, n_leaves); rows sum to 1, or to 0 where they have no tags.
    tree
        The knowledge tree.
    quality
        q_i in [0, 1], float64 (n_rows,).
    target
        T, with pi of the eligible rows.
    request
        Budget, alignment, constraints.
    progress
        Called as (picked, budget) during the last run of the solver.

    Raises
    ------
    UserError
        For a budget or constraint that cannot be met: which one, and by how much.
    ValueError
        For arrays that do not fit each other.
    """
    problem = _Problem.build(grounding, tree, quality, target, request)
    outcome = problem.solve(request, progress)
    return problem.result(outcome, request)


@dataclass(frozen=True, eq=False)
class _Outcome:
    """One answer of the solver, with the objective that it answers."""

    objective: Objective
    solution: Solution
    alignment: float
    breadth: float
    gain_scale: float
    alignment_scale: float | None


@dataclass(frozen=True, eq=False)
class _Problem:
    """The candidates of a request, laid out for the solver: rows here are numbered among the candidates."""

    tree: KnowledgeTree
    target: TargetDistribution
    grounding: sparse.csr_array
    candidates: NDArray[np.int64]
    n_eligible: int
    n_picks: float
    nodes: NodeWeights
    capacity: NDArray[np.float64]
    closeness: NDArray[np.float64]
    features: Objective
    constraints: Constraints
    priority: NDArray[np.int32] | None
    tokens: NDArray[np.int64] | None
    messages: list[str]

    @classmethod
    def build(
        cls,
        grounding: sparse.csr_array,
        tree: KnowledgeTree,
        quality: NDArray[np.float64],
        target: TargetDistribution,
        request: SelectionRequest,
    ) -> _Problem:
        grounding = _checked(grounding, tree, quality, target)
        eligible, candidates, include = _candidates(grounding, quality, request)
        tokens = None if request.tokens is None else np.asarray(request.tokens, dtype=np.int64)[candidates]
        budget = request.budget
        if budget.tokens is not None and tokens is None:
            raise ValueError("a budget of tokens needs the tokens of each row")
        by_tokens = budget.tokens if tokens is not None else None
        constraints = build_constraints(
            len(candidates),
            budget.n_rows(int(eligible.sum())) if by_tokens is None else by_tokens,
            tokens=None if by_tokens is None else tokens,
            attributes={
                name: np.asarray(request.attributes[name])[candidates]
                for name in {*request.max_share, *request.min_share} & set(request.attributes)
            },
            max_share=request.max_share,
            min_share=request.min_share,
            include=np.searchsorted(candidates, include),
        )
        # Under a budget of tokens the rows that it buys are not known beforehand: as many as an average row allows.
        n_picks = min(constraints.budget / float(constraints.cost.mean()), float(len(candidates)))
        chosen, q = grounding[candidates], quality[candidates].astype(np.float64)
        nodes = node_weights(tree, target.pool, n_picks, float(q.mean()))
        capacity = prior(target, n_picks)
        return cls(
            tree=tree,
            target=target,
            grounding=chosen,
            candidates=candidates,
            n_eligible=int(eligible.sum()),
            n_picks=n_picks,
            nodes=nodes,
            capacity=capacity,
            closeness=closeness(chosen, target),
            features=tree_objective(chosen, tree, q, nodes, coverage_capacity=capacity),
            constraints=constraints,
            priority=_priority(len(candidates), request.seed),
            tokens=tokens,
            messages=[*target.notes],
        )

    def gain_objective(self, scale: float = 1.0) -> Objective:
        """G / scale."""
        weight = np.concatenate([self.nodes.weight / scale, np.zeros(self.tree.n_leaves)])
        return self.features.reweighted(weight, np.zeros(len(self.candidates)))

    def alignment_objective(self, breadth: float, scale: float = 1.0) -> Objective:
        """A / scale = (closeness + breadth x coverage) / scale; an infinite breadth is coverage alone."""
        far = np.isinf(breadth)
        coverage = (1.0 if far else breadth) * self.target.mass / self.capacity / scale
        weight = np.concatenate([np.zeros(self.tree.n_nodes), coverage])
        bonus = np.zeros(len(self.candidates)) if far else self.closeness / (self.n_picks * scale)
        return self.features.reweighted(weight, bonus)

    def solve(self, request: SelectionRequest, progress: Callable[[int, int], None] | None) -> _Outcome:
        """Make the selection that the request asks for."""
        asked = request.alignment
        if isinstance(asked, MaxKL):
            return self._keep_ceiling(asked.ceiling, request.breadth, progress)
        if asked > 0 and self.target.is_pool:
            self.messages.append(
                "The target is the pool itself: there is nothing to align to, so information gain alone decides."
            )
            asked = 0.0
        return self._blend(asked, request.breadth, self._scales(asked, request.breadth), progress)

    def _scales(self, alignment: float, breadth: float) -> tuple[Solution | None, Solution | None]:
        """What greedy reaches on either part alone; None for a part that takes no part."""
        wanted = [
            self.gain_objective() if alignment < 1 else None,
            self.alignment_objective(breadth) if alignment > 0 else None,
        ]
        with ThreadPoolExecutor(max_workers=2) as pool:
            gain, aligned = pool.map(
                lambda o: None if o is None else maximise(o, self.constraints, priority=self.priority), wanted
            )
        return gain, aligned

    def _blend(
        self,
        alignment: float,
        breadth: float,
        scales: tuple[Solution | None, Solution | None],
        progress: Callable[[int, int], None] | None = None,
    ) -> _Outcome:
        gain, aligned = scales
        if aligned is not None and alignment > 0 and aligned.value <= 0:
            self.messages.append(
                f"The pool holds nothing like the target (the best alignment that {len(aligned.rows):,} rows reach is "
                f"{aligned.value:.3g}), so information gain alone decides."
            )
            alignment, aligned = 0.0, None
            gain = gain or maximise(self.gain_objective(), self.constraints, priority=self.priority)
        gain_scale = 1.0 if gain is None or gain.value <= 0 else gain.value
        alignment_scale = None if aligned is None else aligned.value
        parts = [self.gain_objective(gain_scale / (1 - alignment))] if alignment < 1 else []
        if alignment > 0 and alignment_scale is not None:
            parts.append(self.alignment_objective(breadth, alignment_scale / alignment))
        objective = self.features.reweighted(
            np.sum([part.weight for part in parts], axis=0), np.sum([part.bonus for part in parts], axis=0)
        )
        solution = maximise(objective, self.constraints, priority=self.priority, progress=progress)
        return _Outcome(objective, solution, alignment, breadth, gain_scale, alignment_scale)

    def _keep_ceiling(
        self, ceiling: float, breadth: float, progress: Callable[[int, int], None] | None
    ) -> _Outcome:
        """Find the smallest lambda of the grid that keeps the KL; failing that, coverage alone, and say so."""
        scales = self._scales(0.5, breadth)
        reached: list[tuple[float, _Outcome]] = []
        usable = scales[1] is not None and scales[1].value > 0
        for alignment in ALIGNMENT_GRID if usable else (0.0,):
            outcome = self._blend(alignment, breadth, scales, progress)
            reached.append((self._kl(outcome.solution.rows), outcome))
            if reached[-1][0] <= ceiling:
                return outcome
        # Closeness pulls towards few concepts; the KL asks for all of them, and coverage alone minimises it.
        wide = self._scales(1.0, np.inf)
        outcome = self._blend(1.0, np.inf, wide, progress)
        found = self._kl(outcome.solution.rows)
        least, best = min(reached, key=lambda pair: pair[0])
        if found <= ceiling:
            self.messages.append(
                f"No alignment at breadth {breadth:g} keeps the KL at or under {ceiling:g} (the least is {least:.4g}); "
                f"coverage alone does ({found:.4g}), so closeness was left out."
            )
            return outcome
        if found < least:
            least, best = found, outcome
        floor = self._kl_floor(len(best.solution.rows))
        self.messages.append(
            f"A KL of {ceiling:g} was not reached: the least found is {least:.4g}, and no selection of "
            f"{len(best.solution.rows):,} rows of this pool has less than {floor:.4g}."
        )
        return best

    def _leaf_mass(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self.grounding[rows].sum(axis=0)).ravel()

    def _kl(self, rows: NDArray[np.int64]) -> float:
        return kl(self.target.mass, sample_distribution(self._leaf_mass(rows), self.capacity))

    def _kl_floor(self, n_picks: int) -> float:
        return kl_floor(self.target, self.grounding, n_picks, self.capacity)

    def result(self, outcome: _Outcome, request: SelectionRequest) -> SelectionResult:
        """Measure and explain a selection."""
        objective, rows = outcome.objective, outcome.solution.rows
        if len(rows) == 0:
            raise UserError(
                "no row adds anything to the selection",
                where="budget",
                mend="Lower the alignment, or look at the target.",
            )
        certificate = certify(objective, self.constraints, rows)
        parts = self._attribution(outcome)
        frontier = self._frontier(outcome, parts)
        leaf_mass = self._leaf_mass(rows)
        node_mass = self.features.masses(rows)[: self.tree.n_nodes]
        supply = np.asarray(self.grounding.sum(axis=0)).ravel()
        figures = self._figures(outcome, request, certificate, leaf_mass)
        runners = find_runners_up(objective, rows, self.constraints)
        self._remark(outcome)
        return SelectionResult(
            rows=self.candidates[rows],
            gains=outcome.solution.gains,
            figures=figures,
            attribution=parts,
            frontier=frontier,
            leaf_mass=leaf_mass,
            node_mass=node_mass,
            node_capacity=self.nodes.capacity,
            shortages=shortages(self.target, self.tree, len(rows), supply=supply, reached=leaf_mass),
            runners_up=runners.numbered(self.candidates),
            messages=tuple(dict.fromkeys(self.messages)),
        )

    def _figures(
        self,
        outcome: _Outcome,
        request: SelectionRequest,
        certificate: Certificate,
        leaf_mass: NDArray[np.float64],
    ) -> SelectionFigures:
        rows = outcome.solution.rows
        sample = sample_distribution(leaf_mass, self.capacity)
        return SelectionFigures(
            n_eligible=self.n_eligible,
            n_candidates=len(self.candidates),
            n_selected=len(rows),
            tokens_selected=None if self.tokens is None else int(self.tokens[rows].sum()),
            budget=str(request.budget),
            alignment=outcome.alignment,
            breadth=outcome.breadth,
            value=certificate.value,
            information_gain=self.gain_objective().value(rows),
            closeness=float(self.closeness[rows].sum() / self.n_picks),
            coverage=self.alignment_objective(np.inf).value(rows),
            gain_scale=outcome.gain_scale,
            alignment_scale=outcome.alignment_scale,
            kl=kl(self.target.mass, sample),
            kl_reverse=kl(sample, self.target.mass),
            kl_pool=self.target.divergence_from_pool,
            kl_floor=self._kl_floor(len(rows)),
            certificate=certificate.ratio,
            bound=certificate.bound,
            n_evaluations=outcome.solution.n_evaluations,
            strategy=outcome.solution.strategy,
            other_value=outcome.solution.other_value,
        )

    def _attribution(self, outcome: _Outcome) -> Attribution:
        rows = outcome.solution.rows
        chosen = self.grounding[rows]
        scale = 0.0
        if outcome.alignment > 0 and outcome.alignment_scale is not None and not np.isinf(outcome.breadth):
            scale = outcome.alignment / (outcome.alignment_scale * self.n_picks)
        ratio = np.log(self.target.mass / self.target.pool)
        amounts = chosen.data * ratio[chosen.indices] * scale
        held = scale != 0.0
        return attribute(
            outcome.objective,
            rows,
            n_nodes=self.tree.n_nodes,
            closeness_indptr=chosen.indptr.astype(np.int64)
            if held
            else np.zeros(len(rows) + 1, dtype=np.int64),
            closeness_leaves=chosen.indices.astype(np.int32) if held else np.zeros(0, dtype=np.int32),
            closeness_amounts=amounts if held else np.zeros(0),
        )

    def _frontier(self, outcome: _Outcome, parts: Attribution) -> pl.DataFrame:
        rows = outcome.solution.rows
        totals = np.cumsum(parts.totals(len(rows)), axis=0)
        count = np.arange(1, len(rows) + 1)
        # coverage of a prefix in nats, whatever weight it has in the objective
        coverage = np.cumsum(self._coverage_gains(rows))
        mass, capacity = self.target.mass, self.capacity
        start = float(np.dot(mass, np.log(mass / capacity)))
        return pl.DataFrame(
            {
                "rows": count,
                "tokens": None if self.tokens is None else np.cumsum(self.tokens[rows]),
                "value": np.cumsum(outcome.solution.gains),
                "gain": totals[:, 0],
                "closeness": totals[:, 1],
                "coverage": totals[:, 2],
                "kl": np.maximum(start + np.log(count + capacity.sum()) - coverage, 0.0),
            },
            schema=FRONTIER_SCHEMA,
        )

    def _coverage_gains(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        nothing = np.zeros(len(rows) + 1, dtype=np.int64)
        alone = attribute(
            self.alignment_objective(np.inf),
            rows,
            n_nodes=self.tree.n_nodes,
            closeness_indptr=nothing,
            closeness_leaves=np.zeros(0, dtype=np.int32),
            closeness_amounts=np.zeros(0),
        )
        return alone.totals(len(rows)).sum(axis=1)

    def _remark(self, outcome: _Outcome) -> None:
        """Say what the selection did that the user may not expect."""
        gains = outcome.solution.gains
        if self.constraints.by_tokens:
            left = self.constraints.budget - int(self.constraints.cost[outcome.solution.rows].sum())
            if left > self.constraints.budget * 0.01:
                self.messages.append(
                    f"{left:,} of {self.constraints.budget:,} tokens are left over: every further row that fits "
                    "would lower the value."
                )
        elif np.any(gains < 0):
            n = int(np.count_nonzero(gains < 0))
            self.messages.append(
                f"{n:,} of the {len(gains):,} rows lower the value (they lie nearer to the pool than to the target) "
                "and are there because the budget asks for so many rows: a smaller one would do better."
            )


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
            mend="Rows must be kept at reading, not be duplicates, and have tags.",
        )
    include = np.unique(np.asarray(request.include, dtype=np.int64))

    def name(row: int) -> str:
        return repr(request.names[row]) if request.names is not None else f"number {row}"

    for row in include[~eligible[include]][:1]:
        raise UserError(
            f"row {name(row)} cannot be selected: it is filtered, a duplicate or has no tags",
            where="constraints.include",
            mend="Take it out of include.",
        )
    open_rows = eligible & (quality >= request.min_quality)
    if request.exclude is not None:
        for row in include[request.exclude[include]][:1]:
            raise UserError(f"row {name(row)} is named by include and by exclude", where="constraints")
        open_rows &= ~request.exclude
    open_rows[include] = True
    if not open_rows.any():
        raise UserError(
            f"exclude and min_quality {request.min_quality:g} leave none of the {int(eligible.sum()):,} eligible rows",
            where="constraints",
        )
    return eligible, np.flatnonzero(open_rows), include


def _priority(n_rows: int, seed: int) -> NDArray[np.int32] | None:
    return None if seed == 0 else np.random.default_rng(seed).permutation(n_rows).astype(np.int32)
