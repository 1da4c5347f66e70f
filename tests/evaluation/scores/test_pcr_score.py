from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import equalized_odds_difference
from sklearn.metrics import confusion_matrix

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.cohort import group_memberships
from nnunet_fair.evaluation.scores.pcr_score import PcrStatistics, group_rates, pcr_ranking, pcr_score

INDEX = [f"c{i}" for i in range(8)]
TRUTH = pd.Series([True, True, True, True, False, False, False, False], INDEX)
PREDICTION = pd.Series([True, True, True, False, True, False, False, False], INDEX)


@pytest.mark.parametrize(
    ("team", "balanced_accuracy", "disparity", "ranking"),
    [
        ("pimed-lab", 0.4964, 0.1150, 0.6907),
        ("FME", 0.5405, 0.2121, 0.6642),
        ("AI Strollers", 0.5263, 0.2013, 0.6625),
        ("PM", 0.5580, 0.3867, 0.5856),
        ("bigAI", 0.5071, 0.5070, 0.5001),
        ("random baseline", 0.5042, 0.2179, 0.6431),
    ],
)
def test_published_table_reproduces_from_its_own_columns(team, balanced_accuracy, disparity, ranking):
    assert pcr_ranking(balanced_accuracy, disparity) == pytest.approx(ranking, abs=1.01e-4), team


def test_score_by_hand():
    # Group x: cases 0, 1, 4, 5 (both hits, one false alarm of two); group y: one hit of two, no false alarm.
    groups = pd.DataFrame({"age": list("xxyyxxyy"), "site": list("ssssssss")}, INDEX)
    score = pcr_score(TRUTH, PREDICTION, groups)
    assert score.balanced_accuracy == pytest.approx((0.75 + 0.75) / 2)
    assert score.disparity_by_variable == pytest.approx({"age": (1.0 - 0.5) + (0.5 - 0.0), "site": 0.0})
    assert score.fairness_disparity == pytest.approx(0.5)
    assert score.ranking == pytest.approx(0.5 * 0.75 + 0.5 * 0.5)


def test_rate_without_denominator_counts_zero():
    groups = pd.DataFrame({"v": list("xxxxyyyy")}, INDEX)  # x has no negative case, y no positive one
    assert pcr_score(TRUTH, PREDICTION, groups).disparity_by_variable["v"] == pytest.approx(0.75 + 0.25)


def test_disparity_is_clipped():
    prediction = pd.Series([True, True, False, False, True, True, False, False], INDEX)
    groups = pd.DataFrame({"v": list("xxyyxxyy")}, INDEX)
    score = pcr_score(TRUTH, prediction, groups)
    assert score.disparity_by_variable["v"] == pytest.approx(2.0) and score.fairness_disparity == 1.0


@pytest.mark.parametrize("constant", [True, False])
def test_constant_predictions_are_refused(constant):
    with pytest.raises(UserError, match="refuses constant predictions"):
        pcr_score(TRUTH, pd.Series(constant, INDEX), pd.DataFrame({"v": list("xxxxyyyy")}, INDEX))


def test_one_class_truth_is_refused():
    with pytest.raises(UserError, match="same outcome"):
        pcr_score(pd.Series(True, INDEX), PREDICTION, pd.DataFrame({"v": list("xxxxyyyy")}, INDEX))


def test_equalised_odds_agree_with_fairlearn():
    rng = np.random.default_rng(5)
    truth, prediction = pd.Series(rng.random(300) < 0.3), pd.Series(rng.random(300) < 0.4)
    groups = pd.DataFrame({"v": rng.choice(list("abc"), 300)})
    expected = 2 * equalized_odds_difference(truth, prediction, sensitive_features=groups["v"], agg="mean")
    assert pcr_score(truth, prediction, groups).disparity_by_variable["v"] == pytest.approx(expected, abs=1e-12)


def test_bootstrap_statistics_start_from_the_score():
    groups = pd.DataFrame({"age": list("xxyyxxyy"), "site": list("stststst")}, INDEX)
    score = pcr_score(TRUTH, PREDICTION, groups)
    memberships = group_memberships(groups, TRUTH.index, ["age", "site"])
    statistics = PcrStatistics(TRUTH.to_numpy(), PREDICTION.to_numpy(), memberships)
    values = dict(zip(statistics.names, statistics(np.ones((1, 8)))[0], strict=True))
    assert values["balanced_accuracy"] == pytest.approx(score.balanced_accuracy)
    assert values["fairness_disparity"] == pytest.approx(score.fairness_disparity)
    assert values["ranking"] == pytest.approx(score.ranking)


def _rate(weights, hits, inside):
    """A weighted rate in a plain loop; 0 without a denominator."""
    total = sum(w for w, member in zip(weights, inside, strict=True) if member)
    hit = sum(w for w, member, positive in zip(weights, inside, hits, strict=True) if member and positive)
    return hit / total if total else 0.0


def test_bootstrap_statistics_equal_the_definition_for_any_weights():
    rng = np.random.default_rng(6)
    n = 40
    truth, prediction = rng.random(n) < 0.4, rng.random(n) < 0.5
    groups = pd.DataFrame(
        {"age": rng.choice(["x", "y", "z"], n), "site": rng.choice(["s", "t"], n)},
        [f"c{i}" for i in range(n)],
    )
    memberships = group_memberships(groups, groups.index, ["age", "site"])
    weights = rng.standard_exponential((5, n))
    weights[4] = truth == prediction  # everybody is right: no false alarm, no miss
    statistics = PcrStatistics(truth, prediction, memberships, lambda_=0.3)
    assert statistics.names == ("balanced_accuracy", "fairness_disparity", "ranking", "disparity:age", "disparity:site")
    found = statistics(weights)
    for row, w in zip(found, weights, strict=True):
        hit, alarm = _rate(w, prediction, truth), _rate(w, prediction, ~truth)
        disparities = []
        for variable in ("age", "site"):
            rates = [
                [_rate(w, prediction, (groups[variable] == name).to_numpy() & outcome) for outcome in (truth, ~truth)]
                for name in groups[variable].unique()
            ]
            disparities.append(sum(max(column) - min(column) for column in zip(*rates, strict=True)))
        accuracy, disparity = (hit + 1 - alarm) / 2, min(1.0, sum(disparities) / 2)
        ranking = 0.7 * accuracy + 0.3 * (1 - disparity)
        assert row == pytest.approx([accuracy, disparity, ranking, *disparities], abs=1e-12)
    assert len(set(found[:4, 1])) > 1 and found[4, 0] == 1.0


def test_the_weight_of_fairness_and_its_clipping_hold_for_the_bootstrap_too():
    prediction = np.array([True, True, False, False, True, True, False, False])
    memberships = group_memberships(pd.DataFrame({"v": list("xxyyxxyy")}, INDEX), TRUTH.index, ["v"])
    statistics = PcrStatistics(TRUTH.to_numpy(), prediction, memberships, lambda_=0.25)
    assert statistics(np.ones((1, 8)))[0] == pytest.approx([0.5, 1.0, 0.75 * 0.5, 2.0])
    score = pcr_score(TRUTH, pd.Series(prediction, INDEX), pd.DataFrame({"v": list("xxyyxxyy")}, INDEX), lambda_=0.25)
    assert (score.ranking, score.lambda_, score.n_cases) == (pytest.approx(0.375), 0.25, 8)


def test_a_variable_without_values_is_named_and_none_at_all_has_no_fairness():
    groups = pd.DataFrame({"age": list("xxyyxxyy"), "site": [None] * 8}, INDEX, dtype=object)
    score = pcr_score(TRUTH, PREDICTION, groups)
    assert score.uncomputable == ("site",) and score.fairness_disparity == pytest.approx(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = pcr_score(TRUTH, PREDICTION, groups[["site"]])
    assert score.uncomputable == ("site",) and score.balanced_accuracy == 0.75
    assert np.isnan(score.fairness_disparity) and np.isnan(score.ranking)
    found = PcrStatistics(TRUTH.to_numpy(), PREDICTION.to_numpy(), [])(np.ones((2, 8)))
    assert found == pytest.approx(np.array([[0.75, np.nan, np.nan]] * 2), nan_ok=True)


def test_rates_of_groups_without_a_denominator_do_not_exist():
    (entry,) = group_memberships(pd.DataFrame({"v": list("xxxxyyyy")}, INDEX), TRUTH.index, ["v"])
    hit, alarm = group_rates(np.ones((1, 8)), TRUTH.to_numpy(), PREDICTION.to_numpy(), entry)
    assert hit == pytest.approx(np.array([[0.75, np.nan]]), nan_ok=True)
    assert alarm == pytest.approx(np.array([[np.nan, 0.25]]), nan_ok=True)


def test_predictions_and_groups_go_by_case_id_and_need_not_be_in_order():
    groups = pd.DataFrame({"age": list("xyyyxxxy")}, INDEX)
    shuffled = [5, 2, 7, 0, 3, 6, 1, 4]
    expected = pcr_score(TRUTH, PREDICTION, groups)
    # x: one hit of one, one false alarm of three; y: two hits of three, none of one
    assert expected.fairness_disparity == pytest.approx(1 / 3 + 1 / 3)
    assert pcr_score(TRUTH, PREDICTION.iloc[shuffled], groups.iloc[shuffled[::-1]]) == expected


def official_rates(truth, prediction):
    """As the official script computes them: off scikit-learn's confusion matrix, 0 where that is no 2 × 2."""
    try:
        tn, fp, fn, tp = confusion_matrix(truth, prediction).ravel()
    except ValueError:
        return 0, 0
    return tp / (tp + fn) if tp + fn else 0, fp / (fp + tn) if fp + tn else 0


def official_disparity(truth, prediction, groups):
    """The official script's fairness disparity."""
    disparities = []
    for name in groups:
        rates = [
            official_rates(truth[groups[name] == group], prediction[groups[name] == group])
            for group in groups[name].dropna().unique()
        ]
        disparities.append(sum(max(column) - min(column) for column in zip(*rates, strict=True)))
    return np.clip(np.mean(disparities), 0, 1)


@pytest.mark.filterwarnings("ignore:A single label was found")
def test_the_official_score_to_the_last_digit_with_tiny_groups_too():
    rng = np.random.default_rng(8)
    corners = 0
    for n in [8] * 60 + [40] * 20:
        index = [f"c{i}" for i in range(n)]
        truth, prediction = (pd.Series(rng.random(n) < share, index) for share in (0.5, 0.6))
        if truth.nunique() < 2 or prediction.nunique() < 2:
            continue
        groups = pd.DataFrame({"age": rng.choice(list("vwxyz"), n), "site": rng.choice(list("st"), n)}, index)
        score = pcr_score(truth, prediction, groups)
        expected = official_disparity(truth, prediction, groups)
        assert score.fairness_disparity == pytest.approx(expected, abs=1e-12)
        assert score.ranking == pytest.approx(0.5 * score.balanced_accuracy + 0.5 * (1 - expected), abs=1e-12)
        both = (truth & prediction).groupby(groups["age"]).all()
        corners += both.any()
    assert corners > 10  # groups all of whose patients have pCR, all predicted


def test_a_group_of_hits_only_counts_nothing_officially_and_what_it_is_beside_it():
    groups = pd.DataFrame({"v": list("xxxyyyyy"), "w": list("xyxyxyxy")}, INDEX)
    # v: x has three hits of three and no negative case; y no hit of one, one false alarm of four
    # w: x has two hits of two, one false alarm of two; y one hit of two, no false alarm of two
    score = pcr_score(TRUTH, PREDICTION, groups)
    assert score.disparity_by_variable == pytest.approx({"v": 0.0 + 0.25, "w": 0.5 + 0.5})
    assert score.estimable_by_variable == pytest.approx({"v": np.nan, "w": 1.0}, nan_ok=True)
    assert (score.fairness_disparity, score.estimable_disparity) == pytest.approx((0.625, 1.0))
    assert score.estimable_ranking == pytest.approx(0.5 * 0.75 + 0.5 * 0.0)
    groups = pd.DataFrame({"v": list("xxyyzyyz")}, INDEX)
    # x: two hits of two, no negative case; y: one hit of two, no false alarm of two; z: no positive, one of two
    score = pcr_score(TRUTH, PREDICTION, groups)
    assert score.disparity_by_variable["v"] == pytest.approx(0.5 + 0.5)  # x counts 0, z counts 0
    assert score.estimable_by_variable["v"] == pytest.approx((1.0 - 0.5) + (0.5 - 0.0))


@pytest.mark.parametrize(("constant", "said"), [(True, "all 8 predictions are pCR;"), (False, "are no pCR;")])
def test_the_refusal_says_which_constant(constant, said):
    with pytest.raises(UserError, match=said):
        pcr_score(TRUTH, pd.Series(constant, INDEX), pd.DataFrame({"v": list("xxxxyyyy")}, INDEX))
