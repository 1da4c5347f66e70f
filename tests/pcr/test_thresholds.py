from __future__ import annotations

import numpy as np
import pytest

from nnunet_fair.evaluation.scores.cohort import GroupMembership
from nnunet_fair.pcr.threshold_audit import threshold_audit
from nnunet_fair.pcr.thresholds import BALANCED_ACCURACY, RANKING, best_threshold, decision_score

TRUTH = np.array([False, False, False, True, False, True, True])
PROBABILITIES = np.array([0.1, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6])


def test_by_balanced_accuracy():
    # above 0.2: all three found, one false alarm of four, (1 + 3/4) / 2
    assert best_threshold(TRUTH, PROBABILITIES, BALANCED_ACCURACY) == pytest.approx(0.225)
    assert decision_score(TRUTH, PROBABILITIES >= 0.225, BALANCED_ACCURACY) == pytest.approx(0.875)


def test_of_equal_ones_the_nearest_to_the_rate():
    truth = np.array([False, False, True, True])
    assert best_threshold(truth, np.array([0.1, 0.4, 0.3, 0.9]), BALANCED_ACCURACY) == pytest.approx(0.65)
    # both 0.2 and 0.65 give (1 + 1/2) / 2; the rate is 0.5


def test_one_probability_for_all_is_the_threshold():
    assert best_threshold(TRUTH, np.full(7, 0.3), BALANCED_ACCURACY) == 0.3


def groups() -> GroupMembership:
    """Forty cases, half of them in the group in which the probabilities say nothing."""
    return GroupMembership("sex", ("f", "m"), np.repeat(np.eye(2, dtype=bool), 20, axis=0))


def test_the_ranking_is_traded_against_accuracy_and_the_audit_says_so():
    truth = np.tile([True, False], 20)
    told = np.where(truth, 0.8, 0.2)
    probabilities = np.concatenate([told[:20], np.full(20, 0.1)])
    probabilities[[0, 2]] = 0.95  # two cases that a high threshold finds
    accuracy, ranking = (
        probabilities >= best_threshold(truth, probabilities, by, variables=[groups()])
        for by in (BALANCED_ACCURACY, RANKING)
    )
    assert decision_score(truth, accuracy, BALANCED_ACCURACY) == pytest.approx(0.75)
    assert decision_score(truth, ranking, BALANCED_ACCURACY) == pytest.approx(0.55)
    # ranking: ½·0.75 + ½·(1 − 1) = 0.375 against ½·0.55 + ½·(1 − 0.2) = 0.675
    assert decision_score(truth, accuracy, RANKING, [groups()]) == pytest.approx(0.375)
    assert decision_score(truth, ranking, RANKING, [groups()]) == pytest.approx(0.675)
    table, sentence = threshold_audit(truth, accuracy, ranking, [groups()])
    (row,) = table.to_dict("records")
    assert row["verdict"] == "levelled down"
    assert (row["gap_balanced_accuracy"], row["gap_ranking"]) == (0.5, pytest.approx(0.1))
    assert (row["worst_change"], row["best_change"]) == (0, pytest.approx(-0.4))
    assert "ranking 0.375 → 0.675" in sentence
    assert "balanced accuracy 0.750 → 0.550" in sentence
    assert "Levelling down: the best group of sex fell." in sentence


def test_groups_too_small_or_of_one_outcome_are_not_audited():
    truth = np.tile([True, False], 20)
    small = GroupMembership("site", ("a", "b"), np.eye(2, dtype=bool)[(np.arange(40) < 5).astype(int)])
    one_outcome = GroupMembership("arm", ("a", "b"), np.eye(2, dtype=bool)[truth.astype(int)])
    table, _ = threshold_audit(truth, truth, truth, [small, one_outcome])
    assert not len(table)


def test_nearly_constant_decisions_are_no_choice():
    rng = np.random.default_rng(0)
    truth, probabilities, folds = rng.random(40) < 0.3, rng.random(40), np.arange(40) % 2
    threshold = best_threshold(truth, probabilities, RANKING, folds=folds, variables=[groups()])
    shares = [(probabilities[folds == fold] >= threshold).mean() for fold in range(2)]
    assert min(shares) >= 0.05
    assert max(shares) <= 0.95
    # in the second fold nobody reaches what divides the first
    probabilities = np.concatenate([np.linspace(0.5, 0.9, 100), np.full(100, 0.2)])
    middle = best_threshold(truth, probabilities, BALANCED_ACCURACY, folds=np.repeat([0, 1], 100))
    assert middle == pytest.approx(np.median(probabilities))
