from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import equalized_odds_difference

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.cohort import group_memberships
from nnunet_fair.evaluation.scores.pcr_score import PcrStatistics, pcr_ranking, pcr_score

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
