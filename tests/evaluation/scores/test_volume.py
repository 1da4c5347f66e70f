"""Volume errors by subgroup."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.volume import NO_SPREAD, ONE_CASE, TOO_SMALL, volume_table
from nnunet_fair.subgroups.options import SubgroupOptions


def cohort(reference, prediction, site, **more) -> ScoredCohort:
    index = [f"p{i}" for i in range(len(reference))]
    volumes = {"volume_reference_mm3": reference, "volume_prediction_mm3": prediction}
    cases = pd.DataFrame({"dsc": 0.5, "norm_hd": 0.1, **volumes}, index=index)
    frame = pd.DataFrame({"site": list(site), **more}, index=index, dtype=object)
    return ScoredCohort.of(cases, frame, options=SubgroupOptions(min_group=2, n_resamples=400))


def test_worked_out_by_hand():
    reference, prediction = [100.0, 200, 400, 50, 80, 10], [50.0, 150, 420, 50, 88, 11]
    table = volume_table(cohort(reference, prediction, "aaabbb")).set_index("subgroup")
    difference = np.array([-50.0, -50, 20])
    row = table.loc["site=a"]
    assert row["n"] == 3 and row["relative_error"] == pytest.approx((-0.5 - 0.25 + 0.05) / 3)
    assert row["bias_mm3"] == pytest.approx(difference.mean())
    assert row["sd_mm3"] == pytest.approx(difference.std(ddof=1))
    limits = difference.mean() + 1.96 * difference.std(ddof=1) * np.array([-1, 1])
    assert row[["limit_low_mm3", "limit_high_mm3"]].tolist() == pytest.approx(limits.tolist())
    expected = stats.ttest_ind([-0.5, -0.25, 0.05], [0, 0.1, 0.1], equal_var=False)
    assert (row["t"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))


def test_who_is_outlined_too_small_is_said():
    rng = np.random.default_rng(0)
    reference = rng.uniform(500, 5000, 80)
    error = np.where(np.arange(80) % 2, -0.3, 0.0) + rng.normal(0, 0.1, 80)
    table = volume_table(cohort(reference, reference * (1 + error), "ab" * 40)).set_index("subgroup")
    assert table["tendency"].tolist() == [TOO_SMALL, "none seen", TOO_SMALL]
    assert table.loc["site=b", "q"] < 0.001
    for name in ("relative_error", "bias_mm3", "limit_low_mm3", "limit_high_mm3"):
        assert (table[f"{name}_low"] < table[name]).all() and (table[name] < table[f"{name}_high"]).all()


def test_what_cannot_be_estimated_is_said():
    site = [*"aabb", "c"]
    table = volume_table(cohort([10.0, 10, 20, 20, 30], [10.0, 10, 30, 10, 20], site)).set_index("subgroup")
    assert table.loc["site=c", "note"] == ONE_CASE
    assert np.isnan(table.loc["site=c", ["sd_mm3", "limit_low_mm3", "relative_error_low"]].astype(float)).all()
    assert table.loc["site=a", "note"] == NO_SPREAD and table.loc["site=a", "tendency"] == ""
    assert np.isnan(table.loc["site=a", "relative_error_low"])


def test_cases_without_a_lesion_or_without_volumes_are_left_out():
    table = volume_table(cohort([0.0, 10, 20, np.nan], [5.0, 10, 30, 7], "aabb"))
    assert table["n"].tolist() == [2, 1, 1]
    assert volume_table(cohort([np.nan] * 2, [np.nan] * 2, "ab")).empty
    bare = cohort([1.0, 2], [1.0, 2], "ab")
    assert volume_table(ScoredCohort(bare.cases[["dsc", "norm_hd"]], bare.groups)).empty
