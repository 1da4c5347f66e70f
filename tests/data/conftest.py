"""Shared fixtures of the data room: a small synthetic cohort and an nnU-Net dataset of empty files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnunet_fair.data.synth import write_cohort

REAL_TABLE = Path(__file__).resolve().parents[3] / "shared/data/mama_mia_metadata/clinical_and_imaging_info.xlsx"


@pytest.fixture(scope="session")
def real_table() -> Path:
    """The published MAMA-MIA table, which is not part of the project (licence CC BY-NC)."""
    if not REAL_TABLE.is_file():
        pytest.skip("the published MAMA-MIA table is not on this machine")
    return REAL_TABLE


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """Twenty small cases of the default kind."""
    root = tmp_path_factory.mktemp("synth") / "cohort"
    write_cohort(root, n_cases=20, seed=3, size=(16, 40, 40), max_phases=4)
    return root


@pytest.fixture
def heart_dataset(tmp_path, monkeypatch) -> Path:
    """Raw folder of ``Dataset027_Heart``: training cases pat_1 … pat_10, test case pat_11, two channels, PNG."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    raw = tmp_path / "nnUNet_raw" / "Dataset027_Heart"
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (raw / folder).mkdir(parents=True)
    for number in range(1, 11):
        for channel in (0, 1):
            (raw / "imagesTr" / f"pat_{number}_{channel:04d}.png").touch()
        (raw / "labelsTr" / f"pat_{number}.png").touch()
    (raw / "imagesTs" / "pat_11_0000.png").touch()
    (raw / "imagesTr" / ".DS_Store").touch()
    (raw / "dataset.json").write_text(json.dumps({"file_ending": ".png", "labels": {"background": 0, "wall": 1}}))
    return raw
