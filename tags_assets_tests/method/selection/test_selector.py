from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from tags_assets.errors import UserError
from tags_assets.method.selection.alignment import (
    closeness,
    target_from_examples,
    target_from_pool,
    target_from_weights,
)
from tags_assets.method.selection.attribution import PARTS
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.near_texts import ALONE
from tags_assets.method.selection.problem import Blend, Problem
from tags_assets.method.selection.request import Budget, MaxKL, SelectionRequest
from tags_assets.method.selection.result import BEYOND_SCHEMA, FRONTIER_SCHEMA
from tags_assets.method.selection.selector import select
from tags_assets.method.selection.solver import greedy
from tags_assets_tests.method.selection.problems import random_grounding, small_tree

N = 600


@pytest.fixture(scope="module")
def pool():
    tree = small_tree((40, 12, 4), seed=1)
    grounding = random_grounding(1, N, 40)
    quality = np.random.default_rng(1).beta(5, 2, N)
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    return tree, grounding, quality, supply


@pytest.fixture(scope="module")
def target(pool):
    tree, _, _, supply = pool
    examples = random_grounding(9, 12, 6, most=2)
    examples.resize((12, 40))
    return target_from_examples(examples, tree, supply)


def run(pool, target, **request):
    tree, grounding, quality, _ = pool
    request = {"budget": Budget(rows=60), **request}
    return select(grounding, tree, quality, target, SelectionRequest(**request))


@pytest.mark.parametrize("alignment", [0.0, 0.3, 1.0, MaxKL(2.0)])
def test_gains_taken_apart_add_up_and_the_frontier_ends_at_the_figures(pool, target, alignment):
    found = run(pool, target, alignment=alignment)
    figures = found.figures
    assert len(found.rows) == len(set(found.rows.tolist())) == 60
    assert np.abs(found.attribution.totals(60).sum(axis=1) - found.gains).max() < 1e-9
    assert dict(found.frontier.schema) == FRONTIER_SCHEMA
    last = found.frontier.row(-1, named=True)
    assert last["value"] == pytest.approx(figures.value)
    assert last["kl"] == pytest.approx(figures.kl, abs=1e-6)
    assert sum(last[part] for part in PARTS) == pytest.approx(figures.value)
    assert figures.kl_floor <= figures.kl
    assert figures.value <= figures.bound
    assert found.leaf_mass.sum() == pytest.approx(60)


@pytest.mark.parametrize("alignment", [0.0, 0.5])
def test_of_rows_of_nearly_the_same_text_fewer_are_picked_and_gains_still_add_up(pool, target, alignment):
    asked = target if alignment else target_from_pool(pool[0], pool[3])
    texts = np.full(N, ALONE)
    texts[run(pool, asked, alignment=alignment).rows] = np.arange(60) % 3  # each is said by twenty
    found = run(pool, asked, alignment=alignment, texts=texts)
    assert np.sum(texts[found.rows] >= 0) < 58
    parts = found.attribution
    assert np.abs(parts.totals(60).sum(axis=1) - found.gains).max() < 1e-9
    assert found.figures.value <= found.figures.bound
    assert len(parts.node) == len(set(zip(parts.pick, parts.node, parts.part, strict=True)))


def test_groups_of_one_row_change_nothing(pool, target):
    plain, found = run(pool, target), run(pool, target, texts=np.arange(N))
    assert found.rows.tolist() == plain.rows.tolist()
    assert found.figures.value == pytest.approx(plain.figures.value)
    assert found.attribution.totals(60) == pytest.approx(plain.attribution.totals(60))


@pytest.mark.parametrize("alignment", [0.0, 0.7])
def test_beyond_the_budget_the_curve_goes_on_as_greedy_would(pool, target, alignment):
    found = run(pool, target, alignment=alignment)
    assert dict(found.beyond.schema) == BEYOND_SCHEMA
    assert found.beyond["rows"].to_list() == list(range(61, 121))
    tree, grounding, quality, _ = pool
    request = SelectionRequest(budget=Budget(rows=60), alignment=alignment)
    problem = Problem.build(grounding, tree, quality, target, request)
    objective = problem.objective(
        Blend(alignment, found.figures.breadth, found.figures.gain_scale, found.figures.alignment_scale)
    )
    longer = greedy(objective, build_constraints(N, 120))
    assert longer.rows[:60].tolist() == found.rows.tolist()
    assert found.beyond["value"].to_numpy() == pytest.approx(np.cumsum(longer.gains)[60:])
    assert found.beyond["kl"][-1] == pytest.approx(problem.kl_of_prefixes(longer.rows)[-1])


def test_beyond_the_budget_is_what_the_pool_the_caps_and_the_tokens_allow(pool, target):
    assert len(run(pool, target, budget=Budget(rows=N)).beyond) == 0
    assert run(pool, target, budget=Budget(rows=N - 10)).beyond["rows"].to_list() == list(range(N - 9, N + 1))
    source = np.where(np.arange(N) < 70, "few", "many")
    capped = run(pool, target, attributes={"source": source}, max_share={"source": {"many": 0.5}})
    assert (source[capped.rows] == "many").sum() <= 30
    # 120 rows would need 60 of the few, which are there; 200 of them would not
    assert len(capped.beyond) == 60
    attributes = {"attributes": {"source": source}, "max_share": {"source": {"many": 0.5}}}
    assert len(run(pool, target, budget=Budget(rows=100), **attributes).beyond) == 0
    tokens = np.random.default_rng(0).integers(10, 200, N)
    spent = run(pool, target, budget=Budget(tokens=3000), tokens=tokens).beyond
    assert 3000 < spent["tokens"][-1] <= 6000


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_whole_text_takes_its_share_of_closeness_and_stands_at_the_root(pool, target, share):
    tree = pool[0]
    like = np.random.default_rng(4).normal(size=N) * 7 + 3
    found = run(pool, replace(target, likeness=like), alignment=1.0, breadth=0.0, text_share=share)
    assert found.figures.text_share == share
    assert found.figures.likeness == pytest.approx(like[found.rows].mean() - like.mean())
    totals = found.attribution.totals(60)
    assert np.abs(totals.sum(axis=1) - found.gains).max() < 1e-9
    text = found.attribution.part == PARTS.index("text")
    assert set(found.attribution.node[text]) == ({tree.root} if share else set())
    assert (np.diff(found.attribution.pick) >= 0).all()
    last = found.frontier.row(-1, named=True)
    assert sum(last[part] for part in PARTS) == pytest.approx(last["value"])
    if share == 0:
        assert found.rows.tolist() == run(pool, target, alignment=1.0, breadth=0.0).rows.tolist()
    if share == 1:
        assert set(found.rows) == set(np.argsort(-like)[:60])


def test_the_unit_of_likeness_does_not_matter(pool, target):
    like = np.random.default_rng(4).normal(size=N)
    one = run(pool, replace(target, likeness=like))
    other = run(pool, replace(target, likeness=100 * like - 5))
    assert one.rows.tolist() == other.rows.tolist()
    constant = run(pool, replace(target, likeness=np.full(N, 2.0)))
    assert constant.figures.text_share == 0.0
    assert constant.rows.tolist() == run(pool, target).rows.tolist()


def test_lambda_means_the_share_of_either_part_at_its_best(pool, target):
    gain_alone, aligned = run(pool, target, alignment=0.0), run(pool, target, alignment=1.0)
    assert gain_alone.figures.value == pytest.approx(1.0)
    assert aligned.figures.value == pytest.approx(1.0)
    between = run(pool, target, alignment=0.5)
    assert between.figures.value <= 1.0
    assert between.figures.information_gain <= gain_alone.figures.information_gain * (1 + 1e-9)
    assert gain_alone.figures.kl > between.figures.kl
    assert gain_alone.figures.closeness < between.figures.closeness


def test_breadth_buys_a_lower_kl_for_less_closeness(pool, target):
    narrow = run(pool, target, alignment=1.0, breadth=0.0)
    wide = run(pool, target, alignment=1.0, breadth=10.0)
    assert wide.figures.kl < narrow.figures.kl
    assert wide.figures.closeness < narrow.figures.closeness


def test_a_target_that_is_the_pool_is_aligned_to_by_coverage_alone(pool):
    tree, _, _, supply = pool
    target = target_from_pool(tree, supply)
    alone, between, kept = (run(pool, target, alignment=alignment) for alignment in (0.0, 0.5, 1.0))
    assert alone.figures.kl > between.figures.kl > kept.figures.kl
    assert alone.figures.information_gain > between.figures.information_gain
    assert between.figures.breadth == np.inf
    assert between.figures.closeness == pytest.approx(0.0)
    assert alone.messages == between.messages == kept.messages == ()


def test_breadth_says_nothing_where_the_target_is_the_pool(pool):
    tree, _, _, supply = pool
    target = target_from_pool(tree, supply)
    narrow, wide = (run(pool, target, alignment=0.5, breadth=breadth) for breadth in (0.0, 3.0))
    assert narrow.rows.tolist() == wide.rows.tolist()


def test_a_target_that_the_pool_knows_nothing_of_is_said_first(pool):
    tree, grounding, quality, _ = pool
    few = sparse.csr_array(grounding[:, :20].toarray())
    few.resize((N, 40))
    held = np.diff(few.indptr) > 0
    few = few.multiply(1 / np.where(held, few.sum(axis=1), 1)[:, None]).tocsr()
    target = target_from_weights({"n39": 1.0}, tree, np.asarray(few.sum(axis=0)).ravel())
    request = SelectionRequest(budget=Budget(rows=20), alignment=1.0, breadth=0.0)
    found = select(few, tree, quality, target, request)
    assert found.figures.alignment == 1.0
    assert "holds nothing of what the target asks for" in found.messages[0]


@pytest.mark.parametrize("node", ["n3", "n41", "n53"])
def test_weights_on_a_node_prefer_rows_under_it(pool, node):
    """No row is nearer to such a target than to the pool: its closeness is negative everywhere."""
    tree, grounding, quality, supply = pool
    target = target_from_weights({node: 1.0}, tree, supply)
    mixed = sparse.csr_array(0.2 * grounding + 0.8 * np.broadcast_to(target.pool, grounding.shape))
    assert closeness(mixed, target).max() < 0
    under = mixed @ tree.ancestors[:, [tree.number_of[node]]].toarray().ravel()
    found = select(mixed, tree, quality, target, SelectionRequest(budget=Budget(rows=30)))
    assert found.figures.alignment == 0.75
    assert found.figures.kl < found.figures.kl_random
    assert found.figures.asked_share > found.figures.asked_share_pool
    assert under[found.rows].mean() > 0.8 * np.sort(under)[-30:].mean()


def test_a_selection_of_all_candidates_is_aligned_by_coverage(pool, target):
    found = run(pool, target, budget=Budget(rows=N), alignment=1.0, breadth=0.0)
    assert found.figures.breadth == np.inf
    assert found.figures.kl == pytest.approx(found.figures.kl_random)
    assert any("together no nearer to the target" in message for message in found.messages)


def test_a_selection_farther_than_random_rows_is_aligned_more_strongly(pool):
    """Precision alone crowds on one leaf of a target that asks for twenty."""
    tree, _, quality, _ = pool
    rng = np.random.default_rng(3)
    leaf = np.where(np.arange(N) < 40, 0, rng.integers(1, 40, N))
    grounding = sparse.csr_array((np.ones(N), (np.arange(N), leaf)), shape=(N, 40))
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    mass = np.full(40, 0.2) + 0.8 * (np.arange(40) < 20)
    mass[0] *= 4
    target = replace(target_from_pool(tree, supply), mass=mass / mass.sum(), kind="examples")
    request = SelectionRequest(budget=Budget(rows=40), alignment=0.9, breadth=0.0)
    found = select(grounding, tree, quality, target, request)
    assert found.figures.kl <= found.figures.kl_random_limit
    assert found.figures.breadth == np.inf
    assert any("than random rows are" in message for message in found.messages)
    told = select(grounding, tree, quality, target, replace(request, exclude=leaf != 0))
    assert told.figures.kl == pytest.approx(told.figures.kl_random)


def test_random_rows_keep_to_the_constraints_of_the_selection(pool, target):
    """What the user demands beside the target is not held against the selection."""
    _, grounding, _, _ = pool
    off = np.argsort(closeness(grounding, target), kind="stable")[:40]
    found = run(pool, target, budget=Budget(rows=45), include=off)
    assert found.figures.kl <= found.figures.kl_random_limit
    assert "farther" not in found.messages[0] if found.messages else True
    kind = np.where(np.isin(np.arange(N), off), "off", "on")
    floors = {"attributes": {"kind": kind}, "min_share": {"kind": {"off": 0.66}}}
    by_rows = run(pool, target, budget=Budget(rows=60), **floors)
    assert by_rows.figures.kl <= by_rows.figures.kl_random_limit
    free = run(pool, target, budget=Budget(rows=60))
    assert by_rows.figures.kl_random > free.figures.kl_random
    by_tokens = run(pool, target, budget=Budget(tokens=6000), tokens=np.full(N, 100), **floors)
    assert by_tokens.figures.kl <= by_tokens.figures.kl_random_limit


def test_a_ceiling_takes_the_smallest_lambda_that_keeps_it(pool, target):
    loose, tight = run(pool, target, alignment=MaxKL(3.0)), run(pool, target, alignment=MaxKL(0.25))
    assert loose.figures.kl <= 3.0
    assert tight.figures.alignment > loose.figures.alignment
    reached = run(pool, target, alignment=loose.figures.alignment)
    assert reached.rows.tolist() == loose.rows.tolist()


def test_a_ceiling_out_of_reach_is_said_with_the_least_found_and_the_floor(pool, target):
    found = run(pool, target, alignment=MaxKL(1e-6))
    message = next(m for m in found.messages if "was not reached" in m)
    assert f"{found.figures.kl:.4g}" in message
    assert f"{found.figures.kl_floor:.4g}" in message


def test_budgets_are_of_the_eligible_rows(pool, target):
    eligible = np.arange(N) % 2 == 0
    found = run(pool, target, budget=Budget(fraction=0.1), eligible=eligible)
    assert found.figures.n_eligible == N // 2
    assert len(found.rows) == 30
    assert eligible[found.rows].all()


def test_a_budget_of_tokens_is_kept_and_its_rows_counted(pool, target):
    tokens = np.random.default_rng(0).integers(10, 200, N)
    found = run(pool, target, budget=Budget(tokens=3000), tokens=tokens)
    assert found.figures.tokens_selected == tokens[found.rows].sum() <= 3000
    assert found.figures.strategy in {"gain", "gain per token"}
    assert found.figures.other_value <= found.figures.value + 1e-12
    assert found.frontier["tokens"].to_list() == np.cumsum(tokens[found.rows]).tolist()


def test_rows_without_tags_excluded_or_poor_are_never_picked_and_included_ones_always(pool, target):
    tree, grounding, quality, _ = pool
    bare = grounding.copy()
    bare.data[bare.indptr[5] : bare.indptr[6]] = 0
    exclude = np.arange(N) % 3 == 0
    poor = int(np.argmin(np.where(exclude | (np.arange(N) == 5), 2, quality)))
    request = SelectionRequest(budget=Budget(rows=100), exclude=exclude, min_quality=0.6, include=[poor])
    found = select(bare, tree, quality, target, request)
    assert found.figures.n_eligible == N - 1
    assert not exclude[found.rows].any()
    assert 5 not in found.rows
    assert found.rows[0] == poor
    assert (quality[found.rows[1:]] >= 0.6).all()


def test_shares_of_attributes_hold(pool, target):
    source = np.where(np.arange(N) < 400, "alpaca", "dolly")
    found = run(
        pool,
        target,
        attributes={"source": source},
        max_share={"source": {"alpaca": 0.3}},
        min_share={"source": {"dolly": 0.5}},
    )
    assert np.sum(source[found.rows] == "alpaca") <= 18


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"budget": Budget(rows=601)}, "asks for 601 rows and 600 can be selected: 1 too many"),
        ({"include": [3], "exclude": np.arange(N) == 3}, "row 'id-3' is named by include and by exclude"),
        ({"include": [3], "eligible": np.arange(N) != 3}, "row 'id-3' cannot be selected"),
        ({"min_quality": 1.0}, "leave none of the 600 eligible rows"),
        ({"eligible": np.zeros(N, dtype=bool)}, "none of the 600 rows can be selected"),
        ({"max_share": {"sauce": {"a": 0.1}}}, "no column named 'sauce'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(pool, target, request_, said):
    with pytest.raises(UserError) as caught:
        run(pool, target, names=[f"id-{i}" for i in range(N)], **request_)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_seed_orders_only_rows_of_equal_gain(pool, target):
    plain, other = run(pool, target, seed=0), run(pool, target, seed=4)
    assert plain.figures.value == pytest.approx(other.figures.value, rel=1e-6)
    tree, grounding, quality, _ = pool
    twice = sparse.vstack([grounding, grounding]).tocsr()
    doubled = replace(target, supply=2 * target.supply)
    request = SelectionRequest(budget=Budget(rows=10))
    first = select(twice, tree, np.tile(quality, 2), doubled, request)
    assert (first.rows[:1] < N).all()
    again = select(twice, tree, np.tile(quality, 2), doubled, replace(request, seed=3))
    assert set(first.rows % N) == set(again.rows % N)


def test_rows_that_lower_the_value_are_counted(pool, target):
    found = run(pool, target, alignment=1.0, breadth=0.0, budget=Budget(rows=500))
    assert any("lower the value" in message for message in found.messages)


def test_arrays_that_do_not_fit_are_refused(pool, target):
    tree, grounding, quality, _ = pool
    with pytest.raises(ValueError, match="qualities"):
        select(grounding, tree, quality[:-1], target, SelectionRequest())
    with pytest.raises(ValueError, match="leaves"):
        select(grounding[:, :-1].tocsr(), tree, quality, target, SelectionRequest())
    with pytest.raises(ValueError, match="quality must lie"):
        select(grounding, tree, quality * 3, target, SelectionRequest())
