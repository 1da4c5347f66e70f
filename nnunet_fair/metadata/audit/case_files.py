"""What the files of the cases say: label volume, voxel size, and images that occur twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_fair.masks.endings import list_images
from nnunet_fair.masks.reading import CaseProblemError, read_mask

SIZE_COLUMNS = ("label_volume_mm3", "voxel_mm3", "slice_mm", "in_plane_mm")
_BLOCK = 1 << 20


def measure_labels(
    case_ids: Iterable[str], labels: Mapping[str, Path], ignore_label: int | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Volume of what is labelled and voxel size of each case.

    Args:
        case_ids: the cases.
        labels: reference segmentation of each case that has one.
        ignore_label: value of voxels that are not counted, or None.

    Returns:
        Table indexed by case ID with label_volume_mm3 (0 for a healthy case; mm² in 2D), voxel_mm3, slice_mm and
        in_plane_mm (the mean of rows and columns), NaN without a label; and why labels could not be read, by case.
    """
    rows, problems = {}, {}
    with tqdm(list(case_ids), desc="labels", unit="case") as bar:
        for case_id in bar:
            values = dict.fromkeys(SIZE_COLUMNS, float("nan"))
            if case_id in labels:
                try:
                    mask = read_mask(labels[case_id])
                except CaseProblemError as error:
                    problems[case_id] = str(error)
                else:
                    counted = np.count_nonzero((mask.array != 0) & (mask.array != ignore_label))
                    slice_mm, row_mm, column_mm = mask.spacing
                    sizes = (counted * mask.voxel_mm3, mask.voxel_mm3, slice_mm, (row_mm + column_mm) / 2)
                    values = dict(zip(SIZE_COLUMNS, map(float, sizes), strict=True))
            rows[case_id] = values
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(SIZE_COLUMNS)), problems


def same_images(folders: Iterable[Path]) -> list[tuple[str, ...]]:
    """Cases whose first channel is the same file, byte for byte.

    Args:
        folders: ``imagesTr`` and ``imagesTs``, those that exist.

    Returns:
        The IDs of each set of two or more cases with one image, sorted.
    """
    by_size: dict[int, list[tuple[str, Path]]] = {}
    for folder in folders:
        if folder.is_dir():
            for case_id, channels in list_images(folder).items():
                path = channels[min(channels)]
                if path.is_file():
                    by_size.setdefault(path.stat().st_size, []).append((case_id, path))
    same: dict[str, set[str]] = {}
    for size, entries in by_size.items():
        if size and len(entries) > 1:
            for case_id, path in entries:
                same.setdefault(_digest(path), set()).add(case_id)
    return sorted(tuple(sorted(cases)) for cases in same.values() if len(cases) > 1)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
