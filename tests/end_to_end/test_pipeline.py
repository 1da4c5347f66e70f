"""The whole way through the real commands, on the demo's small cohort."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair import demo

pytestmark = pytest.mark.slow

MODEL = ("-d", str(demo.DATASET), "-c", demo.CONFIGURATION, "-tr", demo.TRAINER, "-p", demo.PLANS)
TRAIN = ("-tr", demo.TRAINER, "-p", demo.PLANS, "-device", "cpu")


def test_the_demo_ends_with_scores_and_a_report(workplace):
    # data and plans 6 commands, two folds, prediction, masks, two reports
    assert workplace.output.count("  $ ") == 6 + 2 + 1 + 1 + 2
    assert str(workplace.folder / "report" / "report.html") in workplace.output.splitlines()[-3]
    splits = json.loads((workplace.preprocessed / "splits_final.json").read_text())
    pooled = json.loads((workplace.folder / "crossval" / "scores.json").read_text())
    assert pooled["n_cases"] == len(splits[0]["val"]) + len(splits[1]["val"])
    scores = json.loads((workplace.folder / "report" / "scores.json").read_text())
    assert set(scores) >= {"performance", "fairness", "fairness_by_variable", "ranking", "n_cases"}
    test_cases = {path.name.removesuffix(".nii.gz") for path in (workplace.raw / "labelsTs").iterdir()}
    assert scores["n_cases"] == len(test_cases) == 4
    cases = pd.read_csv(workplace.folder / "report" / "cases.csv", index_col="case_id")
    assert set(cases.index) == test_cases
    assert set(cases.columns) >= {"dsc", "hd95_voxel", "norm_hd"}
    assert scores["performance"] == pytest.approx((cases["dsc"].mean() + 1 - cases["norm_hd"].mean()) / 2)
    page = (workplace.folder / "report" / "report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']https?://""", page)
    assert "data:image" in page or "<svg" in page


def test_the_report_is_that_of_the_masks(workplace):
    cases = pd.read_csv(workplace.folder / "report" / "cases.csv", index_col="case_id")
    for case_id, row in cases.iterrows():
        masks = [
            sitk.GetArrayFromImage(sitk.ReadImage(folder / f"{case_id}.nii.gz")) > 0
            for folder in (workplace.raw / "labelsTs", workplace.folder / "masks")
        ]
        volume = masks[0].sum() + masks[1].sum()
        assert row["dsc"] == pytest.approx(2 * np.logical_and(*masks).sum() / volume if volume else 0.0)


def test_training_left_its_records(workplace):
    for fold in (0, 1):
        folder = workplace.model() / f"fold_{fold}"
        splits = json.loads((workplace.preprocessed / "splits_final.json").read_text())
        weights = pd.read_csv(folder / "fair_weights.csv")
        assert sorted(weights["case_id"]) == sorted(splits[fold]["train"])
        assert weights["weight"].nunique() > 1
        history = pd.read_csv(folder / "fair_history.csv")
        assert history["epoch"].min() == 2  # 15 % of 10 epochs
        assert history["epoch"].max() == demo.TRAINER_EPOCHS - 1
        assert (folder / "fair_progress.png").is_file()
        assert (folder / "validation" / "fair_subgroups.csv").is_file()


def test_doctor_is_content(workplace):
    output = workplace.run("nnunet_fair", "doctor", "-d", str(demo.DATASET))
    assert "training can work" in output
    assert "16 of 16 training cases have a row" in output


def test_nothing_about_patients_is_in_what_nnunet_exports(workplace, tmp_path):
    archive = tmp_path / "model.zip"
    workplace.run("nnUNetv2_export_model_to_zip", *MODEL, "-o", archive, "-f", "0", "1")
    case_ids = pd.read_csv(workplace.raw / "fair_cases.csv")["case_id"].str.encode("ascii").tolist()
    # not "age=", which "image=" and "percentage=" hold as well
    groups = [b"age=0-40", b"age=41-50", b"age=51-60", b"age=61-70", b"age=71+", b"menopaus", b"breast_density"]
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        assert not any("fair_" in name for name in names)
        # nnU-Net itself packs its summary.json, which lists the validation cases; nnunet_fair export cleans it
        ours = [name for name in names if not name.endswith("summary.json")]
        assert sum(name.endswith(".pth") for name in ours) == 2
        for name in ours:
            content = opened.read(name)
            assert not [case_id for case_id in case_ids if case_id in content], name
            assert not [group for group in groups if group in content], name


def test_a_model_installed_from_nnunets_zip_predicts_the_same(workplace, tmp_path):
    archive = tmp_path / "model.zip"
    workplace.run("nnUNetv2_export_model_to_zip", *MODEL, "-o", archive, "-f", "0", "1")
    workplace.run("nnUNetv2_install_pretrained_model_from_zip", archive, nnUNet_results=str(tmp_path))
    images = tmp_path / "images"
    images.mkdir()
    case_id = next(iter((workplace.folder / "predicted").glob("*.nii.gz"))).name.removesuffix(".nii.gz")
    for path in (workplace.raw / "imagesTs").glob(f"{case_id}_*"):
        shutil.copy(path, images)
    for output, folds in (("both", ("0", "1")), ("first", "0"), ("second", "1")):
        workplace.run(
            *("nnUNetv2_predict", "-i", images, "-o", tmp_path / output, *MODEL, "-f", *folds, "--save_probabilities"),
            *("-device", "cpu", "-npp", "1", "-nps", "1"),
            nnUNet_results=str(tmp_path),
        )
    masks = [
        sitk.GetArrayFromImage(sitk.ReadImage(folder / f"{case_id}.nii.gz"))
        for folder in (workplace.folder / "predicted", tmp_path / "both")
    ]
    assert np.array_equal(*masks)
    folders = (tmp_path / "first", tmp_path / "second")
    workplace.run("nnUNetv2_ensemble", "-i", *folders, "-o", tmp_path / "ensemble", "-np", "1")
    assert (tmp_path / "ensemble" / f"{case_id}.nii.gz").is_file()


@pytest.fixture(scope="module")
def validated_again(workplace) -> list[str]:
    """What ``--val --npz`` says of both folds, and a training of a third, while there is no metadata."""
    table = workplace.raw / "fair_cases.csv"
    hidden = table.with_suffix(".hidden")
    table.rename(hidden)
    try:
        return [
            *(
                workplace.run("nnUNetv2_train", str(demo.DATASET), demo.CONFIGURATION, fold, *TRAIN, "--val", "--npz")
                for fold in ("0", "1")
            ),
            workplace.run("nnUNetv2_train", str(demo.DATASET), demo.CONFIGURATION, "2", *TRAIN, status=1),
        ]
    finally:
        hidden.rename(table)


def test_metadata_is_needed_for_training_and_not_for_validation(validated_again):
    *validated, refused = validated_again
    for output in validated:
        assert "Mean Validation Dice" in output
    assert "no case metadata for" in refused
    assert "Traceback" not in refused


def test_nnunets_best_configuration_works_on_its_results(workplace, validated_again):
    folds = ("-f", "0", "1")
    workplace.run(
        *("nnUNetv2_find_best_configuration", str(demo.DATASET), "-c", demo.CONFIGURATION, "-tr", demo.TRAINER),
        *("-p", demo.PLANS, *folds, "-np", "2"),
    )
    information = json.loads((workplace.model().parent / "inference_information.json").read_text())
    assert demo.TRAINER in json.dumps(information)


def _train_and_kill(workplace, fold: str, when: str) -> None:
    """Start a training and kill it, hard, once its output holds ``when``."""
    with subprocess.Popen(
        [str(Path(sys.executable).parent / "nnUNetv2_train"), str(demo.DATASET), demo.CONFIGURATION, fold, *TRAIN],
        env=workplace.environment,
        cwd=workplace.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        for line in process.stdout:
            if re.search(when, line):
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    assert process.returncode == -signal.SIGKILL


def test_a_killed_training_continues_where_its_checkpoint_was(workplace):
    folder = workplace.model() / "fold_3"
    _train_and_kill(workplace, "3", r"Epoch 5$")
    time.sleep(1)
    checkpoint = folder / "checkpoint_best.pth"
    assert checkpoint.is_file()
    # what a kill in the middle of writing the next checkpoint leaves
    (folder / "checkpoint_best.pth.tmp").write_bytes(checkpoint.read_bytes()[:1000])
    output = workplace.run("nnUNetv2_train", str(demo.DATASET), demo.CONFIGURATION, "3", *TRAIN, "--c")
    assert "continuing with the scores and weights saved for epoch" in output
    history = pd.read_csv(folder / "fair_history.csv")
    assert sorted(history["epoch"].unique()) == list(range(2, demo.TRAINER_EPOCHS))
    assert not history.duplicated(["epoch", "subgroup"]).any()
    states = sorted(path.name for path in folder.glob("fair_state*"))
    assert f"fair_state_checkpoint_final_{demo.TRAINER_EPOCHS}.json" in states
    assert not [name for name in states if "latest" in name]
