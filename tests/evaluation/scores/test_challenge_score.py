from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_fair.evaluation.scores.challenge_score import performance_score, ranking_score, segmentation_score
from nnunet_fair.evaluation.scores.cohort import ScoredCohort


def _score(dsc: pd.Series, norm_hd: pd.Series, groups: pd.DataFrame, **options):
    return segmentation_score(ScoredCohort.of(pd.DataFrame({"dsc": dsc, "norm_hd": norm_hd}), groups), **options)


def test_score_by_hand():
    index = ["a", "b", "c", "d"]
    dsc, norm_hd = pd.Series([0.8, 0.6, 0.4, 0.2], index), pd.Series([0.0, 0.1, 0.2, 1.0], index)
    groups = pd.DataFrame({"age": ["0-40", "0-40", "71+", "71+"], "density": ["a", "b", "a", None]}, index)
    score = _score(dsc, norm_hd, groups)
    assert score.performance == pytest.approx(0.5 * (0.5 + 1 - 0.325))
    assert score.by_variable["age"].gap_dsc == pytest.approx(0.4)
    assert score.by_variable["age"].gap_norm_hd == pytest.approx(0.55)
    assert score.by_variable["age"].fairness == pytest.approx(1 - 0.5 * 0.95)
    assert score.by_variable["density"].fairness == pytest.approx(1 - 0.5 * (0.0 + 0.0))
    assert score.by_variable["density"].n_missing == 1
    assert score.fairness == pytest.approx((0.525 + 1.0) / 2)
    assert score.ranking == pytest.approx((score.performance + score.fairness) / 2)
    assert (score.mean_dsc, score.mean_norm_hd) == pytest.approx((0.5, 0.325))
    assert score.lambda_ == 0.5 and _score(dsc, norm_hd, groups, lambda_=0.25).lambda_ == 0.25


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 1))
def test_score_equals_the_definition(challenge_reference, seed, n_cases, weight):
    rng = np.random.default_rng(seed)
    dsc, norm_hd = rng.random(n_cases), rng.random(n_cases) * 1.5
    names = {v: rng.choice(["x", "y", "z"], n_cases).tolist() for v in ("age", "menopausal_status")}
    names["breast_density"] = ["a", *rng.choice(np.array(["a", "b", None], dtype=object), n_cases - 1)]
    index = [f"case {i}" for i in range(n_cases)]
    # The groups come in another order than the scores: look-up is by case ID.
    groups = pd.DataFrame(names, index).iloc[rng.permutation(n_cases)]
    score = _score(pd.Series(dsc, index), pd.Series(norm_hd, index), groups, lambda_=weight)
    performance, by_variable, fairness, ranking = challenge_reference.task1(
        dsc.tolist(), norm_hd.tolist(), names, weight
    )
    assert score.performance == pytest.approx(performance, abs=1e-12)
    assert {k: v.fairness for k, v in score.by_variable.items()} == pytest.approx(by_variable, abs=1e-12)
    assert score.fairness == pytest.approx(fairness, abs=1e-12)
    assert score.ranking == pytest.approx(ranking, abs=1e-12)


def test_cases_without_metadata_count_for_performance_only():
    score = _score(
        pd.Series([1.0, 0.0], ["a", "b"]), pd.Series([0.0, 1.0], ["a", "b"]), pd.DataFrame({"age": ["x"]}, ["a"])
    )
    assert score.performance == 0.5 and score.fairness == 1.0 and score.by_variable["age"].n_missing == 1


def test_unscored_cases_are_left_out():
    index = ["a", "b", "c"]
    score = _score(
        pd.Series([0.5, np.nan, 0.7], index), pd.Series([0.1, 0.2, 0.1], index), pd.DataFrame({"v": list("xxy")}, index)
    )
    assert score.n_cases == 2 and score.mean_dsc == pytest.approx(0.6)
    assert score.by_variable["v"].gap_dsc == pytest.approx(0.2)


def test_variable_without_values_is_named_and_left_out():
    index = ["a", "b"]
    groups = pd.DataFrame({"density": [None, None], "age": ["x", "y"]}, index)
    score = _score(pd.Series([0.5, 0.7], index), pd.Series([0.0, 0.0], index), groups)
    assert score.uncomputable == ("density",) and score.fairness == pytest.approx(0.9)
    assert list(score.by_variable) == ["age"] and score.by_variable["age"].n_groups == 2


def test_no_scored_case_has_no_performance_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(performance_score(np.zeros(0), np.zeros(0)))


def test_no_variable_at_all_has_no_fairness():
    score = _score(pd.Series([0.5], ["a"]), pd.Series([0.0], ["a"]), pd.DataFrame({"v": [None]}, ["a"]))
    assert np.isnan(score.fairness) and np.isnan(score.ranking) and score.performance == 0.75


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 0.6), (1.0, 0.9), (0.5, 0.75)])
def test_lambda_moves_the_ranking(weight, expected):
    assert ranking_score(0.6, 0.9, weight) == pytest.approx(expected)
