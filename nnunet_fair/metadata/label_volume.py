"""The volume of what is labelled in each case: models fail on small lesions, so size is an attribute of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.masks.reading import CaseProblemError, read_mask

LABEL_VOLUME = "label_volume"
"""Name of the attribute: volume of all labelled voxels of a case in mm³ (area in mm² for two-dimensional images)."""


def label_volume(path: str | Path, ignore_label: int | None = None) -> float:
    """Volume of the labelled voxels of one reference segmentation.

    Args:
        path: a label image; 0 is background. Formats without a voxel size count as 1 mm.
        ignore_label: value of voxels that are not counted, or None.

    Returns:
        Volume in mm³, or area in mm² for a two-dimensional image.

    Raises:
        UserError: the file cannot be read; it is named.
    """
    try:
        mask = read_mask(path)
    except CaseProblemError as error:
        raise UserError(f"the label {error}; mend it or leave the size away") from error
    counted = mask.array != 0
    if ignore_label is not None:
        counted &= mask.array != ignore_label
    return float(np.count_nonzero(counted) * mask.voxel_mm3)


def label_volumes(
    case_ids: Iterable[str], labels: Mapping[str, str | Path], ignore_label: int | None = None
) -> pd.Series:
    """Volumes of many cases, with a progress bar.

    Args:
        case_ids: the cases wanted.
        labels: reference segmentation of each case that has one.
        ignore_label: value of voxels that are not counted, or None.

    Returns:
        Series ``label_volume`` of shape (n_cases,), indexed by case ID; NaN for a case without a reference.
    """
    volumes = {}
    with tqdm(list(case_ids), desc="label volumes", unit="case") as bar:
        for case_id in bar:
            volumes[case_id] = label_volume(labels[case_id], ignore_label) if case_id in labels else float("nan")
    return pd.Series(volumes, name=LABEL_VOLUME, dtype=float)
