from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.subgroup_table import (
    SUBGROUP_COLUMNS,
    SubgroupOptions,
    false_discovery_rate,
    subgroup_table,
)

RNG = np.random.default_rng(0)
INDEX = pd.Index([f"c{i}" for i in range(80)])
GROUPS = pd.DataFrame(
    {"age": ["old"] * 30 + ["young"] * 45 + [None] * 5, "site": (["a=b", "c"] * 38) + ["rare"] * 4}, INDEX, dtype=object
)
CASES = pd.DataFrame(
    {
        "dsc": np.concatenate([RNG.uniform(0.3, 0.7, 30), RNG.uniform(0.5, 0.9, 50)]),
        "norm_hd": RNG.random(80),
        "hd95_mm": RNG.random(80) * 40,
    },
    INDEX,
)
OPTIONS = SubgroupOptions(n_resamples=300)


def _table(cases: pd.DataFrame, groups: pd.DataFrame, options: SubgroupOptions = OPTIONS) -> pd.DataFrame:
    return subgroup_table(ScoredCohort.of(cases, groups, options=options))


TABLE = _table(CASES, GROUPS).set_index("subgroup")


def test_columns_and_rows():
    table = _table(CASES, GROUPS)
    assert list(table.columns) == list(SUBGROUP_COLUMNS)
    assert table["subgroup"][0] == "all" and table["n"][0] == 80
    assert table["subgroup"][1:6].tolist() == ["age=old", "age=young", "site=a=b", "site=c", "site=rare"]
    assert set(table.loc[table["kind"] == "combination", "attributes"]) == {"age × site"}


def test_a_group_is_described_as_by_hand():
    old, others = CASES["dsc"][:30], CASES["dsc"][30:]
    row, welch = TABLE.loc["age=old"], stats.ttest_ind(old, others, equal_var=False)
    assert (row["n"], row["share"]) == (30, 0.375)
    assert row["mean_dsc"] == pytest.approx(old.mean()) and row["median_dsc"] == pytest.approx(old.median())
    assert row["sd_dsc"] == pytest.approx(old.std(ddof=1))
    assert row["worst_decile_dsc"] == pytest.approx(np.quantile(old, 0.1))
    assert row["divergence"] == pytest.approx(old.mean() - CASES["dsc"].mean())
    assert (row["t"], row["p"]) == pytest.approx((welch.statistic, welch.pvalue))
    assert row["mean_dsc_low"] < row["mean_dsc"] < row["mean_dsc_high"]


def test_q_is_corrected_over_all_rows():
    tested = TABLE["p"].dropna()
    assert TABLE.loc[tested.index, "q"].to_numpy() == pytest.approx(stats.false_discovery_control(tested))


def test_small_group_is_shown_and_decides_nothing():
    row = TABLE.loc["site=rare"]
    assert row["n"] == 4 and not row["decides"] and "fewer than 10 cases" in row["reason"]
    assert TABLE.loc["age=old", "decides"] and TABLE.loc["age=old", "reason"] == ""


def test_failures_and_infinite_distances_are_counted_not_hidden():
    cases = pd.DataFrame({"dsc": [0.0, 0.05, 0.1, 0.9], "norm_hd": [1, 1, 0.1, 0], "hd95_mm": [np.inf, np.inf, 3, 1]})
    table = _table(cases, pd.DataFrame({"v": ["x"] * 4}), SubgroupOptions(n_resamples=20)).set_index("subgroup")
    assert table.loc["v=x", "failures"] == 2 and table.loc["v=x", "failure_rate"] == 0.5
    assert table.loc["v=x", "median_hd95_mm"] == np.inf


def test_unscored_cases_and_missing_values_are_in_no_group():
    cases = CASES.copy()
    cases.loc["c0", "dsc"] = np.nan
    table = _table(cases, GROUPS).set_index("subgroup")
    assert table.loc["all", "n"] == 79 and table.loc["age=old", "n"] == 29
    assert table.loc["age=old", "n"] + table.loc["age=young", "n"] == 74


@pytest.mark.parametrize("n_cases", [1, 2])
def test_one_or_two_cases(n_cases):
    cases, groups = CASES[:n_cases], GROUPS[:n_cases]
    table = _table(cases, groups)
    assert table["n"].max() == n_cases and table["p"].isna().all() and not table["decides"].any()


def test_false_discovery_rate_keeps_nan():
    found = false_discovery_rate(np.array([0.01, np.nan, 0.04]))
    assert found == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert np.isnan(false_discovery_rate(np.array([np.nan]))).all()
