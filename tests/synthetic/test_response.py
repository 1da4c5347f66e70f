"""What pCR has to do with in a synthetic cohort: nothing, the lesion's enhancement, or the centre."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.pcr.discrimination import auc_with_interval, within_auc_with_interval
from nnunet_fair.synthetic.cohort import CohortOptions
from nnunet_fair.synthetic.patients import draw_patients
from nnunet_fair.synthetic.response import CENTRE_RATES, RATE, RESPONSES, drawn_response

N = 700


def draw(response: str) -> list:
    common = {"disparity": "balanced", "group_fraction": 0.2, "test_fraction": 0.2, "missing": "none"}
    return list(draw_patients(N, seed=0, missing_rate=0.0, response=response, **common))


@pytest.fixture(scope="module")
def cohorts() -> dict[str, list]:
    return {kind: draw(kind) for kind in RESPONSES}


def outcome(patients: list) -> np.ndarray:
    return np.array([patient.values["pcr"] == 1 for patient in patients])


def test_nothing_else_of_the_patients_changes(cohorts):
    plain = cohorts["none"]
    for kind in ("enhancement", "centre"):
        for patient, other in zip(plain, cohorts[kind], strict=True):
            assert {**other.values, "pcr": None} == {**patient.values, "pcr": None}
            assert (other.case_id, other.missing, other.is_test) == (patient.case_id, patient.missing, patient.is_test)
    assert outcome(cohorts["enhancement"]).tolist() == outcome(plain).tolist()
    assert {patient.enhancement for kind in ("none", "centre") for patient in cohorts[kind]} == {1.0}


@pytest.mark.parametrize("kind", RESPONSES)
def test_the_rate_is_that_of_the_real_table(cohorts, kind):
    assert outcome(cohorts[kind]).mean() == pytest.approx(RATE, abs=0.04)


def test_the_signal_tells_the_outcomes_apart_as_well_as_is_said(cohorts):
    patients = cohorts["enhancement"]
    signal = [patient.enhancement for patient in patients]
    assert roc_auc_score(outcome(patients), signal) == pytest.approx(norm.cdf(1.05 / math.sqrt(2)), abs=0.03)
    assert 0.45 < min(signal) < 0.5
    assert 2 < max(signal) < 2.2


def test_the_centre_predicts_and_within_a_centre_nothing_does(cohorts):
    patients = cohorts["centre"]
    truth = outcome(patients)
    centres = np.array([patient.centre for patient in patients])
    for centre, rate in CENTRE_RATES.items():
        own = truth[centres == centre]
        assert own.mean() == pytest.approx(rate, abs=3 * math.sqrt(rate * (1 - rate) / len(own)))
    assert auc_with_interval(truth, pd.Series(centres).map(CENTRE_RATES).to_numpy()).low > 0.7
    age = np.array([patient.values["age"] for patient in patients])
    assert within_auc_with_interval(truth, age, centres).is_chance


def test_a_response_that_is_not_known_is_refused():
    with pytest.raises(UserError, match="expected response none, enhancement, centre; found 'volume'"):
        CohortOptions(response="volume")


def test_the_same_draw_gives_the_same_signal():
    drawn = [drawn_response("enhancement", "DUKE", 1, np.random.default_rng(4)) for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.slow
def test_a_planted_response_is_recovered_from_images(tmp_path, capsys):
    root, features, model = tmp_path / "cohort", tmp_path / "features.csv", tmp_path / "model"
    planted = ["--response", "enhancement", "--disparity", "balanced", "--size", "16", "32", "32", "--max-phases", "3"]
    assert main(["synth", "-o", str(root), "-n", "90", *planted]) == 0
    assert main(["pcr", "features", "-i", str(root), "-o", str(features), "-np", "1"]) == 0
    table = root / "clinical_and_imaging_info.xlsx"
    assert main(["pcr", "train", "-m", str(table), "-x", str(features), "-o", str(model), "--folds", "3"]) == 0
    rows = pd.read_csv(model / "out_of_fold.csv").set_index("case_id")
    truth = {patient.case_id: patient.values["pcr"] == 1 for patient in draw("none")[:90]}
    found = auc_with_interval(np.array([truth[case] for case in rows.index]), rows["probability"].to_numpy())
    assert found.low > 0.5
    assert found.low < 0.75 < found.high
    assert f"AUC {found.text()} out of fold" in capsys.readouterr().out
