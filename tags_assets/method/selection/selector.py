"""Selection: from scored, grounded rows and a target to the rows to train on, with figures that vouch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tags_assets.errors import UserError
from tags_assets.method.selection.alignment import kl, shortages
from tags_assets.method.selection.attribution import find_runners_up
from tags_assets.method.selection.certificate import Certificate, certify
from tags_assets.method.selection.frontier import beyond, frontier
from tags_assets.method.selection.local_search import Raised, raise_certificate
from tags_assets.method.selection.problem import Blend, Problem, RandomKL
from tags_assets.method.selection.request import MaxKL, SelectionRequest
from tags_assets.method.selection.result import SelectionFigures, SelectionResult
from tags_assets.method.selection.solver import Solution, in_order, maximise
from tags_assets.method.selection.stability import Kept, keep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.selection.attribution import Attribution
    from tags_assets.method.selection.objective import Objective
    from tags_assets.method.target.distribution import TargetDistribution
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

    Progress = Callable[[int, int], None]

STABILITY_HALVINGS = 4
"""How often stability is halved where it would break a ceiling on the KL, before it is given up."""

STRONGER = (0.5, 0.75, 1.0)
"""Values of lambda that are tried where a selection is farther from its target than random rows."""

LEAST_SCALE = 1e-9
"""A_g up to which alignment is rounding and no scale to divide by."""

ALIGNMENT_GRID = tuple(round(0.1 * step, 1) for step in range(11))
"""Values of lambda that a ceiling on the KL is tried with, smallest first."""


def select(
    grounding: sparse.csr_array,
    tree: KnowledgeTree,
    quality: NDArray[np.float64],
    target: TargetDistribution,
    request: SelectionRequest,
    *,
    progress: Progress | None = None,
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
        Called as (picked, budget) during each run of the solver on the blend.

    Raises
    ------
    UserError
        For a budget or constraint that cannot be met: which one, and by how much.
    ValueError
        For arrays that do not fit each other.
    """
    selector = _Selector(Problem.build(grounding, tree, quality, target, request), progress)
    blend, solution = selector.solve(request)
    solution = selector.keep(blend, solution, request)
    solution = selector.search(blend, solution, request)
    return selector.result(blend, solution, request)


def attribute_selection(  # noqa: PLR0917 (what `select` takes, and two more)
    grounding: sparse.csr_array,
    tree: KnowledgeTree,
    quality: NDArray[np.float64],
    target: TargetDistribution,
    request: SelectionRequest,
    rows: NDArray[np.int64],
    figures: Mapping[str, object],
) -> Attribution:
    """Take the gains of a selection made earlier apart again.

    Parameters
    ----------
    grounding, tree, quality, target, request
        As `select` was given them.
    rows
        Numbers of the selected rows in the order of their picks, int64 (k,).
    figures
        ``alignment``, ``breadth``, ``gain_scale`` and ``alignment_scale`` of the selection's
        `SelectionFigures`, also as they come back from JSON, which writes an infinite breadth as null.
    """
    problem = Problem.build(grounding, tree, quality, target, request)
    breadth, scale = figures["breadth"], figures["alignment_scale"]
    blend = Blend(
        alignment=float(str(figures["alignment"])),
        breadth=np.inf if breadth is None else float(str(breadth)),
        gain_scale=float(str(figures["gain_scale"])),
        alignment_scale=None if scale is None else float(str(scale)),
    )
    return problem.attribute(np.searchsorted(problem.candidates, rows), blend)


class _Selector:
    """Solves a problem, and keeps what there is to say about it."""

    def __init__(self, problem: Problem, progress: Progress | None) -> None:
        self.problem = problem
        self.progress = progress
        self.messages: list[str] = [*problem.target.notes]
        self.aligned: dict[float, float] = {}  # A_g by breadth
        self.of_random: dict[int, RandomKL] = {}  # by number of rows
        self.kept: Kept | None = None
        self.certificate: Certificate | None = None
        self.raised: Raised | None = None

    def solve(self, request: SelectionRequest) -> tuple[Blend, Solution]:
        """Make the selection that the request asks for.

        No row is nearer to the pool than to the pool, so where that is the target coverage alone aligns: it
        keeps the sample's mixture of concepts near the pool's (docs/method.md says what that is good for).
        """
        breadth = np.inf if self.problem.target.is_pool else request.breadth
        if isinstance(request.alignment, MaxKL):
            return self._keep_ceiling(request.alignment.ceiling, breadth)
        blend, solution = self._run(self._blend(request.alignment, breadth))
        return self._nearer_than_random(blend, solution) if request.alignment > 0 else (blend, solution)

    def _nearer_than_random(self, blend: Blend, solution: Solution) -> tuple[Blend, Solution]:
        """Align more strongly where the selection lies farther from the target than random rows do.

        Closeness pulls towards few concepts and information gain towards all of the pool's, while the KL asks
        for all of the target's: coverage alone comes first, then a larger lambda with it.
        """
        problem, asked = self.problem, blend
        first = problem.kl(solution.rows)
        limit = self.random(len(solution.rows)).limit
        found = first
        steps = [step for step in STRONGER if step > asked.alignment]
        for alignment in steps if np.isinf(asked.breadth) else [asked.alignment, *steps]:
            if found <= limit or not len(solution.rows):
                break
            stronger, others = self._run(self._blend(alignment, np.inf))
            if problem.kl(others.rows) < found:
                blend, solution, found = stronger, others, problem.kl(others.rows)
        if blend is not asked:
            self.messages.append(
                f"At alignment {asked.alignment:g} and breadth {asked.breadth:g} the selection would be "
                f"farther from the target (KL {first:.3g}) than random rows are ({limit:.3g}). It is aligned "
                f"by the spread over the target's concepts alone, at alignment {blend.alignment:g}: "
                f"KL {found:.3g}."
            )
        return blend, solution

    def random(self, n_rows: int) -> RandomKL:
        """KL of so many random rows."""
        if n_rows not in self.of_random:
            self.of_random[n_rows] = self.problem.kl_of_random(n_rows)
        return self.of_random[n_rows]

    def ceiling(self, solution: Solution, request: SelectionRequest) -> float:
        """The KL that a change of the selection must keep: the ceiling asked for, or that of random rows.

        What was not reached before is nothing that the change could break.
        """
        if isinstance(request.alignment, MaxKL):
            most = request.alignment.ceiling
        elif request.alignment > 0 and len(solution.rows):
            most = self.random(len(solution.rows)).limit
        else:
            return np.inf
        return max(most, self.problem.kl(solution.rows))

    def keep(self, blend: Blend, plain: Solution, request: SelectionRequest) -> Solution:
        """Keep what the request wants kept of the selection before, within its ceiling on the KL."""
        if request.previous is None or not request.stability:
            return plain
        problem, objective = self.problem, self.problem.objective(blend)
        previous = np.flatnonzero(np.isin(problem.candidates, request.previous))
        ceiling = self.ceiling(plain, request)
        strength, solution = request.stability, plain
        for _ in range(STABILITY_HALVINGS):
            found = keep(
                problem, objective, plain, previous=previous, strength=strength, progress=self.progress
            )
            if np.isinf(ceiling) or problem.kl(found.rows) <= ceiling:
                solution = found
                break
            strength /= 2
        else:
            strength = 0.0
        if strength < request.stability:
            self.messages.append(
                f"Stability was lowered from {request.stability:g} to {strength:g}, "
                f"so that the KL stays at or under {ceiling:.3g}."
            )
        self.kept = Kept(
            strength,
            n_previous=max(request.n_previous, len(request.previous)),
            n_kept=len(np.intersect1d(solution.rows, previous)),
            n_kept_without=len(np.intersect1d(plain.rows, previous)),
            value_without=objective.value(plain.rows),
        )
        value = objective.value(solution.rows)
        self.messages.append(
            f"Stability {strength:g} kept {self.kept.n_kept:,} of the {self.kept.n_previous:,} rows selected "
            f"before ({self.kept.n_kept_without:,} would have stayed without it); the value is {value:.4f} "
            f"instead of {self.kept.value_without:.4f}."
        )
        return solution

    def search(self, blend: Blend, solution: Solution, request: SelectionRequest) -> Solution:
        """Certify the selection, and look for a better one where the certificate asked for is not reached.

        Gains and ranks are told in the order in which greedy takes the rows of the selection that came out.
        """
        problem, objective = self.problem, self.problem.objective(blend)
        if len(solution.rows) == 0:
            return solution
        if request.certificate is None:
            self.certificate = certify(objective, problem.constraints, solution.rows)
            return solution
        ceiling = self.ceiling(solution, request)
        # Stability asks for rows that F alone would give up.
        leans = self.kept is not None and self.kept.strength > 0
        raised = raise_certificate(
            objective,
            problem.constraints,
            solution.rows,
            request.certificate,
            accepts=lambda rows: not leans and problem.kl(rows) <= ceiling,
        )
        self.certificate, self.raised = raised.certificate, raised
        self.messages.append(_search_told(raised, request.certificate, leans=leans))
        if raised.n_exchanged == 0 and len(raised.rows) == len(solution.rows):
            return solution
        found = replace(solution, rows=raised.rows)
        return in_order(objective, found, first=problem.constraints.include, priority=problem.priority)

    def _run(self, blend: Blend) -> tuple[Blend, Solution]:
        return blend, self._maximise(self.problem.objective(blend), self.progress)

    def _maximise(self, objective: Objective, progress: Progress | None = None) -> Solution:
        return maximise(
            objective, self.problem.constraints, priority=self.problem.priority, progress=progress
        )

    def _blend(self, alignment: float, breadth: float) -> Blend:
        """Find G_g and A_g, both at once; where closeness leaves nothing to scale by, coverage alone aligns.

        Closeness is measured from the candidates' mean, so it ranks rows also where none of them is nearer to
        the target than to the pool, as with weights on a few nodes: there a row's closeness is, but for a
        constant, its mass under those nodes.
        """
        problem = self.problem
        with ThreadPoolExecutor(max_workers=2) as pool:
            gain = pool.submit(self._maximise, problem.gain_objective(alignment)) if alignment < 1 else None
            if alignment > 0 and breadth not in self.aligned:
                found = pool.submit(self._maximise, problem.alignment_objective(breadth))
                self.aligned[breadth] = found.result().value
        alignment_scale = self.aligned[breadth] if alignment > 0 else None
        if alignment_scale is not None and alignment_scale <= LEAST_SCALE and not np.isinf(breadth):
            self.messages.append(
                "The rows that can be picked are together no nearer to the target than the pool's mean row, "
                "so the spread over the target's concepts alone aligns the selection."
            )
            return self._blend(alignment, np.inf)
        gain_scale = 1.0 if gain is None else gain.result().value
        return Blend(alignment, breadth, gain_scale if gain_scale > 0 else 1.0, alignment_scale)

    def _keep_ceiling(self, ceiling: float, breadth: float) -> tuple[Blend, Solution]:
        """Find the smallest lambda of a grid that keeps the KL, if need be without closeness.

        Closeness pulls towards few concepts, while the KL asks for all of them: coverage alone minimises it.
        """
        closest: tuple[float, Blend, Solution] | None = None
        for tried in dict.fromkeys([breadth, np.inf]):
            for alignment in ALIGNMENT_GRID:
                blend, solution = self._run(self._blend(alignment, tried))
                reached = self.problem.kl(solution.rows)
                if reached <= ceiling:
                    if tried != breadth:
                        self.messages.append(
                            f"No alignment at breadth {breadth:g} keeps the KL at or under {ceiling:g}, "
                            "so coverage alone aligns, without closeness."
                        )
                    return blend, solution
                if closest is None or reached < closest[0]:
                    closest = reached, blend, solution
        if closest is None:  # never: the grid is not empty
            raise AssertionError
        reached, blend, solution = closest
        n = len(solution.rows)
        self.messages.append(
            f"A KL of {ceiling:g} was not reached: the least found is {reached:.4g}, "
            f"and no selection of {n:,} rows of this pool has less than {self.problem.kl_floor(n):.4g}."
        )
        return blend, solution

    def result(self, blend: Blend, solution: Solution, request: SelectionRequest) -> SelectionResult:
        """Measure and explain a selection."""
        problem, rows = self.problem, solution.rows
        if len(rows) == 0:
            raise UserError(
                "no row adds anything to the selection",
                where="budget",
                fix="Lower the alignment, or look at the target.",
            )
        self._remark(solution)
        attribution = problem.attribute(rows, blend)
        leaf_mass = problem.leaf_mass(rows)
        supply = np.asarray(problem.grounding.sum(axis=0), dtype=np.float64).ravel()
        runners_up = find_runners_up(problem.objective(blend), rows, problem.constraints)
        return SelectionResult(
            rows=problem.candidates[rows],
            gains=solution.gains,
            figures=self._figures(blend, solution, request),
            attribution=attribution,
            frontier=frontier(problem, solution, attribution),
            beyond=beyond(problem, problem.objective(blend), solution),
            leaf_mass=leaf_mass,
            node_mass=problem.features.masses(rows)[: problem.tree.n_nodes],
            node_capacity=problem.nodes(blend.alignment).capacity,
            shortages=shortages(problem.target, problem.tree, len(rows), supply=supply, reached=leaf_mass),
            runners_up=runners_up.numbered(problem.candidates),
            messages=tuple(dict.fromkeys([*self._alarms(solution), *self.messages])),
        )

    def _alarms(self, solution: Solution) -> list[str]:
        """Say first of all where the selection does not answer what was asked."""
        problem, random = self.problem, self.random(len(solution.rows))
        if problem.target.is_pool:
            return []
        said = []
        if problem.kl(solution.rows) > random.limit:
            said.append(
                f"This selection is farther from the target (KL {problem.kl(solution.rows):.3g}) than random "
                f"rows of its size are ({random.mean:.3g}): it does not answer what the target asks for."
            )
        if not np.any(problem.leaf_mass(np.arange(len(problem.candidates)))[problem.asked] > 0):
            said.append("The pool holds nothing of what the target asks for: no row has one of its concepts.")
        return said

    def _figures(self, blend: Blend, solution: Solution, request: SelectionRequest) -> SelectionFigures:
        problem, rows = self.problem, solution.rows
        certificate = self.certificate
        if certificate is None:  # never: an empty selection has no result
            raise AssertionError
        sample, random = problem.sample(rows), self.random(len(rows))
        asked_share, asked_share_pool, asked_share_target = problem.asked_shares(rows)
        return SelectionFigures(
            n_eligible=problem.n_eligible,
            n_candidates=len(problem.candidates),
            n_selected=len(rows),
            tokens_selected=None if problem.tokens is None else int(problem.tokens[rows].sum()),
            budget=str(request.budget),
            alignment=blend.alignment,
            breadth=blend.breadth,
            text_share=problem.text_share,
            value=certificate.value,
            information_gain=problem.gain_objective(blend.alignment).value(rows),
            closeness=float(problem.closeness[rows].mean()),
            likeness=problem.likeness(rows),
            coverage=problem.alignment_objective(np.inf).value(rows),
            gain_scale=blend.gain_scale,
            alignment_scale=blend.alignment_scale,
            kl=kl(problem.target.mass, sample),
            kl_reverse=kl(sample, problem.target.mass),
            kl_pool=problem.target.divergence_from_pool,
            kl_random=random.mean,
            kl_random_limit=random.limit,
            kl_floor=problem.kl_floor(len(rows)),
            asked_share=asked_share,
            asked_share_pool=asked_share_pool,
            asked_share_target=asked_share_target,
            certificate=certificate.ratio,
            bound=certificate.bound,
            n_evaluations=solution.n_evaluations,
            strategy=solution.strategy,
            other_value=solution.other_value,
            **_figures_of(self.kept, len(rows)),
            **_figures_of_search(self.raised, request.certificate),
        )

    def _remark(self, solution: Solution) -> None:
        """Say what the selection did that the user may not expect."""
        constraints, gains = self.problem.constraints, solution.gains
        if constraints.by_tokens:
            left = constraints.budget - int(constraints.cost[solution.rows].sum())
            if left > constraints.budget * 0.01:
                self.messages.append(
                    f"{left:,} of {constraints.budget:,} tokens are left over: every further row that "
                    "fits would lower the value."
                )
        elif np.any(gains < 0):
            n = int(np.count_nonzero(gains < 0))
            self.messages.append(
                f"{n:,} of the {len(gains):,} rows lower the value (they lie farther from the target than "
                "the pool's mean row, or repeat what others say) and are there because the budget asks for "
                "so many rows."
            )


def _figures_of(kept: Kept | None, n_selected: int) -> dict[str, Any]:
    if kept is None:
        return {}
    return {
        "stability": kept.strength,
        "rows_kept": kept.n_kept,
        "rows_dropped": kept.n_previous - kept.n_kept,
        "rows_added": n_selected - kept.n_kept,
        "rows_kept_without_stability": kept.n_kept_without,
        "value_without_stability": kept.value_without,
    }


def _figures_of_search(raised: Raised | None, asked: float | None) -> dict[str, Any]:
    if raised is None:
        return {}
    return {
        "certificate_asked": asked,
        "certificate_limit": raised.certificate.limit,
        "rows_exchanged": raised.n_exchanged,
        "value_before_search": raised.value_before,
    }


def _search_told(raised: Raised, asked: float, *, leans: bool) -> str:
    """Say what a requested certificate took, and why it was not reached where it was not."""
    made = raised.certificate
    said = f"A certificate of {asked:g} was asked for: {made.ratio:.4f} is certified"
    if raised.n_exchanged:
        said += f", after {raised.n_exchanged:,} rows were exchanged (value {raised.value_before:.5g} before"
        said += f", {made.value:.5g} now)"
    if made.ratio >= asked:
        return f"{said}."
    if leans:
        said += "; rows are not exchanged where stability holds them"
    if made.limit < asked:
        return (
            f"{said}; no bound of this kind says more than {made.limit:.4f} of these rows, because it lets "
            "rows be cut into parts, and the search found no further exchange of a row that raises the value."
        )
    return f"{said}; the search and the bound have nothing left to gain."
