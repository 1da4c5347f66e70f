"""The divergence table against SciPy and in plain loops, for overlapping subgroups and incomplete scores."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.itemsets import Subgroups


def subgroups(membership: np.ndarray) -> Subgroups:
    n_cases, n_subgroups = membership.shape
    itemsets = tuple(((f"a{i}", "x"),) for i in range(n_subgroups))
    return Subgroups(tuple(f"c{i}" for i in range(n_cases)), itemsets, membership.astype(bool))


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_every_column_equals_scipys(offset):
    rng = np.random.default_rng(3)
    membership = rng.random((40, 6)) < [0.5, 0.3, 0.8, 0.2, 0.5, 0.6]
    scores = rng.random(40) + offset  # far from 0 the squares would cancel
    scores[[3, 8, 21]] = np.nan
    found = subgroup_divergence(subgroups(membership), scores)
    scored = np.isfinite(scores)
    assert found["subgroup"].tolist() == [f"a{i}=x" for i in range(6)]
    for column, row in zip(membership.T, found.itertuples(), strict=True):
        inside, outside = scores[column & scored], scores[~column & scored]
        test = stats.ttest_ind(inside, outside, equal_var=False)
        assert (row.n, row.support) == (len(inside), len(inside) / 37)
        assert row.mean_score - offset == pytest.approx(inside.mean() - offset, abs=1e-7)
        assert row.divergence == pytest.approx(inside.mean() - scores[scored].mean(), abs=1e-7)
        assert (row.t, row.p) == pytest.approx((test.statistic, test.pvalue), rel=1e-5)


def test_two_cases_on_each_side_are_enough_for_a_t_and_one_is_not():
    scores = np.array([0.1, 0.3, 0.6, 0.9])
    membership = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]])
    found = subgroup_divergence(subgroups(membership), scores)
    expected = stats.ttest_ind(scores[:2], scores[2:], equal_var=False)
    assert found["t"].tolist() == pytest.approx([expected.statistic, np.nan, np.nan], nan_ok=True)
    assert found["p"].tolist() == pytest.approx([expected.pvalue, np.nan, np.nan], nan_ok=True)


def test_spread_on_one_side_is_enough_for_a_t():
    found = subgroup_divergence(subgroups(np.array([[1], [1], [0], [0]])), np.array([0.5, 0.5, 0.6, 0.9]))
    assert found.loc[0, "t"] == pytest.approx((0.5 - 0.75) / np.sqrt(0.045 / 2))


def test_without_spread_on_either_side_there_is_no_t():
    found = subgroup_divergence(subgroups(np.array([[1], [1], [0], [0]])), np.array([0.5, 0.5, 0.75, 0.75]))
    assert found.loc[0, "divergence"] == -0.125 and found[["t", "p"]].isna().all(axis=None)


def test_without_any_score_there_is_a_table_of_nothing():
    found = subgroup_divergence(subgroups(np.ones((2, 1))), np.full(2, np.nan))
    assert found["n"].tolist() == [0] and found["support"].tolist() == [0.0]
    assert found[["mean_score", "divergence", "t", "p"]].isna().all(axis=None)
    assert found["n"].dtype == int


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("xyz")), min_size=1, max_size=30))
def test_divergences_of_a_partition_cancel(cases):
    scores = np.array([score for score, _ in cases])
    names = pd.Series([name for _, name in cases])
    membership = np.column_stack([(names == name).to_numpy() for name in "xyz"])
    found = subgroup_divergence(subgroups(membership), scores)
    held = found[found["n"] > 0]
    assert found["n"].sum() == len(cases)
    assert (held["n"] * held["divergence"]).sum() == pytest.approx(0, abs=1e-9)
    assert held["support"].sum() == pytest.approx(1.0)
