"""The LGG segmentation dataset as Kaggle gives it: ``kaggle_3m/TCGA_XX_NNNN_DATE/*_SLICE.tif`` and ``data.csv``.

One folder a patient; a slice is an 8-bit image of 256×256 with three channels (T1 before contrast, FLAIR, T1 after
contrast), its mask the same name with ``_mask``. A series that was not acquired is a copy of FLAIR.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table, text_value

CENTRES = {
    "CS": "Thomas Jefferson University",
    "DU": "Henry Ford Hospital",
    "EZ": "UNC",
    "FG": "Case Western",
    "HT": "Case Western St Joseph",
}
"""TCGA's codes of the hospitals, the third and fourth letter of a patient's ID (``TCGA_CS_4941``)."""

CODES = {
    "sex": ("gender", {"1": "F", "2": "M"}),
    "race": ("race", {"2": "Black or African American", "3": "White"}),
    "histology": (
        "histological_type",
        {"1": "astrocytoma", "2": "oligoastrocytoma", "3": "oligodendroglioma"},
    ),
    "grade": ("neoplasm_histologic_grade", {"1": "II", "2": "III"}),
    "laterality": ("laterality", {"1": "left", "2": "midline", "3": "right"}),
    "location": (
        "tumor_location",
        {"1": "posterior fossa", "2": "frontal", "4": "occipital", "5": "parietal", "6": "temporal"},
    ),
}
"""What the numbers of ``data.csv`` stand for: TCGA's words in alphabetical order. The archive does not say; sex, race,
histology and grade agree with TCGA's own clinical table, the side with the masks."""

AGE = "age_at_initial_pathologic"
FLAIR, POST = 1, 2
IN_PLANE_MM, HEIGHT_MM = 1.875, 165.0
"""The archive keeps no voxel size. Nominal: a field of view of 240 mm, and 165 mm of head over all slices."""


def read_lgg(archive: Path, target: Path) -> pd.DataFrame:
    """Write the volumes and their masks, and return the table of patients.

    The images are halved in plane by 2×2 means (a mask voxel where half or more of its four are labelled); channel 0
    is FLAIR, channel 1 T1 after contrast.

    Args:
        archive: the folder ``kaggle_3m``.
        target: folder with ``imagesTr`` and ``labelsTr``.

    Returns:
        One row a patient: ``case_id``, ``patient``, the attributes as text, NaN where unknown.

    Raises:
        UserError: a patient without slices or row, a slice without mask, or a code that is not known.
    """
    clinical = read_case_table(archive / "data.csv", "Patient").frame
    folders = {patient_of(folder): folder for folder in sorted(archive.glob("TCGA_*")) if folder.is_dir()}
    if not folders:
        raise UserError(f"{archive} holds no folder TCGA_…; expected the archive's folder kaggle_3m")
    rows = []
    for patient, folder in tqdm(folders.items(), desc="volumes", unit="patient"):
        if patient not in clinical.index:
            raise UserError(f"{archive / 'data.csv'} has no row of {patient}, whose images are in {folder.name}")
        volume, mask = _read_volume(folder)
        for channel, which in enumerate((FLAIR, POST)):
            image = halved(volume[..., which].astype(float)).round()
            _write(image, target / f"imagesTr/{patient}_{channel:04d}.nii.gz")
        _write(halved((mask > 0).astype(float)) >= 0.5, target / f"labelsTr/{patient}.nii.gz")
        row = {"case_id": patient, "patient": patient, **attributes(patient, clinical.loc[patient])}
        rows.append({**row, "sequences": sequences(volume)})
    return pd.DataFrame(rows)


def patient_of(folder: Path) -> str:
    """``TCGA_CS_4941`` of ``TCGA_CS_4941_19960909``.

    Raises:
        UserError: the folder is not named so.
    """
    found = re.fullmatch(r"(TCGA_[A-Z]{2}_\w{4})_\d{8}", folder.name)
    if found is None or found[1][5:7] not in CENTRES:
        raise UserError(f"{folder} is not called TCGA_XX_NNNN_DATE with a hospital of {', '.join(CENTRES)}")
    return found[1]


def attributes(patient: str, row: pd.Series) -> dict[str, object]:
    """A patient's attributes from a row of ``data.csv``.

    Args:
        patient: ID such as ``TCGA_CS_4941``.
        row: the row; text, NaN where missing.

    Returns:
        ``centre``, ``age`` and the attributes of ``CODES``; NaN where missing.

    Raises:
        UserError: a code that stands for nothing.
    """
    found: dict[str, object] = {"centre": CENTRES[patient[5:7]], "age": text_value(row[AGE])}
    for name, (column, codes) in CODES.items():
        code = text_value(row[column])
        if not isinstance(code, str):
            found[name] = float("nan")
        elif code in codes:
            found[name] = codes[code]
        else:
            raise UserError(f"data.csv: {column} of {patient} is {code}; known are {', '.join(codes)}")
    return found


def sequences(volume: np.ndarray) -> str:
    """Which series were acquired: a missing one is a copy of FLAIR.

    Args:
        volume: uint8 array of shape (slices, rows, columns, 3).
    """
    has_pre, has_post = (not np.array_equal(volume[..., which], volume[..., FLAIR]) for which in (0, POST))
    if has_pre and has_post:
        return "all three"
    if has_post:
        return "no pre-contrast"
    return "no post-contrast" if has_pre else "FLAIR only"


def halved(volume: np.ndarray) -> np.ndarray:
    """Means of 2×2 pixels in plane.

    Args:
        volume: float array of shape (slices, rows, columns), rows and columns even.
    """
    slices, rows, columns = volume.shape
    return volume.reshape(slices, rows // 2, 2, columns // 2, 2).mean(axis=(2, 4))


def _read_volume(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All slices in number order, shape (slices, rows, columns, 3), and the masks, shape (slices, rows, columns)."""
    numbered = {}
    for path in folder.glob("*.tif"):
        found = re.fullmatch(re.escape(folder.name) + r"_(\d+)", path.stem)
        if found:
            numbered[int(found[1])] = path
    if not numbered:
        raise UserError(f"{folder} holds no slice {folder.name}_NUMBER.tif")
    slices, masks = [], []
    for number in sorted(numbered):
        path = numbered[number]
        mask = path.with_name(f"{path.stem}_mask.tif")
        if not mask.is_file():
            raise UserError(f"{path} has no mask {mask.name}")
        slices.append(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
        masks.append(sitk.GetArrayFromImage(sitk.ReadImage(str(mask))))
    return np.stack(slices), np.stack(masks)


def _write(array: np.ndarray, path: Path) -> None:
    image = sitk.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing((IN_PLANE_MM, IN_PLANE_MM, HEIGHT_MM / len(array)))
    sitk.WriteImage(image, str(path), useCompression=True)
