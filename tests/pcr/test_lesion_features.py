"""Files in, one row a case out; a bad case is named and the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.pcr.cohort_images import find_images, lesion_files
from nnunet_fair.pcr.lesion_features import EMPTY, FEATURES, measure_cases

ROOT = Path(__file__).parents[2]
SHAPE = (6, 12, 14)


def write(path: Path, array: np.ndarray, spacing=(0.7, 0.8, 2.0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


def lesion() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[2:5, 3:8, 4:9] = 1
    return mask


def not_a_number(images: Path, masks: Path) -> None:
    (images / "A_0001.nii.gz").unlink()  # NIfTI readers take NaN for 0
    write(images / "A_0001.mha", np.full(SHAPE, np.nan, np.float32))


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Images and masks of two cases named as nnU-Net's: A enhances twofold, B threefold; mask names in lower case."""
    images, masks = tmp_path / "images_in", tmp_path / "masks"
    for case_id, factor in (("A", 2), ("B", 3)):
        for phase in range(3):
            signal = np.where(lesion() == 1, 100 * (factor if phase else 1), 50).astype(np.int16)
            write(images / f"{case_id}_{phase:04d}.nii.gz", signal)
        write(masks / f"{case_id.lower()}.nii.gz", lesion())
    return images, masks


def features(images: Path, masks: Path, output: Path, *more: str) -> int:
    return main(["pcr", "features", "-i", str(images), "-seg", str(masks), "-o", str(output), "-np", "1", *more])


def test_a_row_a_case_and_a_record_beside_it(folders, tmp_path, capsys):
    assert features(*folders, tmp_path / "features.csv") == 0
    rows = pd.read_csv(tmp_path / "features.csv").set_index("case_id")
    assert list(rows.columns) == ["masks", EMPTY, *FEATURES]
    assert rows["enhancement_first_mean"].tolist() == [1, 2]
    assert rows["volume_ml"].tolist() == pytest.approx([75 * 0.7 * 0.8 * 2 / 1000] * 2)
    record = json.loads((tmp_path / "features.json").read_text())
    assert (record["masks"], record["n_cases"], record["n_empty_masks"]) == ("given", 2, 0)
    assert not list(tmp_path.glob(".*"))
    assert features(*folders, tmp_path / "features.csv") == 1
    assert "--overwrite replaces it" in capsys.readouterr().err


def test_an_empty_mask_gives_missing_values_and_a_flag(folders, tmp_path):
    images, masks = folders
    write(masks / "a.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    assert features(images, masks, tmp_path / "features.csv") == 0
    rows = pd.read_csv(tmp_path / "features.csv").set_index("case_id")
    assert rows[EMPTY].tolist() == [1, 0]
    assert rows.loc["A", list(FEATURES)].isna().all()
    assert rows.loc["B", "volume_ml"] > 0


def test_no_lesion_anywhere_is_refused(folders, tmp_path, capsys):
    images, masks = folders
    for name in "ab":
        write(masks / f"{name}.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    assert features(images, masks, tmp_path / "features.csv") == 1
    assert "none of the 2 masks holds a lesion" in capsys.readouterr().err
    assert not (tmp_path / "features.csv").exists()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda images, masks: write(masks / "a.nii.gz", np.ones((6, 12, 13), np.uint8)), "has size 14×12×6 where"),
        (lambda images, masks: write(masks / "a.nii.gz", lesion(), (0.7, 0.8, 2.6)), "voxels away from its mask"),
        (lambda images, masks: write(masks / "a.nii.gz", 2 * lesion()), "where 0 and 1 are expected"),
        (
            lambda images, masks: (images / "A_0000.nii.gz").unlink(),
            "has the phases 1, 2; enhancement needs the pre-contrast",
        ),
        (lambda images, masks: (images / "A_0002.nii.gz").write_bytes(b"no image"), "cannot be read"),
        (
            lambda images, masks: write(images / "A_0000.nii.gz", np.zeros(SHAPE, np.int16)),
            "mean signal is 0; enhancement needs the phases as the scanner gave them",
        ),
        (not_a_number, "no numbers"),
    ],
    ids=["size", "place", "labels", "no pre-contrast phase", "damaged", "normalised", "NaN"],
)
def test_a_bad_case_is_named_and_the_others_go_on(folders, tmp_path, capsys, damage, sentence):
    images, masks = folders
    damage(images, masks)
    assert features(images, masks, tmp_path / "features.csv") == 1
    captured = capsys.readouterr()
    assert "not measured: A: " in captured.out
    assert sentence in captured.out
    assert "1 cases were not measured" in captured.err
    assert pd.read_csv(tmp_path / "features.csv")["case_id"].tolist() == ["B"]


def test_a_mask_of_other_labels_is_measured_where_they_are_named(folders, tmp_path):
    images, masks = folders
    for name in "ab":
        write(masks / f"{name}.nii.gz", 2 * lesion())
    assert features(images, masks, tmp_path / "features.csv", "--labels", "2") == 0


def test_images_without_any_mask_are_refused(folders, tmp_path):
    images, masks = folders
    for name in "ab":
        (masks / f"{name}.nii.gz").rename(masks / f"other_{name}.nii.gz")
    with pytest.raises(UserError, match="no mask has the ID of a case: images are of cases like 'A'"):
        lesion_files(find_images(images), {"other_a": masks / "other_a.nii.gz"})


def test_a_cohort_without_experts_needs_masks(folders, tmp_path, capsys):
    assert main(["pcr", "features", "-i", str(folders[0]), "-o", str(tmp_path / "f.csv")]) == 1
    assert "holds no masks of experts" in capsys.readouterr().err


def test_masks_of_the_fold_that_left_a_case_out(folders, tmp_path, monkeypatch, capsys):
    images, masks = folders
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    model = tmp_path / "nnUNet_results" / "Dataset004_Breast" / "nnUNetTrainerFairDiv__nnUNetPlans__3d_fullres"
    smaller = lesion()
    smaller[2] = 0  # 50 of 75 voxels: the prediction is measured, not the reference
    for fold, name in enumerate("ab"):
        write(model / f"fold_{fold}" / "validation" / f"{name}.nii.gz", smaller)
        write(tmp_path / "nnUNet_raw" / "Dataset004_Breast" / "labelsTr" / f"{name}.nii.gz", lesion())
    (tmp_path / "nnUNet_preprocessed" / "Dataset004_Breast").mkdir(parents=True)
    output = tmp_path / "features.csv"
    assert main(["pcr", "features", "-i", str(images), "-d", "4", "-o", str(output), "-np", "1"]) == 0
    rows = pd.read_csv(output)
    assert rows["masks"].unique().tolist() == ["out-of-fold"]
    assert rows["volume_ml"].tolist() == pytest.approx([50 * 0.7 * 0.8 * 2 / 1000] * 2)
    both = ["pcr", "features", "-i", str(images), "-d", "4", "-seg", str(masks), "-o", str(output), "--overwrite"]
    assert main(both) == 1
    assert "two places of masks" in capsys.readouterr().err


def test_the_cohorts_own_masks_are_the_experts(cohort):
    images = find_images(cohort)
    found = measure_cases(lesion_files(images, images.experts)[:2], masks="experts")
    assert not found.problems
    assert found.rows[list(FEATURES)].notna().all(axis=None)
    assert (found.rows["enhancement_first_mean"] > 0.2).all()


def test_every_feature_is_defined_in_the_docs():
    text = (ROOT / "docs" / "pcr.md").read_text(encoding="utf-8")
    table = text[text.index("<!-- features") : text.index("<!-- end of features")]
    named = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    defined = [name for cell in named for name in cell.replace("`", "").replace(" ", "").split(",")]
    assert defined == list(FEATURES)
