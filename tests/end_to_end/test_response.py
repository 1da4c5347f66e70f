"""From a training with a response head to a report of Task 2, by nnU-Net's training and this package's commands."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.run.run_training import run_training

from nnunet_fair.cli import main
from nnunet_fair.training.joint.response_prediction import HEAD_KEY

pytestmark = pytest.mark.slow
TRAINER = "nnUNetTrainerFairJointForSeconds"
MODULE = f"""
from nnunet_fair.training.joint.trainer import nnUNetTrainerFairJoint


class {TRAINER}(nnUNetTrainerFairJoint):
    epochs = 2

    def initialize(self):
        super().initialize()
        self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 8, 1
        self.logger.plot_progress_png = lambda folder: None
"""


@pytest.fixture
def trained(tiny_dataset, tmp_path, monkeypatch):
    """Folds 0 and 1 of the tiny dataset, whose brighter lesions respond, trained by what ``nnUNetv2_train`` calls."""
    dataset = tiny_dataset()
    table = pd.read_csv(dataset.fair_cases, index_col="case_id", dtype=object)
    table["pcr"] = ["0" if number % 3 == 0 else "1" for number in range(len(table))]
    table.loc[table.index[4], "pcr"] = None
    table.to_csv(dataset.fair_cases)
    trainers = tmp_path / "trainers"
    trainers.mkdir()
    (trainers / "for_seconds.py").write_text(MODULE)
    monkeypatch.setenv("nnUNet_extTrainer", str(trainers))
    monkeypatch.setenv("nnUNet_def_n_proc", "1")
    for fold in (0, 1):
        torch.manual_seed(fold)
        np.random.seed(fold)
        run_training("901", "3d_fullres", str(fold), trainer_class_name=TRAINER, device=torch.device("cpu"))
    return dataset


def test_from_training_to_the_report(trained, tmp_path, capsys):
    model = trained.results / trained.name / f"{TRAINER}__nnUNetPlans__3d_fullres"
    images = tmp_path / "new"
    images.mkdir()
    rng = np.random.default_rng(5)
    distance = np.sqrt(sum((grid - 8) ** 2 for grid in np.indices((12, 24, 24))))
    for number in range(6):
        array = rng.normal(size=(12, 24, 24)) * 0.3 + (distance < 4) * (0.7 if number % 3 == 0 else 2.0)
        image = sitk.GetImageFromArray(array.astype(np.float32))
        sitk.WriteImage(image, str(images / f"NEW_{number}_0000.nii.gz"))
    (tmp_path / "table.csv").write_text(
        "patient_id,pcr,site\n" + "".join(f"NEW_{number},{int(number % 3 != 0)},A\n" for number in range(6))
    )
    common = ["-d", "901", "-tr", TRAINER, "-f", "0", "1", "-device", "cpu", "--disable_tta"]
    response = tmp_path / "response.csv"
    arguments = [
        "-i",
        str(images),
        "-o",
        str(tmp_path / "masks"),
        "-npp",
        "0",
        "-nps",
        "0",
        "--response",
        str(response),
    ]
    assert main(["predict", *common, *arguments]) == 0
    table = pd.read_csv(response, index_col="case_id")
    assert list(table.index) == [f"NEW_{number}" for number in range(6)]
    assert sum(1 for _ in (tmp_path / "masks").glob("*.nii.gz")) == 6
    # after so few steps all decisions may be one, which the evaluation refuses: the heads are moved to the middle
    shares = json.loads(response.with_suffix(".json").read_text())["prevalence"]
    odds = np.log(table["probability"] / (1 - table["probability"])).median()
    move_heads(model, -odds + np.mean([np.log(share / (1 - share)) for share in shares.values()]))
    assert main(["predict", *common, *arguments, "--overwrite"]) == 0
    moved = pd.read_csv(response, index_col="case_id")
    assert moved["prediction"].sum() == 3 and moved["probability"].rank().equals(table["probability"].rank())
    assert evaluate(response, tmp_path / "table.csv", tmp_path / "report") == 0
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert scores["n_cases"] == 6

    # the training cases out of fold, each by the fold that did not see it
    out_of_fold = tmp_path / "oof.csv"
    assert main(["predict", *common, "--crossval", "--response", str(out_of_fold)]) == 0
    splits = json.loads((trained.folder / "splits_final.json").read_text())
    table = pd.read_csv(out_of_fold, index_col="case_id")
    assert sorted(table.index) == sorted(splits[0]["val"] + splits[1]["val"])
    one = tmp_path / "one.csv"
    alone = ["-d", "901", "-tr", TRAINER, "-f", "1", "-device", "cpu", "--disable_tta"]
    assert main(["predict", *alone, "--crossval", "--response", str(one)]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(one, index_col="case_id"), table.loc[sorted(splits[1]["val"])])

    # the share of the known outcomes in whole percent, and nothing else about the patients
    known = pd.read_csv(trained.fair_cases, index_col="case_id")["pcr"]
    shares = json.loads(out_of_fold.with_suffix(".json").read_text())["prevalence"]
    for fold in (0, 1):
        assert shares[str(fold)] == pytest.approx(round(known[splits[fold]["train"]].mean(), 2), abs=1e-6)
    assert_no_patient(model, trained.case_ids)

    # and a model without a head says so before it predicts
    capsys.readouterr()
    path = model / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    del checkpoint["optimizer_state"]
    torch.save(checkpoint, path)
    assert main(["predict", *common, "--crossval", "--response", str(one), "--overwrite"]) == 1
    assert "fold 0 has no response head and fold 1 has one" in capsys.readouterr().err


def evaluate(predictions: Path, table: Path, output: Path) -> int:
    """The command's exit status."""
    arguments = ["-pred", str(predictions), "-m", str(table), "-o", str(output), "--resamples", "200"]
    return main(["evaluate", "--task", "pcr", *arguments, "--variables", "site"])


def move_heads(model: Path, by: float) -> None:
    """Add a number to what the folds' heads say."""
    for path in model.glob("fold_*/checkpoint_final.pth"):
        checkpoint = torch.load(path, weights_only=False)
        checkpoint["optimizer_state"][HEAD_KEY]["layers.2.bias"] += by
        torch.save(checkpoint, path)


def assert_no_patient(model: Path, case_ids: tuple[str, ...]) -> None:
    """No case ID in what the model is made of; each fold's validation folder is not."""
    for path in (*model.glob("*.json"), *model.glob("fold_*/*.pth")):
        content = path.read_bytes()
        assert not any(case_id.encode() in content for case_id in case_ids), path
