from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.crossval import crossval_pairing

MODEL = ("nnUNetTrainerFairDiv", "nnUNetPlans", "3d_fullres")
MASK = np.ones((2, 3, 3))


@pytest.fixture
def trained(tmp_path, monkeypatch, save_mask):
    """Two folds of a model of Dataset950_X; fold 1 lacks the prediction of c3."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable / "Dataset950_X").mkdir(parents=True)
        monkeypatch.setenv(variable, str(tmp_path / variable))
    for case in ("c0", "c1", "c2", "c3"):
        save_mask(MASK, tmp_path / "nnUNet_raw" / "Dataset950_X" / "labelsTr" / f"{case}.nii.gz")
    splits = [{"train": ["c2", "c3"], "val": ["c0", "c1"]}, {"train": ["c0", "c1"], "val": ["c2", "c3"]}]
    (tmp_path / "nnUNet_preprocessed" / "Dataset950_X" / "splits_final.json").write_text(json.dumps(splits))
    model = tmp_path / "nnUNet_results" / "Dataset950_X" / "__".join(MODEL)
    for fold, cases in ((0, ("c0", "c1")), (1, ("c2",))):
        for case in cases:
            save_mask(MASK, model / f"fold_{fold}" / "validation" / f"{case}.nii.gz")
        (model / f"fold_{fold}" / "validation" / "summary.json").write_text("{}")
    return model


def test_folds_are_pooled_and_missing_validation_cases_listed(trained):
    pairing = crossval_pairing(950, trained)
    assert [(pair.case_id, pair.fold) for pair in pairing.pairs] == [("c0", 0), ("c1", 0), ("c2", 1), ("c3", 1)]
    assert pairing.missing == ("c3",) and pairing.pairs[3].prediction is None
    assert [pair.case_id for pair in crossval_pairing("Dataset950_X", trained, folds=[0]).pairs] == ["c0", "c1"]


def test_labels_beside_the_preprocessed_data_come_first(trained, save_mask):
    copied = trained.parents[2] / "nnUNet_preprocessed" / "Dataset950_X" / "gt_segmentations"
    for case in ("c0", "c1", "c2", "c3"):
        save_mask(MASK, copied / f"{case}.nii.gz")
    assert crossval_pairing(950, trained).pairs[0].reference.parent == copied


def test_a_case_in_two_folds_is_refused(trained, save_mask):
    save_mask(MASK, trained / "fold_1" / "validation" / "c0.nii.gz")
    with pytest.raises(UserError, match=r"'c0' is a validation case of folds 0 and 1"):
        crossval_pairing(950, trained)


@pytest.mark.parametrize(
    ("model", "folds", "message"),
    [
        (("nnUNetTrainer", *MODEL[1:]), None, "no trained model"),
        (MODEL, [4], "no validation folder for fold 4"),
    ],
)
def test_absent_models_and_folds(trained, model, folds, message):
    with pytest.raises(UserError, match=message):
        crossval_pairing(950, trained.with_name("__".join(model)), folds=folds)


def test_unfinished_fold_is_named(trained):
    (trained / "fold_1" / "validation" / "c2.nii.gz").unlink()
    with pytest.raises(UserError, match=r"fold_1.*holds no validation prediction"):
        crossval_pairing(950, trained)


def test_command_pools_the_folds_and_finds_table_and_output(trained, capsys):
    raw = trained.parents[2] / "nnUNet_raw" / "Dataset950_X"
    (raw / "fair_cases.csv").write_text("case_id,age,site\nc0,0-40,a\nc1,41-50,b\nc2,0-40,a\nc3,41-50,b\n")
    assert main(["evaluate", "--crossval", "-d", "950", "-np", "1", "--missing", "empty", "--resamples", "50"]) == 0
    output = trained / "crossval_fairness"
    cases = pd.read_csv(output / "cases.csv", index_col="case_id")
    assert cases["fold"].tolist() == [0, 0, 1, 1] and cases.loc["c3", "status"] == "missing prediction"
    scores = json.loads((output / "scores.json").read_text())
    assert scores["n_cases"] == 4 and scores["mean_dsc"] == 0.75
    assert (output / "report.html").is_file() and "1 without a prediction: c3" in capsys.readouterr().out
    assert main(["evaluate", "--crossval", "-d", "950", "-ref", str(raw)]) == 1
