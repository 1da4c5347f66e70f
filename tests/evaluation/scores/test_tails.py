"""The mean of the worst tenth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.tails import (
    NO_SPREAD,
    TOO_FEW,
    worst_share_interval,
    worst_share_mean,
    worst_share_table,
)
from nnunet_fair.subgroups.options import SubgroupOptions


def of(values, share):
    return worst_share_mean(np.asarray(values, dtype=float), share)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        (np.arange(20) / 20, 0.1, 0.025),  # the two worst, 0 and 0.05
        ([0.9, 0.1, 0.5], 0.1, 0.1),  # less than one case: that case
        ([0.2, 0.4, 0.6, 0.8], 0.375, (0.2 + 0.5 * 0.4) / 1.5),  # one case and a half
        ([0.2, 0.4], 1.0, 0.3),
    ],
)
def test_worked_out_by_hand(values, share, expected):
    assert of(values, share) == pytest.approx(expected)


def test_without_a_case_it_does_not_exist():
    assert np.isnan(of([], 0.1)) and np.isnan(worst_share_interval(np.array([]), 0.1)).all()


def test_interval_by_hand():
    values = np.array([0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9])
    moved = np.minimum(values - 0.6, 0) / 0.3  # the three worst of ten; 0.6 comes next
    half = stats.t.ppf(0.975, 2) * moved.std(ddof=1) / np.sqrt(10)
    assert worst_share_interval(values, 0.3) == pytest.approx((max(0.3 - half, 0), 0.3 + half))
    narrow = worst_share_interval(values, 0.3, confidence=0.5)
    assert narrow[1] == pytest.approx(0.3 + stats.t.ppf(0.75, 2) * moved.std(ddof=1) / np.sqrt(10))


@pytest.mark.parametrize("values", [np.arange(29) / 29, np.zeros(40), np.repeat([0.0, 1.0], [10, 40])])
def test_few_or_equal_worst_cases_have_no_interval(values):
    assert np.isnan(worst_share_interval(values)).all()
    assert np.isfinite(worst_share_interval(np.arange(30) / 30)).all()


def test_an_impossible_share_is_refused():
    with pytest.raises(ValueError, match="a share above 0 and at most 1"):
        of([0.1], 0)


def test_table_has_every_subgroup_with_an_interval_around_its_value():
    rng = np.random.default_rng(4)
    index = [f"p{i}" for i in range(41)]
    cases = pd.DataFrame({"dsc": rng.uniform(size=41), "norm_hd": 0.1}, index=index)
    frame = pd.DataFrame({"site": ["a", "b"] * 20 + ["c"]}, index=index, dtype=object)
    options = SubgroupOptions(min_group=5, n_resamples=300)
    table = worst_share_table(ScoredCohort.of(cases, frame, options=options), share=0.25).set_index("subgroup")
    assert list(table.index) == ["all", "site=a", "site=b", "site=c"]
    worst = np.sort(cases["dsc"].to_numpy()[:40:2])[:5]  # a quarter of the twenty of site a
    assert table.loc["site=a", "worst_dsc"] == pytest.approx(worst.mean())
    large = table.drop("site=c")
    assert (large["low"] <= large["worst_dsc"]).all() and (large["worst_dsc"] <= large["high"]).all()
    assert table.loc["site=c", ["low", "high"]].isna().all() and not table.loc["site=c", "decides"]
    assert table.loc["site=c", "note"] == TOO_FEW and table.loc["site=a", "note"] == ""
    perfect = ScoredCohort.of(cases.assign(dsc=1.0), frame, options=options)
    assert worst_share_table(perfect, share=0.25)["note"][0] == NO_SPREAD
