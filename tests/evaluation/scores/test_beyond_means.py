from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.scores.beyond_means import beyond_means, size_strata, size_stratified_gap, size_table
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.subgroups.options import SubgroupOptions

# Group x: DSC 0.2, 0.4; y: 0.6, 0.6; z: 0.9 (one case).
CASES = pd.DataFrame(
    {
        "dsc": [0.2, 0.4, 0.6, 0.6, 0.9],
        "norm_hd": [0.0] * 5,
        "volume_reference_mm3": [1.0, 2.0, 10.0, 20.0, 30.0],
    },
    list("abcde"),
)
GROUPS = pd.DataFrame({"v": list("xxyyz")}, list("abcde"))


def _cohort(*, min_group: int) -> ScoredCohort:
    return ScoredCohort.of(CASES, GROUPS, options=SubgroupOptions(min_group=min_group))


def test_measures_by_hand():
    row = beyond_means(_cohort(min_group=1)).iloc[0]
    assert (row["worst_group"], row["best_group"], row["n_groups"]) == ("x", "z", 3)
    assert row["gap_dsc"] == pytest.approx(0.6)
    assert row["max_performance_gap"] == pytest.approx((0.6 + 0.3 + 0.0) / 3)
    mean = (0.3 * 2 + 0.6 * 2 + 0.9) / 5
    variance = (2 * (0.3 - mean) ** 2 + 2 * (0.6 - mean) ** 2 + (0.9 - mean) ** 2) / 5
    assert row["between_group_variance"] == pytest.approx(variance)
    assert row["within_group_sd"] == pytest.approx(np.sqrt(0.02 / 2))
    assert row["largest_group_sd"] == pytest.approx(np.sqrt(0.02))


def test_small_groups_are_left_out():
    row = beyond_means(_cohort(min_group=2)).iloc[0]
    assert (row["best_group"], row["n_groups"]) == ("y", 2) and row["gap_dsc"] == pytest.approx(0.3)
    assert beyond_means(_cohort(min_group=3)).empty


def test_size_explains_a_gap():
    # Inside each size stratum both groups score alike; y has more of the large, easy tumours.
    dsc = np.array([0.2] * 4 + [0.8] * 4)
    membership = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [0, 1], [0, 1]], bool)
    strata = np.array([0] * 4 + [1] * 4)
    crude = abs(dsc[membership[:, 0]].mean() - dsc[membership[:, 1]].mean())
    assert crude == pytest.approx(0.3)
    assert size_stratified_gap(dsc, membership, strata) == (pytest.approx(0.0), 2)


def test_stratum_without_a_group_cannot_be_standardised():
    membership = np.array([[1, 0], [0, 1], [0, 1]], bool)
    gap, n_strata = size_stratified_gap(np.array([0.5, 0.7, 0.1]), membership, np.array([0, 0, 1]))
    assert (gap, n_strata) == (pytest.approx(0.2), 1)
    gap, n_strata = size_stratified_gap(np.array([0.5, 0.7]), membership[:2], np.array([0, 1]))
    assert np.isnan(gap) and n_strata == 0


def test_strata_are_thirds_and_empty_references_have_none():
    found = size_strata(pd.Series([0.0, 5.0, 1.0, 3.0, 2.0, 6.0, 4.0]))
    assert found.tolist() == [-1, 2, 0, 1, 0, 2, 1]
    assert size_strata(pd.Series([0.0, 0.0])).tolist() == [-1, -1]


def test_size_table_by_hand():
    # Thirds by volume: {a, b} hold x only, {c} y only, {d, e} y and z.
    table = size_table(_cohort(min_group=1))
    assert len(table) == 1 and table.loc[0, "n"] == 2
    row = table.iloc[0]
    assert (row["worst_group"], row["best_group"], row["stratum"]) == ("y", "z", 3)
    assert row["gap_dsc"] == pytest.approx(0.3)
    assert (row["volume_from_mm3"], row["volume_to_mm3"]) == (20.0, 30.0)
    assert size_table(_cohort(min_group=2)).empty
