"""The mean of the worst tenth."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.tails import worst_share_mean, worst_share_table
from nnunet_fair.subgroups.options import SubgroupOptions


def of(values, share):
    values = np.asarray(values, dtype=float)
    return worst_share_mean(np.ones((1, len(values))), values, np.ones((len(values), 1), bool), share=share)[0, 0]


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


@given(st.lists(st.integers(0, 5), min_size=4, max_size=12).filter(any), st.integers(0, 10))
def test_whole_weights_are_repeated_cases(weights, seed):
    values = np.random.default_rng(seed).uniform(size=len(weights))
    weighted = worst_share_mean(np.array([weights], float), values, np.ones((len(weights), 1), bool), share=0.3)
    assert weighted[0, 0] == pytest.approx(of(np.repeat(values, weights), 0.3))


def test_groups_are_apart_and_a_group_without_weight_has_none():
    values = np.array([0.1, 0.2, 0.8, 0.9])
    membership = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    weights = np.array([[1.0, 1, 1, 1], [0, 0, 1, 1]])
    found = worst_share_mean(weights, values, membership, share=0.5)
    assert found[0] == pytest.approx([0.1, 0.8]) and np.isnan(found[1, 0])


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
