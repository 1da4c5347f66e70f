"""Gaps of the DSC, of nDSC and at equal size."""

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.size_neutral import (
    NO_NDSC,
    NO_STRATUM,
    size_neutral_table,
    size_strata,
    size_stratified_gap,
    standardised_means,
)
from nnunet_fair.subgroups.options import SubgroupOptions


def cohort(dsc, volumes, groups, *, min_group=2, **more) -> ScoredCohort:
    index = [f"p{i}" for i in range(len(dsc))]
    cases = pd.DataFrame({"dsc": dsc, "norm_hd": 0.1, "volume_reference_mm3": volumes, **more}, index=index)
    frame = pd.DataFrame({name: list(values) for name, values in groups.items()}, index=index, dtype=object)
    options = SubgroupOptions(min_group=min_group, min_support=0.01, n_resamples=300)
    return ScoredCohort.of(cases, frame, options=options)


def test_a_gap_of_size_alone_is_gone_at_equal_size():
    rng = np.random.default_rng(1)
    volumes = np.where(np.arange(120) % 2, rng.choice([1.0, 10, 100], 120, p=[0.6, 0.3, 0.1]), 10.0)
    volumes[::2] = rng.choice([1.0, 10, 100], 60, p=[0.1, 0.3, 0.6])
    dsc = 0.4 + 0.2 * np.log10(volumes) + rng.normal(0, 0.01, 120)
    own = cohort(dsc, volumes, {"site": "ab" * 60}, ndsc=rng.normal(0.7, 0.01, 120))
    row = size_neutral_table(own).iloc[0]
    assert row["gap_dsc"] > 0.1 and row["gap_ndsc"] < 0.01
    strata = size_strata(own.cases["volume_reference_mm3"])
    membership = own.groups.memberships[0].membership
    gap, n = size_stratified_gap(dsc, membership, strata)
    assert row["gap_equal_size"] == pytest.approx(gap) and row["n_size_strata"] == n
    assert gap < row["gap_dsc"] / 2
    assert row["gap_dsc_low"] <= row["gap_dsc"] <= row["gap_dsc_high"]
    assert row["n_cases"] == 120 and row["smallest_group"] == 60 and row["note"] == ""


def test_weights_are_repeated_cases():
    rng = np.random.default_rng(2)
    values, strata = rng.uniform(size=12), np.repeat([0, 1], 6)
    membership = np.tile(np.eye(2, dtype=bool), (6, 1))
    weights = rng.integers(1, 4, 12)
    repeated = (np.repeat(array, weights, axis=0) for array in (values, membership, strata))
    expected = standardised_means(np.ones((1, weights.sum())), *repeated)
    assert standardised_means(weights[None].astype(float), values, membership, strata) == pytest.approx(expected)


def test_what_cannot_be_estimated_is_said():
    # Every group has lesions of one size only: there is no third that all have.
    own = cohort([0.1, 0.2, 0.3, 0.8, 0.9, 0.7], [1.0, 2, 30, 40, 200, 300], {"site": "aabbcc"})
    row = size_neutral_table(own).iloc[0]
    assert np.isnan(row["gap_equal_size"]) and np.isnan(row["gap_ndsc"]) and row["n_size_strata"] == 0
    assert NO_STRATUM in row["note"] and NO_NDSC in row["note"]
    alone = cohort([0.1, 0.2, 0.3], [1.0, 2, 3], {"site": "abb"}, min_group=1)
    assert "one case only" in size_neutral_table(alone).iloc[0]["note"]
    assert np.isnan(size_neutral_table(alone).iloc[0]["gap_dsc_low"])


def test_combinations_have_rows_of_their_own():
    rng = np.random.default_rng(3)
    own = cohort(rng.uniform(size=40), rng.uniform(1, 9, 40), {"site": "ab" * 20, "sex": "ffmm" * 10})
    assert size_neutral_table(own)["attributes"].tolist() == ["site", "sex", "site × sex"]
