from __future__ import annotations

import numpy as np
import pytest

from nnunet_fair.subgroups.bootstrap import Intervals
from nnunet_fair.subgroups.group_means import group_mean_intervals


def test_ends_are_bca_and_percentile_where_bca_does_not_exist():
    intervals = Intervals(
        estimate=np.array([0.5, 0.6, 0.7]),
        percentile=np.array([[0.4, 0.6], [0.5, 0.7], [np.nan, np.nan]]),
        bca=np.array([[0.41, 0.61], [np.nan, np.nan], [np.nan, np.nan]]),
    )
    assert np.array_equal(intervals.ends(), [[0.41, 0.61], [0.5, 0.7], [np.nan, np.nan]], equal_nan=True)


def test_means_leave_out_cases_without_a_score_and_small_groups_have_no_interval():
    values = np.array([0.2, 0.4, np.nan, 0.9, 0.7])
    membership = np.array([[1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1]], dtype=bool)
    found = group_mean_intervals(values, membership, n_resamples=200)
    assert list(found.n) == [2, 1, 0, 4]
    assert found.mean == pytest.approx([0.3, 0.9, np.nan, 0.55], nan_ok=True)
    assert np.isfinite(found.low) == pytest.approx([True, False, False, True])
    assert 0.2 <= found.low[0] < 0.3 < found.high[0] <= 0.4
    assert np.isnan(group_mean_intervals(values, membership, min_cases=5, n_resamples=200).low).all()


def test_an_interval_depends_on_the_cases_and_the_seed_only():
    values = np.linspace(0, 1, 30) ** 2
    first = np.arange(30)[:, None] < [10, 30]
    alone = group_mean_intervals(values, first[:, :1], seed=3, n_resamples=300)
    together = group_mean_intervals(values, first, seed=3, n_resamples=300)
    assert (alone.low[0], alone.high[0]) == pytest.approx((together.low[0], together.high[0]), abs=1e-12)
    assert alone.low[0] != group_mean_intervals(values, first[:, :1], seed=4, n_resamples=300).low[0]
