from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from nnunet_fair.pcr.discrimination import (
    Auc,
    auc_with_interval,
    centre_sentence,
    within_auc,
    within_auc_with_interval,
)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 4)), min_size=2, max_size=30))
def test_the_area_is_scikit_learns_with_weights_and_ties(cases):
    truth, scores, weights = (np.array(column) for column in zip(*cases, strict=True))
    found = within_auc(weights[None].astype(float), truth, scores, np.zeros(len(truth)))
    if truth.all() or not truth.any():
        assert np.isnan(found[0])
    else:
        assert found[0] == pytest.approx(roc_auc_score(truth, scores, sample_weight=weights))


def test_only_cases_of_one_stratum_are_paired():
    # the second centre scores higher and has more pCR; within the centres 1 of 2 pairs and 0 of 2 are in order
    truth = np.array([True, False, False, True, True, False])
    scores = np.array([2, 1, 3, 11, 12, 13.0])
    centre = np.array(["a", "a", "a", "b", "b", "b"])
    assert within_auc(np.ones((1, 6)), truth, scores, centre) == pytest.approx([1 / 4])
    assert within_auc(np.ones((1, 6)), truth, scores, np.zeros(6)) == pytest.approx([5 / 9])


def test_an_interval_holds_chance_where_there_is_nothing():
    rng = np.random.default_rng(5)
    truth, noise = rng.random(400) < 0.3, rng.normal(size=400)
    nothing, signal = auc_with_interval(truth, noise), auc_with_interval(truth, noise + truth)
    assert nothing.is_chance
    assert nothing.low < nothing.estimate < nothing.high
    assert signal.low > 0.6
    assert not signal.is_chance
    within = within_auc_with_interval(truth, noise + truth, np.zeros(400))
    assert within.estimate == pytest.approx(signal.estimate)
    assert (within.low, within.high) == pytest.approx((signal.low, signal.high), abs=0.01)
    assert signal.text() == f"{signal.estimate:.3f} ({signal.low:.3f} to {signal.high:.3f})"


GOOD, CHANCE = Auc(0.7, 0.65, 0.75, 100), Auc(0.5, 0.45, 0.55, 100)


def test_an_area_that_does_not_exist_is_none():
    found = within_auc_with_interval(np.array([True, True, False]), np.arange(3.0), np.array([1, 1, 2]))
    assert found.text() == "none"


@pytest.mark.parametrize(
    ("pooled", "left_out", "words"),
    [
        (GOOD, GOOD, "holds where a centre is left out"),
        (GOOD, CHANCE, "The centre alone predicts"),
        (CHANCE, CHANCE, "No response is predicted"),
        (GOOD, None, "cannot be said"),
        (GOOD, Auc(float("nan"), float("nan"), float("nan"), 100), "cannot be said"),
    ],
)
def test_what_the_two_areas_say(pooled, left_out, words):
    assert words in centre_sentence(pooled, left_out)
