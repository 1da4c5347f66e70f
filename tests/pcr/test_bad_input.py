"""Every mistake is one sentence that says what to do, before anything is trained or written."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from nnunet_fair.cli import main
from tests.pcr.drawn_patients import draw_patients, write_tables


@pytest.fixture
def say(tmp_path, capsys):
    """Run ``pcr train`` on changed tables; the sentence it refuses them with."""

    def run(*options: str, patients=None, features=None) -> str:
        drawn = draw_patients()
        changed = [
            frame if change is None else change(frame)
            for frame, change in zip(drawn, (patients, features), strict=True)
        ]
        paths = write_tables(tmp_path, *changed)
        output = tmp_path / "model"
        arguments = ["pcr", "train", "-m", str(paths[0]), "-o", str(output), *options]
        if "--no-features" in arguments:
            arguments.remove("--no-features")
        else:
            arguments += ["-x", str(paths[1])]
        assert main(arguments) == 1
        assert not output.exists()
        *bars, error, end = capsys.readouterr().err.split("\n")
        assert not end
        assert all("fit/s" in bar for bar in bars)
        assert error.startswith("nnunet_fair pcr: ")
        return error

    return run


def test_no_outcome_column(say):
    sentence = say(patients=lambda frame: frame.rename(columns={"pcr": "pcr_1"}))
    assert "has no column 'pcr' with the outcome (did you mean 'pcr_1'?)" in sentence
    assert "name the outcome's column with --outcome" in sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(0, "have the outcome 0 in column 'pcr' and none has another"), (float("nan"), "0 cases of")],
    ids=["one class only", "none known"],
)
def test_one_class_only(say, value, sentence):
    assert sentence in say(patients=lambda frame: frame.assign(pcr=value))


def test_an_outcome_that_is_none(say):
    sentence = say(patients=lambda frame: frame.assign(pcr=frame["pcr"].astype(object).where(frame.index != 4, 0.4)))
    assert "case 'P004' has the outcome 0.4 in 'pcr'; expected 0, 1, yes or no" in sentence


def test_an_unknown_centre(say):
    assert "no column 'data_set' with the centre (did you mean 'dataset'?)" in say("--centre", "data_set")


def test_features_of_other_cases(say):
    sentence = say(features=lambda frame: frame.assign(case_id=[f"Q{k}" for k in range(len(frame))]))
    assert "has no row of any of the 96 cases: its IDs are like 'P000', the cases are called like 'Q0'" in sentence


def test_a_second_table_of_other_cases(say, tmp_path):
    other = tmp_path / "other.csv"
    pd.DataFrame({"case_id": ["Q1", "Q2"], "texture": [1.0, 2.0]}).to_csv(other, index=False)
    sentence = say("-x", str(other), str(tmp_path / "features.csv"), "--no-features")
    assert "holds other cases than" in sentence


def test_the_same_feature_twice(say, tmp_path):
    other = tmp_path / "other.csv"
    draw_patients()[1][["case_id", "noise"]].to_csv(other, index=False)
    sentence = say("-x", str(tmp_path / "features.csv"), str(other), "--no-features")
    assert "the feature 'noise' is in two tables" in sentence


def test_the_outcome_among_the_features_or_the_clinical_columns(say):
    assert "which is the outcome itself" in say(features=lambda frame: frame.assign(pcr=1))
    assert "is the outcome itself; leave it away" in say("--clinical", "age", "pcr")


def test_a_clinical_column_that_is_not_there(say):
    assert "no clinical column 'subtyp' (did you mean 'subtype'?)" in say("--clinical", "subtyp")


def test_nothing_to_learn_from(say):
    assert "give tables of -x, --deep features, --clinical columns, or all" in say("--no-features")


def test_features_without_a_number(say):
    assert "has no column of numbers" in say(features=lambda frame: frame[["case_id", "masks"]])


def test_too_few_for_the_folds(say):
    sentence = say(patients=lambda frame: frame.assign(pcr=(frame.index < 4).astype(int)))
    assert "the inner folds need 4 of each at least" in sentence


def test_a_ranking_without_its_variables(say):
    sentence = say("--threshold", "ranking", patients=lambda frame: frame.drop(columns="age"))
    assert "name the columns to be fair over with --variables" in sentence


def test_a_folder_that_is_no_model_is_not_replaced(tables, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("mine")
    command = ["pcr", "train", "-m", str(tables[0]), "-x", str(tables[1]), "-o", str(tmp_path / "model")]
    assert main([*command, "--overwrite"]) == 1
    assert "thesis.txt was not written by this command and would be lost" in capsys.readouterr().err
    assert (tmp_path / "model" / "thesis.txt").read_text() == "mine"


def test_a_folder_that_holds_an_input_is_not_replaced(tables, tmp_path, capsys):
    command = ["pcr", "train", "-m", str(tables[0]), "-x", str(tables[1]), "-o", str(tmp_path), "--overwrite"]
    assert main(command) == 1
    assert "is read and lies in" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["features.csv", "features.json"])
def test_a_table_of_somebody_else_is_not_replaced(cohort, tmp_path, capsys, name):
    (tmp_path / name).write_text("patient,diagnosis\n1,C50\n")
    command = ["pcr", "features", "-i", str(cohort), "-o", str(tmp_path / "features.csv"), "--overwrite"]
    assert main(command) == 1
    assert f"{name} was not written by this command and would be lost" in capsys.readouterr().err
    assert (tmp_path / name).read_text().startswith("patient")


def test_cases_of_another_dataset(say, tmp_path, monkeypatch):
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    folder = tmp_path / "nnUNet_preprocessed" / "Dataset007_Other"
    folder.mkdir(parents=True)
    (folder / "splits_final.json").write_text(
        json.dumps([{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}])
    )
    assert "no training case of 7 is among the cases" in say("-d", "7")
