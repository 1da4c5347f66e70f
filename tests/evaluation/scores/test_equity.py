"""Equity-scaled scores and their relatives, against numbers worked out by hand and another tool's."""

import statistics

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.equity import MEASURES, NO_INTERVAL, PERFECT_BEST, equity_table, group_measures
from nnunet_fair.subgroups.options import SubgroupOptions

DSC = [0.9, 0.7, 0.8, 0.4, 0.6, 0.5]
SITE = ["a", "a", "b", "b", "c", "c"]  # means 0.8, 0.6, 0.55; of all 0.65


def cohort(dsc=DSC, groups=None, *, min_group=1, **more) -> ScoredCohort:
    index = [f"p{i}" for i in range(len(dsc))]
    cases = pd.DataFrame({"dsc": dsc, "norm_hd": np.linspace(0.1, 0.4, len(dsc)), **more}, index=index)
    frame = pd.DataFrame(groups or {"site": SITE}, index=index, dtype=object)
    options = SubgroupOptions(min_group=min_group, min_support=0.01, n_resamples=200)
    return ScoredCohort.of(cases, frame, options=options)


def values(table: pd.DataFrame, attributes="site", metric="dsc") -> dict[str, float]:
    chosen = table[(table["attributes"] == attributes) & (table["metric"] == metric)]
    return dict(zip(chosen["measure"], chosen["value"], strict=True))


def test_worked_out_by_hand():
    found = values(equity_table(cohort()))
    deviation = [0.15, 0.05, 0.1]  # |0.65 - group mean|
    population = statistics.pstdev([0.8, 0.6, 0.55])
    sample = statistics.stdev([0.8, 0.6, 0.55])
    expected = {
        "mean": 0.65,
        "minimum": 0.55,
        "maximum": 0.8,
        "gap": 0.25,
        "std_population": population,
        "std_sample": sample,
        "es_sum": 0.65 / (1 + sum(deviation)),
        "es_std_population": 0.65 / (1 + population),
        "es_std_sample": 0.65 / (1 + sample),
        "skewness": 0.45 / 0.2,
    }
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_distance_grows_with_the_gap():
    found = values(equity_table(cohort()), metric="norm_hd")
    means = [0.13, 0.25, 0.37]
    assert found["es_sum"] == pytest.approx(0.25 * (1 + 0.12 + 0.12))
    assert found["es_std_population"] == pytest.approx(0.25 * (1 + statistics.pstdev(means)))
    assert "skewness" not in found


def test_equal_to_fairmedfm():
    fairmedfm = pytest.importorskip("fairmedfm", reason="fairmedfm is not installed: its cross-check is skipped")
    rng = np.random.default_rng(2)
    for n in (6, 17, 60):
        dsc, site = rng.uniform(size=n), np.array(list("abcabc" * 10))[:n]
        found = values(equity_table(cohort(dsc.tolist(), {"site": site})))
        theirs = {
            "minimum": fairmedfm.worst_group_dice,
            "gap": fairmedfm.dice_gap,
            "std_population": fairmedfm.dice_std,
            "skewness": fairmedfm.dice_skewness,
            "es_std_population": fairmedfm.equity_scaled_dice,
        }
        for ours, function in theirs.items():
            assert found[ours] == pytest.approx(function(dsc, sensitive_features=site), abs=1e-12), ours


def test_equal_to_everything_fairmedfm_says_of_masks():
    """Its whole summary for segmentation: two attributes, their combination, missing values, every column."""
    fairmedfm = pytest.importorskip("fairmedfm", reason="fairmedfm is not installed: its cross-check is skipped")
    rng = np.random.default_rng(5)
    groups = pd.DataFrame({"site": rng.choice(["a", "b", "c"], 90), "sex": rng.choice(["f", "m"], 90)}, dtype=object)
    groups.loc[:8, "site"] = None
    dsc = rng.beta(6, 2, 90)
    theirs = fairmedfm.evaluate_segmentation(groups, dice=dsc, intersectional=True)
    ours = equity_table(cohort(dsc.tolist(), groups.to_dict("list")))
    names = {"site": "site", "sex": "sex", "site × sex": theirs.summary.index[-1]}
    same = {
        "mean": "mean_dice",
        "minimum": "min_dice",
        "maximum": "max_dice",
        "gap": "delta_dice",
        "skewness": "skewness_dice",
        "std_population": "std_dice",
        "es_std_population": "es_dice",
    }
    assert set(same.values()) | {"n", "n_groups"} == set(theirs.summary.columns)
    for mine, other in names.items():
        row, found = theirs.summary.loc[other], values(ours, mine)
        assert {m: row[o] for m, o in same.items()} == pytest.approx({m: found[m] for m in same}, abs=1e-12)
        chosen = ours[ours["attributes"] == mine].iloc[0]
        assert (chosen["n_cases"], chosen["n_groups"]) == (row["n"], row["n_groups"])


def test_small_groups_take_no_part_and_are_not_in_the_mean():
    table = equity_table(cohort([*DSC, 0.0], {"site": [*SITE, "tiny"]}, min_group=2))
    assert values(table)["mean"] == pytest.approx(0.65)
    assert set(table["n_groups"]) == {3} and set(table["smallest_group"]) == {2}


def test_intersections_are_cells_of_their_own():
    sex = ["f", "m"] * 3
    table = equity_table(cohort(groups={"site": SITE, "sex": sex}))
    assert list(dict.fromkeys(table["attributes"])) == ["site", "sex", "site × sex"]
    both = values(table, "site × sex")
    assert both["minimum"] == pytest.approx(0.4) and both["maximum"] == pytest.approx(0.9)
    alone = table[table["attributes"] == "site × sex"]
    assert alone[["low", "high"]].isna().all(axis=None) and set(alone["note"]) == {NO_INTERVAL}


def test_a_perfect_best_group_has_no_skewness():
    table = equity_table(cohort([1.0, 1.0, 0.8, 0.4, 0.6, 0.5]))
    row = table[(table["measure"] == "skewness")].iloc[0]
    assert np.isnan(row["value"]) and row["note"] == PERFECT_BEST


def test_one_group_says_nothing():
    assert equity_table(cohort(groups={"site": ["a"] * 6})).empty


def test_intervals_hold_the_value_and_every_measure_is_there():
    rng = np.random.default_rng(0)
    table = equity_table(cohort(rng.uniform(0.3, 0.9, 60).tolist(), {"site": list("abc") * 20}))
    own = table[table["metric"] == "dsc"]
    assert list(own["measure"]) == list(MEASURES)
    assert (own["low"] <= own["high"]).all() and own["low"].notna().all()
    plain = own[own["measure"].isin(["mean", "minimum", "es_sum"])]
    assert ((plain["low"] <= plain["value"]) & (plain["value"] <= plain["high"])).all()


def test_fair_groups_are_not_scaled_down():
    found = group_measures(np.array([[0.7, 0.7]]), np.array([0.7]), higher_is_better=True)[0]
    assert dict(zip(MEASURES, found, strict=True))["es_sum"] == 0.7
