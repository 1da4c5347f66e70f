"""Calibration by group: worked out by hand, and against an independent implementation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_fair.evaluation.metrics.calibration import BIN_COLUMNS, SAID, SHARES, TRUE
from nnunet_fair.evaluation.scores.calibration_table import calibration_table, reliability_table, spearman
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.subgroups.options import SubgroupOptions

RNG = np.random.default_rng(5)
N = 60
SITE = np.array(["north", "south", "far"])[np.r_[np.zeros(30, int), np.ones(28, int), [2, 2]]]


def _cohort() -> ScoredCohort:
    """North: said and true agree, the uncertain cases are the worse ones. South: 0.9 is said where 0.5 is true."""
    cases = pd.DataFrame(0.0, index=[f"C{i}" for i in range(N)], columns=list(BIN_COLUMNS))
    north = SITE == "north"
    cases[SHARES[0]], cases[SHARES[13]] = 0.5, 0.5
    cases[SAID[13]] = 0.45
    cases[TRUE[13]] = np.where(north, 0.45, 0.25)
    uncertainty = RNG.random(N)
    cases = cases.assign(
        dsc=np.where(north, 1 - uncertainty, 0.5 + 0.1 * RNG.random(N)),
        norm_hd=0.1,
        uncertainty=uncertainty,
        brier=np.where(north, 0.05, 0.2),
        ece=np.where(north, 0.0, 0.2),
        volume_expected_mm3=np.where(north, 100.0, 180.0),
        volume_reference_mm3=100.0,
    )
    cases.iloc[0, cases.columns.get_indexer(["brier", "ece", *BIN_COLUMNS])] = np.nan  # was not measured
    groups = pd.DataFrame({"site": SITE}, index=cases.index)
    return ScoredCohort.of(cases, groups, options=SubgroupOptions(n_resamples=200, min_group=10))


def test_groups_by_hand():
    table = calibration_table(_cohort()).set_index("subgroup")
    assert list(table["n"]) == [59, 2, 29, 28]
    assert table.loc["site=north", "ece"] == pytest.approx(0.0)
    assert table.loc["site=south", "ece"] == pytest.approx(0.2)
    whole = table.iloc[0]
    assert whole["ece"] == pytest.approx(0.2 * 30 / 59)  # every case counts the same
    assert whole["brier"] == pytest.approx((29 * 0.05 + 30 * 0.2) / 59)
    assert table.loc["site=south", "volume_ratio"] == pytest.approx(1.8)
    assert whole["ece_low"] < whole["ece"] < whole["ece_high"]
    assert table.loc["site=north", "knows_when_it_fails"] == pytest.approx(1.0)
    assert abs(table.loc["site=south", "knows_when_it_fails"]) < 0.5
    assert table.loc["site=far", "note"] == "knows_when_it_fails cannot be estimated: fewer than 5 cases"
    assert not table.loc["site=far", "decides"]


def test_reliability_of_a_bin_by_hand():
    table = reliability_table(_cohort())
    south = table[(table["subgroup"] == "site=south") & (table["bin_from"] > 0.8)].iloc[0]
    assert (south["said"], south["true"], south["share"]) == pytest.approx((0.9, 0.5, 0.5))
    assert south["n_cases"] == south["n"] == 28
    assert set(table["kind"]) == {"all", "group"}


def test_no_table_where_nothing_was_measured():
    cohort = _cohort()
    without = ScoredCohort(cohort.cases.drop(columns=list(BIN_COLUMNS)), cohort.groups)
    assert calibration_table(without).empty and reliability_table(without).empty


def test_spearman_equals_scipy_and_has_the_interval_of_bonett_and_wright():
    first, second = RNG.normal(size=40), RNG.normal(size=40)
    value, low, high = spearman(first, second, confidence=0.95)
    assert value == pytest.approx(stats.spearmanr(first, second).statistic)
    half = 1.959964 * np.sqrt((1 + value**2 / 2) / 37)
    assert (np.arctanh(low), np.arctanh(high)) == pytest.approx((np.arctanh(value) - half, np.arctanh(value) + half))
    assert np.isnan(spearman(first, np.ones(40), confidence=0.95)).all()
    assert np.isnan(spearman(first[:4], second[:4], confidence=0.95)).all()
