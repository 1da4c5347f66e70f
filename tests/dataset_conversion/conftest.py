"""A tiny cohort in the MAMA-MIA layout, and means to damage one of its cases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

SHAPE = (4, 10, 12)  # slices, rows, columns
SPACING = (0.5, 0.75, 2.0)  # x, y, z in mm
ORIGIN = (-10.0, 5.0, 3.0)
TUMOR = (slice(1, 3), slice(4, 6), slice(5, 8))  # 2 * 2 * 3 = 12 voxels of 0.75 mm³
BOX = ((0, 4), (2, 9), (3, 11))


def make_image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    return image


def phase_array(case: int, phase: int) -> np.ndarray:
    """Distinct, reproducible values; enhancement in the tumour only."""
    array = np.random.default_rng(100 * case).integers(50, 150, SHAPE).astype(np.int16)
    array[TUMOR] += 40 * phase
    return array


class CohortWriter:
    """Writes a cohort and lets a test change it."""

    def __init__(self, root: Path, case_ids: list[str]) -> None:
        self.root, self.case_ids = root, case_ids
        for folder in ("images", "segmentations/expert", "patient_info_files"):
            (root / folder).mkdir(parents=True)
        for number, case_id in enumerate(case_ids):
            self.write_case(case_id, number)
        self.write_table(case_ids)
        self.write_splits(case_ids[:-2], case_ids[-2:])

    @property
    def table(self) -> Path:
        return self.root / "clinical_and_imaging_info.csv"

    def phase(self, case_id: str, phase: int) -> Path:
        return self.root / "images" / case_id / f"{case_id.lower()}_{phase:04d}.nii.gz"

    def label(self, case_id: str) -> Path:
        return self.root / "segmentations" / "expert" / f"{case_id.lower()}.nii.gz"

    def info(self, case_id: str) -> Path:
        return self.root / "patient_info_files" / f"{case_id.lower()}.json"

    def write_case(self, case_id: str, number: int, n_phases: int = 3) -> None:
        (self.root / "images" / case_id).mkdir()
        for phase in range(n_phases):
            sitk.WriteImage(make_image(phase_array(number, phase)), str(self.phase(case_id, phase)))
        label = np.zeros(SHAPE, np.uint8)
        label[TUMOR] = 1
        sitk.WriteImage(make_image(label), str(self.label(case_id)))
        self.write_box(case_id, BOX)

    def write_box(self, case_id: str, box: tuple) -> None:
        limits = {}
        for axis, (start, stop) in zip("xyz", box, strict=True):
            limits |= {f"{axis}_min": start, f"{axis}_max": stop}
        content = {"patient_id": case_id, "primary_lesion": {"breast_coordinates": limits}}
        self.info(case_id).write_text(json.dumps(content))

    def write_table(self, case_ids: list[str]) -> None:
        ages = [30.0 + 7 * index % 45 for index in range(len(case_ids))]
        frame = pd.DataFrame(
            {
                "patient_id": case_ids,
                "dataset": [case_id.split("_")[0] for case_id in case_ids],
                "age": ages,
                "menopause": ["pre" if age < 50 else "post" for age in ages],
                "breast_density": ["a" if index % 2 else None for index in range(len(case_ids))],
            }
        )
        frame.to_csv(self.table, index=False)

    def write_splits(self, train: list[str], test: list[str]) -> None:
        columns = {"train_split": pd.Series(train, dtype=object), "test_split": pd.Series(test, dtype=object)}
        pd.DataFrame(columns).to_csv(self.root / "train_test_splits.csv", index=False)

    def change_image(self, path: Path, change: Callable[[sitk.Image], sitk.Image | None]) -> None:
        """Rewrite an image; ``change`` returns a new one or changes the one it is given."""
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(change(image) or image, str(path))


CASE_IDS = ["DUKE_001", "DUKE_002", "DUKE_003", "ISPY1_1001", "ISPY1_1002", "ISPY2_100899", "ISPY2_101000", "NACT_01"]


@pytest.fixture
def cohort(tmp_path: Path) -> CohortWriter:
    """Eight sound cases of three phases, the last two for testing."""
    return CohortWriter(tmp_path / "cohort", CASE_IDS)


@pytest.fixture
def nnunet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty nnU-Net folders; the folder above them."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path
