"""``pcr train`` and ``pcr predict`` as commands: what is written, what it is worth, and what must not be in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.metadata.folds import stratified_folds
from nnunet_fair.pcr.response_model import read_model
from nnunet_fair.pcr.train import MODEL
from tests.pcr.drawn_patients import draw_patients, write_tables

pytestmark = pytest.mark.slow
TEST_CASES = 16


def train(folder: Path, tables: tuple[Path, Path], *options: str) -> Path:
    output = folder / "model"
    command = ["pcr", "train", "-m", str(tables[0]), "-x", str(tables[1]), "-o", str(output), "--folds", "2"]
    assert main([*command, *options]) == 0
    return output


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with the tables and a model of features, age and subtype, with FairDiv and secrets planted."""
    folder = tmp_path_factory.mktemp("trained")
    patients, features = draw_patients(120)
    patients["case_id"] = features["case_id"] = [f"SECRET-{name}" for name in patients["case_id"]]
    patients["dataset"] = "hospital-of-" + patients["dataset"]
    patients.loc[:3, "subtype"] = "one-of-four-patients"
    patients["note"] = "secret-note"
    train(folder, write_tables(folder, patients, features), "--clinical", "age", "subtype", "--fairdiv", "subtype")
    return folder


def test_what_is_written_and_said(trained):
    model = trained / "model"
    assert {path.name for path in model.iterdir()} == {
        *("model.json", "training.json", "out_of_fold.csv", "leave_one_centre_out.csv", "weights.csv"),
    }
    record = json.loads((model / "training.json").read_text())
    assert record["n_cases"] == 120
    assert record["auc"]["out_of_fold"]["low"] > 0.6
    assert set(record["auc"]["by_centre_left_out"]) == {"hospital-of-east", "hospital-of-west"}
    assert record["masks"] == ["out-of-fold"]
    assert set(record["chosen"]) == {"all cases", "fold 0", "fold 1"}
    assert record["sentences"][0] == "The prediction holds where a centre is left out."
    rows = pd.read_csv(model / "out_of_fold.csv").set_index("case_id")
    assert list(rows.columns) == ["fold", "probability", "prediction"]
    assert rows.index.is_unique
    assert len(rows) == 120
    thresholds = rows["fold"].map(lambda fold: record["chosen"][f"fold {fold}"]["threshold"])
    assert rows["prediction"].tolist() == (rows["probability"] >= thresholds).astype(int).tolist()
    assert not list(trained.glob(".*"))


def test_no_patient_is_in_the_model(trained):
    text = (trained / "model" / MODEL).read_text()
    for secret in ("SECRET", "P00", "hospital", "east", "one-of-four-patients", "secret-note", str(trained)):
        assert secret not in text
    assert "luminal" in text  # the categories that were asked for and that many patients share


def test_evaluate_takes_the_predictions(trained, capsys):
    table, output = trained / "patients.csv", trained / "evaluation"
    predictions = trained / "model" / "out_of_fold.csv"
    command = ["evaluate", "--task", "pcr", "-pred", str(predictions), "-m", str(table), "-o", str(output)]
    assert main([*command, "--variables", "subtype", "--resamples", "50"]) == 0
    record = json.loads((trained / "model" / "training.json").read_text())
    assert f"balanced accuracy {record['balanced_accuracy']:.4f}" in capsys.readouterr().out


def test_unseen_patients_are_predicted_with_the_models_threshold(trained, tmp_path, capsys):
    patients, features = draw_patients(30, seed=5)
    features.loc[0, ["signal", "noise", "gappy", "gappy_too"]] = np.nan
    features["masks"] = "experts"
    tables = write_tables(tmp_path, patients.drop(columns="pcr").iloc[:29], features)
    output = tmp_path / "predictions.csv"
    command = ["pcr", "predict", "--model", str(trained / "model"), "-x", str(tables[1]), "-o", str(output)]
    assert main([*command, "-m", str(tables[0])]) == 0
    rows = pd.read_csv(output)
    assert rows["case_id"].tolist() == features["case_id"].tolist()
    model = read_model(trained / "model" / MODEL)
    assert rows["prediction"].tolist() == (rows["probability"] >= model.threshold).astype(int).tolist()
    said = capsys.readouterr().out
    assert "1 cases have no feature (an empty mask)" in said
    assert "1 cases have no row in patients.csv" in said
    assert "trained on out-of-fold masks and these are experts" in said
    assert json.loads((tmp_path / "predictions.json").read_text())["n_cases"] == 30
    assert main([*command, "-m", str(tables[0])]) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "drop", "sentence"),
    [
        (("-x",), "", "was trained with the clinical columns 'age', 'subtype'; give the patients' -m with them"),
        (("-m",), "", "the model reads features such as 'signal'; give the patients' -x"),
        (("-x", "-m"), "signal", "the features lack 1 of the 4 columns the model reads, the first is 'signal'"),
        (("-x", "-m"), "age", "has no clinical column 'age'"),
    ],
)
def test_patients_that_lack_what_the_model_reads(trained, tmp_path, capsys, options, drop, sentence):
    tables = write_tables(tmp_path, *(frame.drop(columns=drop, errors="ignore") for frame in draw_patients(20)))
    files = {"-m": tables[0], "-x": tables[1]}
    command = ["pcr", "predict", "--model", str(trained / "model"), "-o", str(tmp_path / "out.csv")]
    assert main([*command, *(str(part) for option in options for part in (option, files[option]))]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_test_cases_take_no_part(tmp_path, monkeypatch):
    """Without them, and with a feature that gives their outcome away, the model is the same to the last bit."""
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path))
    patients, features = draw_patients()
    cases = pd.DataFrame({"outcome": patients["pcr"].astype(str).to_numpy()}, index=patients["case_id"])
    (tmp_path / "Dataset009_Drawn").mkdir()
    folds = stratified_folds(cases.iloc[TEST_CASES:], 2)
    (tmp_path / "Dataset009_Drawn" / "splits_final.json").write_text(json.dumps(folds))
    is_test = features.index < TEST_CASES
    canary = features.assign(canary=np.where(is_test, patients["pcr"], np.nan))
    found = []
    for name, (table, measured) in {
        "all": (patients, features),
        "without": (patients[~is_test], features[~is_test]),
        "canary": (patients, canary),
    }.items():
        model = train(tmp_path / name, write_tables(tmp_path / name, table, measured), "-d", "9")
        found.append([(model / file).read_text() for file in (MODEL, "out_of_fold.csv", "leave_one_centre_out.csv")])
    assert found[0] == found[1] == found[2]
    assert len(found[0][1].splitlines()) == 1 + len(cases) - TEST_CASES


def test_the_threshold_by_ranking_has_its_audit_beside_it(tmp_path, tables, capsys):
    model = train(tmp_path, tables, "--threshold", "ranking", "--variables", "dataset", "--centre", "subtype")
    assert "The threshold by ranking instead of balanced accuracy: ranking" in capsys.readouterr().out
    assert list(pd.read_csv(model / "levelling.csv")["variable"]) == ["dataset"]
    assert "prediction_by_balanced_accuracy" in pd.read_csv(model / "out_of_fold.csv").columns


def test_centres_of_one_outcome_each_cannot_be_left_out(tmp_path, capsys):
    patients, features = draw_patients()
    tables = write_tables(tmp_path, patients.assign(dataset=patients["pcr"].map({0: "east", 1: "west"})), features)
    model = train(tmp_path, tables)
    said = capsys.readouterr().out
    assert "out of fold, none within centres left out" in said
    assert "Whether the model holds in another centre cannot be said" in said
    assert "No model can be fitted without one centre; east: of the" in said
    assert not (model / "leave_one_centre_out.csv").exists()


def test_trees_are_trained_validated_and_replaced(tmp_path, tables):
    model = train(tmp_path, tables, "--method", "trees", "--centre", "subtype")
    assert not (model / "levelling.csv").exists()
    assert read_model(model / MODEL).trees
    train(tmp_path, tables, "--overwrite")
    assert not read_model(model / MODEL).trees
