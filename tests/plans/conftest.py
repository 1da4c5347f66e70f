"""A dataset as nnU-Net knows it after extracting its fingerprint, of any size and spacing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

NAME = "Dataset950_TEST"
N_CASES = 3


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the dataset; its preprocessed folder. The images are tiny, what counts is the fingerprint."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))

    def write(
        *,
        channels: tuple[str, ...] = ("phase_0", "phase_1", "phase_2"),
        shape: tuple[int, int, int] = (80, 512, 512),
        spacing: tuple[float, float, float] = (2.0, 0.7, 0.7),
        file_ending: str = ".nii.gz",
        n_in_fingerprint: int = N_CASES,
    ) -> Path:
        raw, preprocessed = tmp_path / "nnUNet_raw" / NAME, tmp_path / "nnUNet_preprocessed" / NAME
        (raw / "imagesTr").mkdir(parents=True)
        preprocessed.mkdir()
        image = sitk.GetImageFromArray(np.ones((4, 4, 4), np.int16))
        for case in range(N_CASES):
            for channel in range(len(channels)):
                if file_ending == ".nii.gz":
                    sitk.WriteImage(image, str(raw / "imagesTr" / f"C{case}_{channel:04d}.nii.gz"))
        description = {
            "channel_names": {str(index): name for index, name in enumerate(channels)},
            "labels": {"background": 0, "tumor": 1},
            "numTraining": N_CASES,
            "file_ending": file_ending,
        }
        (raw / "dataset.json").write_text(json.dumps(description))
        statistics = dict.fromkeys(("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 1.0)
        fingerprint = {
            "spacings": [list(spacing)] * n_in_fingerprint,
            "shapes_after_crop": [list(shape)] * n_in_fingerprint,
            "median_relative_size_after_cropping": 1.0,
            "foreground_intensity_properties_per_channel": {str(index): statistics for index in range(len(channels))},
        }
        (preprocessed / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
        return preprocessed

    return write
