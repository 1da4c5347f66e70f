"""Discrimination, calibration, chance and net benefit of Task 2: by hand and against other implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.calibration import calibration_curve as sklearn_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from nnunet_fair.evaluation.scores.cohort import group_memberships
from nnunet_fair.evaluation.scores.pcr_calibration import (
    balanced_accuracy_interval,
    calibration_curve,
    expected_calibration_error,
    rate_interval,
    recalibration,
)
from nnunet_fair.evaluation.scores.pcr_chance import chance_scores
from nnunet_fair.evaluation.scores.pcr_decision import decision_curve
from nnunet_fair.evaluation.scores.pcr_discrimination import auc, auc_interval, paired_auc
from nnunet_fair.evaluation.scores.pcr_groups import pcr_group_table
from nnunet_fair.evaluation.scores.pcr_score import pcr_score
from nnunet_fair.subgroups.options import SubgroupOptions

TRUTH = np.array([1, 1, 1, 0, 0, 0, 0], bool)
VALUE = np.array([0.9, 0.6, 0.3, 0.6, 0.2, 0.1, 0.4])


def patients(n, seed=0, effect=1.0):
    """Outcomes and probabilities that tell something of them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.5, 1, n)
    return rng.random(n) < special.expit(effect * logits), special.expit(logits)


def test_auc_by_hand():
    # pairs: 0.9 wins 4; 0.6 wins 3 and ties once; 0.3 wins 2: 9.5 of 12
    assert auc(TRUTH, VALUE) == pytest.approx(9.5 / 12)
    assert np.isnan(auc(np.ones(3, bool), VALUE[:3])) and np.isnan(auc(np.zeros(3, bool), VALUE[:3]))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_is_scikit_learns(cases):
    truth, value = np.array([t for t, _ in cases]), np.array([v for _, v in cases]) / 5
    if truth.all() or not truth.any():
        assert np.isnan(auc(truth, value))
    else:
        assert auc(truth, value) == pytest.approx(roc_auc_score(truth, value), abs=1e-12)


@pytest.mark.parametrize(("area", "m", "n"), [(0.7, 20, 50), (0.5, 3, 4), (1.0, 3, 4), (0.0, 6, 2), (0.99, 200, 900)])
def test_newcombes_ends_solve_their_equation(area, m, n):
    low, high = auc_interval(area, m, n, confidence=0.95)
    assert 0 <= low < high <= 1 and low <= area <= high
    for end in (low, high):
        if 0 < end < 1:
            spread = 1 + ((m + n) / 2 - 1) * ((1 - end) / (2 - end) + end / (1 + end))
            z = (end - area) / np.sqrt(end * (1 - end) * spread / (m * n))
            assert abs(z) == pytest.approx(1.959964, abs=1e-5)
    assert all(map(np.isnan, auc_interval(float("nan"), 0, 5, confidence=0.95)))


def test_delong_by_its_definition():
    """The covariance matrix in plain loops over all pairs, as in the paper."""
    truth, a = patients(60, seed=1)
    b = np.round(a + np.random.default_rng(2).normal(0, 0.2, 60), 1)  # with ties

    def psi(x, y):
        return 1.0 if y < x else 0.5 if y == x else 0.0

    components = []
    for value in (a, b):
        positives, negatives = value[truth], value[~truth]
        components.append(
            (
                [np.mean([psi(x, y) for y in negatives]) for x in positives],
                [np.mean([psi(x, y) for x in positives]) for y in negatives],
            )
        )
    s10, s01 = (np.cov([components[0][k], components[1][k]]) for k in (0, 1))
    covariance = s10 / truth.sum() + s01 / (~truth).sum()
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = paired_auc(truth, a, b, confidence=0.95)
    assert (found.a, found.b) == pytest.approx((roc_auc_score(truth, a), roc_auc_score(truth, b)))
    assert found.high - found.low == pytest.approx(2 * 1.959964 * error, rel=1e-6)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.b - found.a) / error), rel=1e-9)


def test_a_model_compared_with_itself_and_what_cannot_be_compared():
    truth, value = patients(30)
    same = paired_auc(truth, value, value, confidence=0.95)
    assert (same.difference, same.p) == (0.0, 1.0) and np.isnan(same.low)
    one = np.array([True, False, False])
    assert np.isnan(paired_auc(one, value[:3], value[3:6], confidence=0.95).p)


def test_exact_rates_by_hand():
    # no hit of 5: the upper end is 1 - 0.025 ** (1 / 5)
    assert rate_interval(0, 5, confidence=0.95) == pytest.approx((0, 1 - 0.025**0.2))
    assert rate_interval(5, 5, confidence=0.95) == pytest.approx((0.025**0.2, 1))
    assert all(map(np.isnan, rate_interval(0, 0, confidence=0.95)))


def test_square_and_add_by_hand():
    ends = balanced_accuracy_interval(0.8, 0.6, ((0.5, 0.9), (0.2, 0.8)))
    assert ends == pytest.approx((0.7 - 0.5 / 2, 0.7 + np.hypot(0.1, 0.2) / 2))  # √(0.3² + 0.4²) = 0.5


@pytest.mark.parametrize("effect", [0.4, 1.0, 2.0])
def test_slope_and_intercept_are_those_of_a_logistic_regression(effect):
    truth, value = patients(400, seed=3, effect=effect)
    found = recalibration(truth, value, confidence=0.95)
    logits = special.logit(value)
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits[:, None], truth)
    assert found.slope.value == pytest.approx(fit.coef_[0, 0], rel=1e-5)
    # with the slope at 1, the intercept makes the predicted number the observed one
    assert special.expit(logits + found.intercept.value).sum() == pytest.approx(truth.sum(), rel=1e-9)
    p = fit.predict_proba(logits[:, None])[:, 1]
    design = np.column_stack([logits, np.ones(400)])
    error = np.sqrt(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))[0, 0])
    assert found.slope.high - found.slope.low == pytest.approx(2 * 1.959964 * error, rel=1e-4)
    assert found.slope.low < effect < found.slope.high


@pytest.mark.parametrize("case", ["few", "sure", "separated", "constant"])
def test_a_slope_that_cannot_be_estimated(case):
    truth, value = patients(100, seed=4)
    if case == "few":
        truth = np.arange(100) < 9
    elif case == "sure":
        value = np.where(np.arange(100) == 3, 1.0, value)
    elif case == "separated":
        value = np.where(truth, 0.6, 0.4)
    else:
        value = np.full(100, 0.3)
    found = recalibration(truth, value, confidence=0.95)
    assert np.isnan(found.slope.value) and np.isnan(found.slope.low)
    assert np.isnan(found.intercept.value) == (case in ("few", "sure"))


def test_the_curve_is_scikit_learns_quantile_bins():
    truth, value = patients(200, seed=5)
    curve = calibration_curve(truth, value, confidence=0.95)
    observed, predicted = sklearn_curve(truth, value, n_bins=10, strategy="quantile")
    assert curve["n"].tolist() == [20] * 10
    assert curve["observed"].to_numpy() == pytest.approx(observed)
    assert curve["predicted"].to_numpy() == pytest.approx(predicted)
    error = sum(abs(o - p) * 20 for o, p in zip(observed, predicted, strict=True)) / 200
    assert expected_calibration_error(curve) == pytest.approx(error)
    assert (curve["low"] <= curve["observed"]).all() and (curve["observed"] <= curve["high"]).all()


def test_equal_probabilities_stay_in_one_bin():
    curve = calibration_curve(np.arange(20) % 2 == 0, np.repeat([0.2, 0.4], [15, 5]), confidence=0.95)
    assert curve["n"].tolist() == [15, 5] and curve["predicted"].tolist() == pytest.approx([0.2, 0.4])
    assert calibration_curve(TRUTH, VALUE, confidence=0.95)["n"].tolist() == [7]


def test_chance_knows_every_deal_of_a_small_cohort():
    """Four patients, two predicted: of the six deals one is right throughout."""
    truth, decision = np.array([1, 1, 0, 0], bool), np.array([1, 1, 0, 0], bool)
    groups = group_memberships(pd.DataFrame({"v": list("xyxy")}), pd.RangeIndex(4), ["v"])
    found = chance_scores(truth, decision, decision.astype(float), groups, n_deals=6000)
    assert found["balanced_accuracy"].p == pytest.approx(1 / 6, abs=0.02)
    assert found["auc"].p == pytest.approx(1 / 6, abs=0.02)
    deals = [np.isin(range(4), chosen) for chosen in itertools.combinations(range(4), 2)]
    index = list(range(4))
    frame = pd.DataFrame({"v": list("xyxy")}, index)
    scores = [pcr_score(pd.Series(truth, index), pd.Series(deal, index), frame) for deal in deals]
    for name in ("balanced_accuracy", "fairness_disparity", "ranking"):
        values = [getattr(score, name) for score in scores]
        assert found[name].mean == pytest.approx(np.mean(values), abs=0.03)
        assert found[name].observed == pytest.approx(values[0])
    as_fair = np.mean([score.fairness_disparity <= scores[0].fairness_disparity for score in scores])
    assert found["fairness_disparity"].p == pytest.approx(as_fair, abs=0.03)


def test_the_deals_have_the_official_disparity_with_its_corner():
    rng = np.random.default_rng(6)
    index = [f"c{i}" for i in range(12)]
    groups = pd.DataFrame({"age": list("aaaabbbbccdd"), "site": list("ststststssss")}, index)
    memberships = group_memberships(groups, pd.Index(index), ["age", "site"])
    for _ in range(40):
        truth, decision = rng.random(12) < 0.6, rng.random(12) < 0.6
        if truth.all() or not truth.any() or decision.all() or not decision.any():
            continue
        found = chance_scores(truth, decision, None, memberships, n_deals=1)
        score = pcr_score(pd.Series(truth, index), pd.Series(decision, index), groups)
        assert found["fairness_disparity"].observed == pytest.approx(score.fairness_disparity, abs=1e-12)
        assert found["ranking"].observed == pytest.approx(score.ranking, abs=1e-12)
        assert "auc" not in found


def test_net_benefit_by_hand():
    curve = decision_curve(TRUTH, VALUE, (0.25, 0.5)).set_index("threshold")
    # from 0.25 on: 3 hits and 2 false alarms of 7, odds 1/3; from 0.5 on: 2 hits and 1 false alarm, odds 1
    assert curve["model"].tolist() == pytest.approx([3 / 7 - 2 / 7 / 3, 2 / 7 - 1 / 7])
    assert curve["everybody"].tolist() == pytest.approx([3 / 7 - 4 / 7 / 3, 3 / 7 - 4 / 7])
    assert curve["nobody"].tolist() == [0, 0]


def test_the_group_table_is_what_other_libraries_say_and_nothing_where_there_is_no_denominator():
    truth, value = patients(120, seed=7)
    decision = value >= 0.4
    groups = pd.DataFrame({"v": ["x"] * 60 + ["y"] * 55 + ["z"] * 5})
    truth[115:] = False
    value[3] = np.nan
    memberships = group_memberships(groups, groups.index, ["v"])
    table = pcr_group_table(truth, decision, value, memberships, SubgroupOptions(n_resamples=200)).set_index("group")
    assert table.index.tolist() == ["all cases", "x", "y", "z"]
    inside = np.arange(60) != 3
    for name, cases in (("x", np.arange(60)), ("y", np.arange(60, 115))):
        row = table.loc[name]
        assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth[cases], decision[cases]))
        with_value = cases[inside] if name == "x" else cases
        assert row["auc"] == pytest.approx(roc_auc_score(truth[with_value], value[with_value]))
        assert row["brier"] == pytest.approx(brier_score_loss(truth[with_value], value[with_value]))
        expected = truth[with_value].mean() - value[with_value].mean()
        assert row["observed_minus_predicted"] == pytest.approx(expected)
        for measure in ("tpr", "fpr", "balanced_accuracy", "auc", "brier", "observed_minus_predicted"):
            assert row[f"{measure}_low"] < row[measure] < row[f"{measure}_high"], measure
    empty = table.loc["z"]
    assert empty["n_pcr"] == 0
    for measure in ("tpr", "balanced_accuracy", "auc", "calibration_slope"):
        assert np.isnan(empty[measure]) and np.isnan(empty[f"{measure}_low"])
    assert 0 <= empty["fpr"] <= 1 and empty["fpr_high"] > 0.4
