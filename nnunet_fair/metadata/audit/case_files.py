"""What the files of the cases say: label volume, voxel size, and images that occur twice."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_fair.masks.endings import list_images
from nnunet_fair.masks.headers import DamagedFileError, nifti_voxels
from nnunet_fair.masks.reading import CaseProblemError, read_mask

SIZE_COLUMNS = ("label_volume_mm3", "voxel_mm3", "slice_mm", "in_plane_mm")
_BLOCK = 1 << 20


def measure_labels(
    case_ids: Iterable[str],
    labels: Mapping[str, Path],
    ignore_label: int | None,
    classes: Sequence[tuple[str, tuple[int, ...]]] = (),
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Volume of what is labelled and voxel size of each case.

    Args:
        case_ids: the cases.
        labels: reference segmentation of each case that has one.
        ignore_label: value of voxels that are not counted, or None.
        classes: name and labels of each class.

    Returns:
        Table indexed by case ID with label_volume_mm3 (0 for a healthy case; mm² in 2D), voxel_mm3, slice_mm and
        in_plane_mm (the mean of rows and columns), NaN without a label; the volume of each class, one column a class;
        and why labels could not be read, by case.
    """
    rows, volumes, problems = {}, {}, {}
    names = [name for name, _ in classes]
    with tqdm(list(case_ids), desc="labels", unit="case") as bar:
        for case_id in bar:
            values = dict.fromkeys(SIZE_COLUMNS, float("nan"))
            of_classes = dict.fromkeys(names, float("nan"))
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
                    voxels = dict(zip(*np.unique(mask.array, return_counts=True), strict=True)) if classes else {}
                    for name, of_class in classes:
                        of_classes[name] = sum(int(voxels.get(label, 0)) for label in of_class) * mask.voxel_mm3
            rows[case_id], volumes[case_id] = values, of_classes
    measured = pd.DataFrame.from_dict(rows, orient="index", columns=list(SIZE_COLUMNS))
    return measured, pd.DataFrame.from_dict(volumes, orient="index", columns=names), problems


def same_images(folders: Iterable[Path]) -> list[tuple[str, ...]]:
    """Cases whose first channel holds the same voxels.

    Of NIfTI files the voxels are compared as they are stored, so neither the compression nor what the header says of
    its making hides a copy; of other files the bytes, decompressed.

    Args:
        folders: ``imagesTr`` and ``imagesTs``, those that exist.

    Returns:
        The IDs of each set of two or more cases with one image, sorted.
    """
    images = [
        (case_id, channels[min(channels)])
        for folder in folders
        if folder.is_dir()
        for case_id, channels in list_images(folder).items()
    ]
    images = [(case_id, path) for case_id, path in images if path.is_file() and path.stat().st_size]
    alike = [images]
    for most in (_BLOCK, None):  # few files begin alike: only those are read to their end
        alike = [group for found in alike for group in _grouped(found, most) if len(group) > 1]
    return sorted(tuple(sorted({case_id for case_id, _ in group})) for group in alike)


def _grouped(images: Iterable[tuple[str, Path]], most: int | None) -> list[list[tuple[str, Path]]]:
    groups: dict[str, list[tuple[str, Path]]] = {}
    for case_id, path in images:
        groups.setdefault(_digest(path, most), []).append((case_id, path))
    return list(groups.values())


def _digest(path: Path, most: int | None) -> str:
    """A digest of a file's content, at most so many bytes of it; of the file itself where it is damaged."""
    name = path.name.lower()
    try:
        start = nifti_voxels(path).offset if name.endswith((".nii", ".nii.gz")) else 0
        open_file: Callable[[Path, str], Any] = gzip.open if name.endswith(".gz") else open
        with open_file(path, "rb") as file:
            file.seek(start)
            return _digest_of(file, most)
    except (DamagedFileError, OSError, EOFError, zlib.error):
        with path.open("rb") as file:
            return _digest_of(file, most)


def _digest_of(file: IO[bytes], most: int | None) -> str:
    digest = hashlib.sha256()
    left = float("inf") if most is None else most
    while left > 0 and (block := file.read(int(min(_BLOCK, left)))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()
