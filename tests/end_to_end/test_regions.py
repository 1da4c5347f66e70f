"""Regions and an ignore label through the real commands: trained, then scored region by region."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.environment import ext_trainer_value

pytestmark = pytest.mark.slow

TRAINER = "nnUNetTrainerFairDivRegions"
"""Found as a user's own trainer is: in a folder beside the plugin's."""
SHORT = f"""import numpy as np
import torch
from nnunet_fair.training.trainer import nnUNetTrainerFairDiv
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import nnUNetTrainerNoMirroring


class {TRAINER}(nnUNetTrainerFairDiv, nnUNetTrainerNoMirroring):
    epochs, iterations, val_iterations, learning_rate = 2, 20, 1, 0.05

    def initialize(self):  # the same weights and, with batches made in this process, the same training every time
        np.random.seed(0)
        torch.manual_seed(0)
        super().initialize()
"""
LABELS = {"whole": (1, 2), "core": (2,)}
IGNORE = 3


def predict_where_ignored(references: Path, predictions: Path) -> None:
    """Let every prediction label what its reference ignores, as any network may and a short training may not."""
    for path in sorted(predictions.glob("*.nii.gz")):
        prediction = sitk.ReadImage(str(path))
        ignored = sitk.ReadImage(str(references / path.name)) == IGNORE
        labelled = sitk.Cast(ignored, prediction.GetPixelID()) * LABELS["core"][0]
        sitk.WriteImage(sitk.Mask(prediction, ignored, 0, 1) + labelled, str(path))


@pytest.fixture
def trained(tiny_dataset, tmp_path):
    """Fold 0 of 16 cases, trained by nnUNetv2_train: the dataset and the model's folder."""
    dataset = tiny_dataset("regions_ignore", n_cases=16)
    (tmp_path / "own_trainers").mkdir()
    (tmp_path / "own_trainers" / "fair_div_regions.py").write_text(SHORT)
    environment = {**os.environ, "nnUNet_extTrainer": ext_trainer_value(str(tmp_path / "own_trainers"))}
    environment |= {"OMP_NUM_THREADS": "1", "nnUNet_compile": "f", "nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "0"}
    command = [Path(sys.executable).parent / "nnUNetv2_train", "901", "3d_fullres", "0", "-tr", TRAINER]
    result = subprocess.run([*command, "-device", "cpu"], env=environment, capture_output=True, text=True, timeout=1800)
    assert result.returncode == 0, f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return dataset, dataset.results / dataset.name / f"{TRAINER}__nnUNetPlans__3d_fullres"


def dice(reference, prediction) -> float:
    return 2 * (reference & prediction).sum() / (reference.sum() + prediction.sum())


def test_a_training_on_regions_is_scored_region_by_region_without_what_is_ignored(trained, capsys):
    dataset, model = trained
    predict_where_ignored(dataset.folder / "gt_segmentations", model / "fold_0" / "validation")
    quick = ("-np", "1", "--min-group", "2", "--resamples", "100", "--overlays", "0")
    assert main(["evaluate", "--crossval", "-d", "901", "-tr", TRAINER, *quick]) == 0
    printed = capsys.readouterr().out
    out = model / "crossval_fairness"
    scored = pd.read_csv(out / "cases.csv").set_index(["class", "case_id"])
    validation = json.loads((dataset.folder / "splits_final.json").read_text())[0]["val"]
    assert scored.index.get_level_values("class").unique().tolist() == list(LABELS)
    n_ignored = 0
    for case_id in validation:
        reference, prediction = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{case_id}.nii.gz")))
            for folder in (dataset.folder / "gt_segmentations", model / "fold_0" / "validation")
        )
        assert IGNORE not in prediction
        counted = reference != IGNORE
        n_ignored += int((prediction[~counted] > 0).sum())
        for name, labels in LABELS.items():
            masks = [np.isin(array, labels) & counted for array in (reference, prediction)]
            if masks[0].any() and masks[1].any():
                assert scored.loc[(name, case_id), "dsc"] == pytest.approx(dice(*masks))
            assert scored.loc[(name, case_id), "volume_prediction_mm3"] == masks[1].sum()
            assert scored.loc[(name, case_id), "volume_reference_mm3"] == masks[0].sum()
    assert n_ignored > 0, "no voxel was predicted where the reference ignores: nothing was masked"
    assert scored.loc["whole", "dsc"].mean() > 0.3, "the network learned nothing: the scores say nothing"

    subgroups = pd.read_csv(out / "subgroups.csv")
    of_groups = subgroups.loc[subgroups["subgroup"] == "density=d", "class"].tolist()
    assert of_groups == ["mean of classes", "whole", "core"]
    page = (out / "report.html").read_text()
    for name in LABELS:
        assert f"  {name}: mean DSC" in printed and f"<summary>{name}" in page
    assert "class 1" not in page and "Furthest below its class" in page
    table = pd.read_csv(model / "fold_0" / "validation" / "fair_subgroups.csv")
    assert {"density=a", "density=d"} <= set(table["subgroup"])
