"""Pasting masks of breast crops back into the original grid."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_fair.dataset_conversion.crop import CROPS_FILE
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.masks.boxes import Box, as_slices
from nnunet_fair.masks.claims import max_image_bytes
from nnunet_fair.masks.grid import SAME_GRID, Grid, displacement, size_text
from nnunet_fair.masks.headers import check_grid
from nnunet_fair.masks.reading import Mask
from nnunet_fair.masks.writing import new_mask


@dataclass(frozen=True)
class Crop:
    """Where a crop lies in its original image.

    Attributes:
        original: the grid of the original image.
        box: what was cut out, in array indices of the original, half-open.
    """

    original: Grid
    box: Box

    def grid(self) -> Grid:
        """The grid the crop itself must have."""
        return self.original.part(self.box)

    def box_inside(self, box: Box) -> Box:
        """A box of the original in the crop's own indices, clipped to the crop.

        Raises:
            UserError: the box and the crop do not overlap.
        """
        slices, rows, columns = (
            (max(0, start - low), min(high, stop) - low)
            for (start, stop), (low, high) in zip(box, self.box, strict=True)
        )
        moved = slices, rows, columns
        if any(start >= stop for start, stop in moved):
            raise UserError(
                "its breast box and the crop it was predicted on do not overlap; they belong to other images"
            )
        return moved


def read_crops(path: str | os.PathLike) -> dict[str, Crop]:
    """Read the ``breast_crops.json`` that ``nnunet_fair convert --crop-breast`` writes.

    Args:
        path: the file, or the folder it lies in.

    Returns:
        The crop by case ID.

    Raises:
        UserError: no such file, or not readable.
    """
    path = Path(path) / CROPS_FILE if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise UserError(f"no crops at {path}; `uncrop` takes the {CROPS_FILE} of the converted dataset")
    try:
        return crops_from_records(read_json(path)["cases"])
    except (UserError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"{path} is not a {CROPS_FILE} of nnunet_fair convert ({error!r})") from error


def crops_from_records(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Crop]:
    """Crops from the records of ``dataset_conversion.crop.crop_record`` by case ID.

    Raises:
        KeyError, TypeError, ValueError: a record is incomplete or inconsistent.
    """
    return {case_id: _crop(case_id, record) for case_id, record in records.items()}


def _crop(case_id: str, record: Mapping[str, Any]) -> Crop:
    size = tuple(int(value) for value in record["size"])
    grid = Grid(size, tuple(record["spacing"]), tuple(record["origin"]), tuple(record["direction"]))
    check_grid(grid)
    if math.prod(size) > max_image_bytes():
        raise ValueError(f"the image of {case_id} has {size_text(size)} voxels")
    slices, rows, columns = (
        (int(start), int(stop)) for start, stop in zip(record["start"], record["stop"], strict=True)
    )
    box = slices, rows, columns
    inside = all(0 <= start < stop <= limit for (start, stop), limit in zip(box, reversed(size), strict=True))
    if (len(size), len(grid.spacing), len(grid.origin), len(grid.direction)) != (3, 3, 3, 9) or not inside:
        raise ValueError(f"the crop of {case_id} does not lie in its image")
    return Crop(grid, box)


def check_crop(mask: Mask, crop: Crop) -> None:
    """Refuse a mask that was not predicted on this crop.

    Raises:
        UserError: its size, or its place in physical space, is another.
    """
    found, expected = mask.grid, crop.grid()
    if found.size != expected.size:
        raise UserError(
            f"its mask has {size_text(found.size)} voxels, the recorded crop {size_text(expected.size)}; it was "
            "predicted on another image"
        )
    distance = displacement(expected, found)
    if distance > SAME_GRID:
        raise UserError(
            f"its mask lies {distance:.3g} voxels from the recorded crop; it was predicted on another image"
        )


def paste_back(array: np.ndarray, crop: Crop) -> Mask:
    """A mask of the crop as a mask of the original image, 0 outside the crop.

    Args:
        array: its voxels (after post-processing), of the crop's array shape.
        crop: where the crop lies.

    Returns:
        A mask with size, spacing, origin and direction of the original.
    """
    pasted = np.zeros(crop.original.shape, dtype=array.dtype)
    pasted[as_slices(crop.box)] = array
    return new_mask(pasted, crop.original)
