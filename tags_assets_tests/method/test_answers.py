"""A selection answers its target: it is nearer to it than random rows, and has more of what was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.method.selection.request import Budget, SelectionRequest
from tags_assets.method.selection.selector import select
from tags_assets_tests.method.planted import planted_pool, planted_targets

ALIGNMENTS = (0.25, 0.5, 0.75, 1.0)

LEAST_ALIGNMENT, LEAST_PICKS = 0.5, 5
"""From where on the picks must have more of what was asked for: at a lower alignment the target asks for less
than half of the value, and a pick or two can be of anything."""


def faults(pool, asked, n_picks, alignment=0.75, **request):
    """What is wrong with the answer to a target, in words; empty where nothing is."""
    found = select(
        pool.grounding,
        pool.tree,
        pool.quality,
        asked.target,
        SelectionRequest(budget=Budget(rows=n_picks), alignment=alignment, **request),
    )
    figures, said = found.figures, []
    if figures.kl > figures.kl_random_limit:
        said.append(f"KL {figures.kl:.4f}, of random rows {figures.kl_random:.4f}")
    judged = alignment >= LEAST_ALIGNMENT and n_picks >= LEAST_PICKS
    if judged and asked.of_row is not None and asked.of_row.std() > 0:
        share, of_pool = asked.of_row[found.rows].mean(), asked.of_row.mean()
        if share <= of_pool:
            said.append(f"{share:.3f} of what was asked for, the pool has {of_pool:.3f}")
    return said


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    share=st.floats(0.005, 0.33),
    alignment=st.sampled_from(ALIGNMENTS),
)
def test_a_selection_is_nearer_to_its_target_than_random_rows_and_has_more_of_its_topic(
    seed, share, alignment
):
    pool = planted_pool(seed)
    n_picks = max(1, int(share * pool.n_rows))
    for asked in planted_targets(pool, seed):
        assert not faults(pool, asked, n_picks, alignment=alignment), asked.kind


@pytest.mark.parametrize("breadth", [0.0, 0.15, 3.0])
def test_it_answers_at_every_breadth(breadth):
    pool = planted_pool(1)
    for asked in planted_targets(pool, 1):
        assert not faults(pool, asked, 12, breadth=breadth), asked.kind
