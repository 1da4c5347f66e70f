"""The breast box of a case.

``primary_lesion.breast_coordinates`` of a patient info file are indices of the array that
``SimpleITK.GetArrayFromImage`` returns: ``x`` is axis 0 (slice), ``y`` axis 1 (row), ``z`` axis 2 (column), half-open.
That is the order the challenge's sample code crops in, and the reverse of the physical x, y, z.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

BOXES_FILE = "breast_boxes.json"
BOX_AXES = "array (slice, row, column) of SimpleITK.GetArrayFromImage, half-open"

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


class BoxError(ValueError):
    """A patient info file has no usable breast box; the message says why."""


def read_box(path: str | os.PathLike) -> Box:
    """The breast box of a patient info file, as it stands there (it may exceed the image).

    Args:
        path: ``patient_info_files/<id>.json``.

    Returns:
        ((start, stop), …) for array axes 0 (slice), 1 (row), 2 (column), half-open, in voxels.

    Raises:
        BoxError: the file cannot be read as JSON, has no box, or one of six whole numbers is missing.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        coordinates = content["primary_lesion"]["breast_coordinates"]
        limits = [[coordinates[f"{axis}_{end}"] for end in ("min", "max")] for axis in "xyz"]
        box = tuple((_whole(start), _whole(stop)) for start, stop in limits)
    except (OSError, ValueError, OverflowError) as error:
        raise BoxError(f"{Path(path).name} cannot be read ({error})") from error
    except (KeyError, TypeError) as error:
        raise BoxError(
            f"{Path(path).name} has no primary_lesion.breast_coordinates with x, y, z, min and max"
        ) from error
    return box


def clip_box(box: Box, shape: Sequence[int]) -> Box:
    """The part of ``box`` inside an image.

    Args:
        box: ((start, stop), …) in voxels, half-open.
        shape: the array's shape (slices, rows, columns).

    Raises:
        BoxError: nothing is left.
    """
    clipped = tuple((max(0, start), min(size, stop)) for (start, stop), size in zip(box, shape, strict=True))
    if any(start >= stop for start, stop in clipped):
        raise BoxError(f"the breast box {box_text(box)} has no voxel inside the image of shape {tuple(shape)}")
    return clipped


def grow_box(box: Box, margin_mm: float, spacing: Sequence[float], shape: Sequence[int]) -> Box:
    """``box`` grown by at least ``margin_mm`` on every side and clipped to the image.

    Args:
        box: ((start, stop), …) in voxels, half-open, inside the image.
        margin_mm: the margin in mm.
        spacing: voxel size along array axes 0, 1, 2 in mm.
        shape: the array's shape (slices, rows, columns).
    """
    margins = [math.ceil(margin_mm / size - 1e-9) for size in spacing]  # 3 mm at 1.0000000001 mm are 3 voxels
    return clip_box(
        tuple((start - margin, stop + margin) for (start, stop), margin in zip(box, margins, strict=True)), shape
    )


def boxes_document(boxes: Mapping[str, Box]) -> dict:
    """The content of ``breast_boxes.json``.

    Args:
        boxes: case ID to box, clipped to the image.
    """
    return {"axes": BOX_AXES, "boxes": {case_id: [list(axis) for axis in boxes[case_id]] for case_id in sorted(boxes)}}


def box_text(box: Box) -> str:
    """``[0:10, 4:60, 3:50]``."""
    return "[" + ", ".join(f"{start}:{stop}" for start, stop in box) + "]"


def bounding_box(*masks: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box that holds every non-zero voxel of the masks and one voxel around, clipped to the image.

    The extra voxel keeps the surfaces what they are in the whole image: inside the image every mask is followed by
    background in the box as well, and at the rim of the image the box ends where the image ends.

    Args:
        masks: arrays of one shape.

    Returns:
        One slice an axis; None where every mask is empty.
    """
    # NumPy is fastest at asking bools, and a byte is as good as one. The first axis takes a pass over the volume, the
    # others only one over the slices it leaves, projected along it.
    parts = [mask.view(bool) if mask.itemsize == 1 else mask for mask in masks]
    box: list[slice] = []
    for _ in range(masks[0].ndim):
        occupied = np.zeros(len(parts[0]), dtype=bool)
        for part in parts:
            occupied |= part.any(axis=tuple(range(1, part.ndim)))
        indices = np.flatnonzero(occupied)
        if not len(indices):
            return None
        box.append(slice(max(int(indices[0]) - 1, 0), int(indices[-1]) + 2))
        parts = [part[box[-1]].any(axis=0) for part in parts]
    return tuple(box)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError(f"{value!r} is not a whole number")
    return int(value)
