"""Tiny archives in the layout of the public ones; every patient in them is made up."""

from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from PIL import Image

LGG_COLUMNS = (
    *("Patient", "RNASeqCluster", "histological_type", "neoplasm_histologic_grade", "laterality", "tumor_location"),
    *("gender", "age_at_initial_pathologic", "race", "ethnicity", "death01"),
)


def write_lgg(folder: Path) -> Path:
    """Two patients: one whose slices are numbered past nine, one known by images only, without T1 after contrast."""
    archive = folder / "kaggle_3m"
    archive.mkdir(parents=True)
    rows = [
        ("TCGA_CS_0001", "2", "1", "2", "3", "2", "2", "67", "3", "2", "1"),
        ("TCGA_HT_000A", "", "", "", "", "", "", "", "", "", ""),
    ]
    pd.DataFrame(rows, columns=LGG_COLUMNS).to_csv(archive / "data.csv", index=False)
    for patient, slices in (("TCGA_CS_0001_19990101", (1, 2, 10)), ("TCGA_HT_000A_20000202", (1, 2))):
        (archive / patient).mkdir()
        for number in slices:
            image = np.zeros((8, 8, 3), dtype=np.uint8)
            image[..., 0], image[..., 1], image[..., 2] = 10 * number, 20 * number, 5 * number
            if "HT" in patient:
                image[..., 2] = image[..., 1]
            mask = np.zeros((8, 8), dtype=np.uint8)
            mask[2:4, 2:3] = 255  # half of one 2×2 block: labelled
            mask[6, 6] = 255  # a quarter of another: not
            _tif(image, archive / patient / f"{patient}_{number}.tif", vector=True)
            _tif(mask, archive / patient / f"{patient}_{number}_mask.tif", vector=False)
    return folder


def _tif(array: np.ndarray, path: Path, *, vector: bool) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(path))


def write_busbra(folder: Path, n_patients: int = 3) -> Path:
    """Women with a dual view each, every third with a single one; a bright disc is the lesion."""
    for part in ("Images", "Masks"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(1, n_patients + 1):
        sides = ("single",) if number % 3 == 0 else ("left", "right")
        for side in sides:
            name = f"bus_{number:04d}-{side[0]}"
            lesion = np.hypot(*(np.indices((160, 120)) - np.array([80, 60])[:, None, None])) < 20 + number % 7
            image = rng.integers(20, 60, lesion.shape) + 120 * lesion
            Image.fromarray(image.astype(np.uint8)).save(folder / "Images" / f"{name}.png")
            Image.fromarray((255 * lesion).astype(np.uint8)).save(folder / "Masks" / f"mask_{name[4:]}.png")
            pathology, birads = ("malignant", 5) if number % 2 else ("benign", 3)
            device = "GE Logiq 7 @10-14MHz" if number % 4 else "Toshiba Aplio 300 @12-14 MHz"
            rows.append((name, number, "cyst", pathology, birads, device, 120, 160, side, "[40,60,41,41]"))
    columns = ("ID", "Case", "Histology", "Pathology", "BIRADS", "Device", "Width", "Height", "Side", "BBOX")
    pd.DataFrame(rows, columns=columns).to_csv(folder / "bus_data.csv", index=False)
    return folder
