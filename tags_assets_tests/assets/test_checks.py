from __future__ import annotations

import dagster as dg
import pytest

from tags_assets.assets.checks import Judged
from tags_assets.assets.registry import check_limits, checks
from tags_assets.errors import UserError
from tags_assets.settings.limits import Limits, TargetLimits


def verdict(name, figures, before=None, **limits):
    [check] = [check for check in checks() if check.name == name]
    return check.verdict(Judged(figures, before, Limits(**limits)))


RAW = {"rows_in": 100, "rows_kept": 70, "rows_rejected": 10, "rows_duplicate": 20}


@pytest.mark.parametrize(
    ("name", "figures", "limit", "holds", "fails"),
    [
        ("few_rejected", RAW, "rejected", 0.1, 0.09),
        ("few_duplicates", RAW, "duplicate", 0.2, 0.19),
        ("few_filtered", {"rows": 70, "rows_filtered": 7}, "filtered", 0.1, 0.05),
        ("few_untagged", {"rows": 50, "rows_untagged": 5}, "untagged", 0.1, 0.05),
        ("little_drift", {"drift": 0.3}, "drift", 0.3, 0.2),
        ("near_optimal", {"certificate": 0.98, "rows_selected": 2000}, "certificate", 0.98, 0.99),
        ("near_optimal", {"certificate": 0.9, "rows_selected": 20}, "certificate_small", 0.9, 0.95),
        ("kl_above_floor", {"kl": 0.5, "kl_floor": 0.2}, "kl_above_floor", 0.31, 0.29),
    ],
)
def test_a_limit_that_the_user_sets_draws_the_line(name, figures, limit, holds, fails):
    assert verdict(name, figures, **{limit: holds})[0]
    passed, text = verdict(name, figures, **{limit: fails})
    assert not passed
    assert any(character.isdigit() for character in text)


def test_a_kl_below_its_bound_is_a_defect_whatever_the_limit():
    assert not verdict("kl_above_floor", {"kl": 0.1, "kl_floor": 0.2})[0]


FARTHER = {"kl": 2.4, "kl_random": 2.0, "kl_random_limit": 2.1, "kl_pool": 1.5, "alignment": 0.75}


def test_a_selection_farther_from_its_target_than_random_rows_is_stopped():
    passed, text = verdict("better_than_random", FARTHER)
    assert not passed
    assert "2.4000; it is 2.0000 for a random selection of this size" in text
    [check] = [check for check in checks() if check.name == "better_than_random"]
    assert check.blocks(Limits())
    assert verdict("better_than_random", FARTHER, kl_above_random=0.31)[0]
    for harmless in ({"kl": 2.05}, {"alignment": 0.0}, {"kl_pool": 0.0}):
        assert verdict("better_than_random", FARTHER | harmless)[0], harmless
    assert verdict("better_than_random", {"kl": 2.4, "kl_random": 2.0})[0], "an older version"


def test_a_source_that_jumps_is_named():
    before = {"rows_by_source": {"alpaca": 50, "dolly": 50}}
    now = {"rows_by_source": {"alpaca": 50, "dolly": 50, "scraped": 100}}
    passed, text = verdict("sources_keep_their_shares", now, before)
    assert not passed
    assert "'scraped': 0.0% to 50.0%" in text
    assert verdict("sources_keep_their_shares", now, before, source_jump=0.5)[0]
    assert verdict("sources_keep_their_shares", now, None)[0]


def test_a_pool_that_shrinks_is_told():
    assert not verdict("rows_stay", {"rows_kept": 40}, {"rows_kept": 100})[0]
    assert verdict("rows_stay", {"rows_kept": 60}, {"rows_kept": 100})[0]
    assert verdict("rows_stay", {"rows_kept": 160}, {"rows_kept": 100})[0]


def test_figures_of_older_versions_are_not_judged_by_what_they_lack():
    assert verdict("few_filtered", {"rows_filtered": 3})[0]
    assert verdict("little_drift", {"nodes": 9})[0]


@pytest.mark.parametrize("blocking", [[], ["few_rejected"]])
def test_a_check_that_the_user_names_blocks_and_the_others_warn(blocking):
    [check] = [check for check in checks() if check.name == "few_rejected"]
    limits = check_limits(Limits(rejected=0.05, blocking=blocking))
    result = check.result("raw_instances", [(None, Judged(RAW, None, limits))])
    assert not result.passed
    assert result.severity == (dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN)


def test_what_a_target_says_stands_over_the_pool_and_blocks_for_that_target_alone():
    [check] = [check for check in checks() if check.name == "near_optimal"]
    pool = Limits(certificate_small=0.9)
    strict = TargetLimits(certificate_small=0.97, blocking=["near_optimal"]).over(pool)
    assert strict.rejected == pool.rejected
    figures = {"certificate": 0.95, "rows_selected": 20}
    for limits, passed, severity in (
        (pool, True, dg.AssetCheckSeverity.WARN),
        (strict, False, dg.AssetCheckSeverity.ERROR),
        (strict.model_copy(update={"blocking": []}), False, dg.AssetCheckSeverity.WARN),
    ):
        result = check.result(
            "selected_subset",
            [("loose", Judged(figures, None, pool)), ("one", Judged(figures, None, limits))],
        )
        assert (result.passed, result.severity) == (passed, severity)


def test_a_check_that_does_not_exist_cannot_block():
    with pytest.raises(UserError, match="Did you mean 'few_rejected'"):
        check_limits(Limits(blocking=["few_reject"]))
