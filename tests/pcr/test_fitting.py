"""The model that is written is the pipeline that was fitted, and knows nothing of cases it was not given."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.pipeline import Pipeline

from nnunet_fair.errors import UserError
from nnunet_fair.files import write_json
from nnunet_fair.pcr.fitting import FittingOptions, ResponseCases, fit_response
from nnunet_fair.pcr.held_out import hold_out
from nnunet_fair.pcr.pipeline import (
    LOGISTIC,
    TREES,
    Inputs,
    build_classifier,
    build_columns,
    exported_scorer,
    exported_terms,
    missing_patterns,
    prepared,
    transformed,
)
from nnunet_fair.pcr.response_model import ResponseModel, read_model
from tests.pcr.drawn_patients import draw_patients

INPUTS = Inputs(("signal", "noise", "gappy", "gappy_too", "age"), ("subtype",))


def response_cases(n: int = 96, seed: int = 0) -> ResponseCases:
    patients, features = draw_patients(n, seed)
    frame = features.merge(patients, on="case_id").set_index("case_id")
    frame["subtype"] = frame["subtype"].astype(object)
    frame.iloc[:3, frame.columns.get_loc("subtype")] = np.nan
    frame.iloc[3:5, frame.columns.get_loc("subtype")] = "rare"
    return ResponseCases(
        frame=frame[[*INPUTS.numbers, *INPUTS.categories]].astype(dict.fromkeys(INPUTS.numbers, float)),
        truth=(frame["pcr"] == 1).to_numpy(),
        inputs=INPUTS,
        clinical=("age", "subtype"),
        masks=("out-of-fold",),
        centres=frame["dataset"],
    )


@pytest.mark.parametrize("method", [LOGISTIC, TREES])
def test_the_model_scores_as_the_pipeline_also_after_a_round_through_its_file(method, tmp_path):
    cases, unseen = response_cases(), response_cases(40, seed=9).frame
    unseen.iloc[0] = np.nan
    unseen.iloc[1, unseen.columns.get_loc("subtype")] = "never seen"
    frame = prepared(cases.frame, INPUTS)
    classifier = build_classifier(method, 1, 0)
    pipeline = Pipeline([("columns", build_columns(method, INPUTS, frame)), ("classifier", classifier)])
    pipeline.fit(frame, cases.truth)
    intercept, coefficients, trees = exported_scorer(pipeline)
    model = ResponseModel(
        exported_terms(pipeline),
        intercept,
        coefficients,
        trees,
        0.9,
        0.1,
        0.4,
        "balanced-accuracy",
        ("age",),
        ("given",),
    )
    write_json(model.to_json(), tmp_path / "model.json")
    again = read_model(tmp_path / "model.json")
    expected = classifier.decision_function(transformed(pipeline.named_steps["columns"], prepared(unseen, INPUTS)))
    for found in (model, again):
        assert found.scores(unseen) == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert found.probabilities(unseen) == pytest.approx(expit(0.9 * expected + 0.1))
    assert again.columns == {**dict.fromkeys(INPUTS.numbers, False), "subtype": True}
    assert "rare" not in json.dumps(model.to_json())  # two patients: one of the others


def test_features_that_are_missing_together_have_one_indicator():
    frame = response_cases().frame
    assert missing_patterns(frame, INPUTS.numbers) == ["gappy"]


def test_a_model_is_chosen_calibrated_and_decides():
    cases = response_cases(400)
    fit = fit_response(cases, FittingOptions())
    probabilities = fit.model.probabilities(cases.frame)
    assert probabilities.mean() == pytest.approx(cases.truth.mean(), abs=0.03)
    assert 0.2 < fit.model.threshold < 0.7
    decision = probabilities >= fit.model.threshold
    assert decision[cases.truth].mean() > 0.65
    assert decision[~cases.truth].mean() < 0.35
    assert not fit.found_nothing


def test_where_there_is_nothing_every_probability_is_nearly_the_rate():
    cases = response_cases()
    noise = replace(cases, truth=np.random.default_rng(2).random(96) < 0.3)
    fit = fit_response(noise, FittingOptions())
    probabilities = fit.model.probabilities(noise.frame)
    assert fit.found_nothing
    assert np.ptp(probabilities) < 0.02
    assert probabilities.mean() == pytest.approx(noise.truth.mean(), abs=0.01)


def test_a_fold_is_predicted_the_same_whatever_its_own_outcomes_are():
    cases = response_cases()
    folds = pd.Series(np.arange(96) % 2, index=cases.frame.index)
    held_out = (folds == 0).to_numpy()
    turned = replace(cases, truth=np.where(held_out, ~cases.truth, cases.truth))
    once, again = (hold_out(c, folds, FittingOptions(), name="fold", needs_all=True) for c in (cases, turned))
    for column in ("probability", "prediction"):
        first, second = (found.rows.loc[found.rows["fold"] == 0, column] for found in (once, again))
        assert first.tolist() == second.tolist()
    other = [found.rows.loc[found.rows["fold"] == 1, "probability"].tolist() for found in (once, again)]
    assert other[0] != other[1]  # there the outcomes were trained on


def test_fair_weights_lift_the_cases_of_a_subgroup_that_is_predicted_worse():
    cases = response_cases(300)
    told = cases.frame["subtype"] != "her2"
    signal = np.where(told, cases.frame["signal"] + 2 * cases.truth, -cases.frame["signal"])
    attributes = pd.DataFrame({"subtype": cases.frame["subtype"]}, dtype=object)
    weighed = replace(cases, frame=cases.frame.assign(signal=signal), attributes=attributes)
    fit = fit_response(weighed, FittingOptions())
    weights = pd.Series(fit.weights.values, index=cases.frame.index)
    assert weights.mean() == pytest.approx(1)
    assert (
        weights[~told & (cases.frame["subtype"] == "her2")].min() > 2 * weights[cases.frame["subtype"] == "basal"].max()
    )
    assert fit.weights.subgroup[int(np.flatnonzero(cases.frame["subtype"] == "her2")[0])] == "subtype=her2"


def test_too_few_of_an_outcome_are_refused():
    cases = response_cases()
    few = replace(cases, truth=np.arange(96) < 3)
    with pytest.raises(UserError, match=r"3 have a pCR and 93 have none; the inner folds need 4"):
        fit_response(few, FittingOptions())


def test_features_that_do_not_differ_are_refused():
    cases = response_cases()
    with pytest.raises(UserError, match="no feature differs between the 96 patients"):
        fit_response(replace(cases, frame=cases.frame * 0, inputs=Inputs(INPUTS.numbers, ())), FittingOptions())


@pytest.fixture(scope="module")
def content():
    """What a model's file holds."""
    return fit_response(response_cases(), FittingOptions()).model.to_json()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "other"}, "is no response model of this version"),
        ({"coefficients": [1.0]}, "is damaged"),
        ({"threshold": None}, "is damaged"),
        ({"calibration": {}}, "is damaged"),
        ({"terms": [{"column": "a", "kind": "number", "scale": 0.0}]}, "has no usable scale"),
        ({"terms": [{"column": "a", "kind": "text"}]}, "kind 'text' is unknown"),
        ({"terms": []}, "is damaged"),
    ],
)
def test_a_damaged_model_is_refused(tmp_path, content, change, sentence):
    (tmp_path / "model.json").write_text(json.dumps(content | change))
    with pytest.raises(UserError, match=sentence):
        read_model(tmp_path / "model.json")


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="there is no response model at"):
        read_model(tmp_path / "model.json")
