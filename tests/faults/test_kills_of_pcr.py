"""The commands of Task 2 killed at their file operations, see ``test_kills.py``."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tests.faults.kills import end_at_every_operation, replaced_by, whole_files
from tests.pcr.drawn_patients import draw_patients, write_tables

pytestmark = pytest.mark.slow


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def test_features_of_an_earlier_run_stay_or_are_replaced(tmp_path, commands):
    root, pristine = tmp_path / "root", tmp_path / "pristine"
    lesion = np.zeros((4, 8, 8), np.uint8)
    lesion[1:3, 2:5, 2:6] = 1
    for phase in range(2):
        write(tmp_path / "images" / f"A_{phase:04d}.nii.gz", (100 + 50 * phase + lesion).astype(np.int16))
    write(tmp_path / "older" / "A.nii.gz", lesion)
    lesion[2] = 0
    write(tmp_path / "masks" / "A.nii.gz", lesion)
    root.mkdir()
    arguments = ["pcr", "features", "-i", tmp_path / "images", "-o", root / "features.csv", "-np", "1", "--overwrite"]
    assert commands.run([*arguments, "-seg", tmp_path / "older"], root) == 0, commands.output
    shutil.copytree(root, pristine)
    arguments += ["-seg", tmp_path / "masks"]
    end_at_every_operation(commands, arguments, root, lambda: replaced_by(root, pristine), check=whole_files)


def test_a_model_is_swapped_whole_and_predictions_are_whole(tmp_path, commands):
    patients, features = draw_patients(48)
    tables = write_tables(tmp_path, patients.drop(columns="dataset"), features)
    root, pristine = tmp_path / "root", tmp_path / "pristine"
    root.mkdir()
    train = ["pcr", "train", "-m", tables[0], "-x", tables[1], "-o", root / "model", "--folds", "2", "--overwrite"]
    assert commands.run([*train, "--seed", "1"], root) == 0, commands.output
    shutil.copytree(root, pristine)
    end_at_every_operation(commands, train, root, lambda: replaced_by(root, pristine))
    model = shutil.copytree(root / "model", tmp_path / "model")
    predict = ["pcr", "predict", "--model", model, "-x", tables[1], "-o", root / "predictions.csv", "--overwrite"]
    end_at_every_operation(commands, predict, root, lambda: replaced_by(root, pristine), check=whole_files)
