"""Breast boxes: where the breast with the tumour lies in the image, by case ID.

Convention everywhere: array indices of ``SimpleITK.GetArrayFromImage`` (axis 0 slice, 1 row, 2 column), half-open.
MAMA-MIA's ``breast_coordinates`` name these axes x, y and z in this order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.masks.boxes import Box, BoxError, clip_box, grow_box


@dataclass(frozen=True)
class Boxes:
    """Breast boxes of a cohort.

    Attributes:
        boxes: box by case ID.
        unreadable: reason by case ID where a case's box was there but could not be read.
    """

    boxes: Mapping[str, Box]
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def of(self, case_id: str) -> Box | None:
        """The box of a case (its ID exactly, else without regard to upper and lower case), None where it has none.

        Raises:
            UserError: the case's box could not be read, or the ID fits two boxes but for upper and lower case.
        """
        for table in (self.boxes, self.unreadable):
            key = _match(case_id, table)
            if key is not None and table is self.boxes:
                return self.boxes[key]
            if key is not None:
                raise UserError(self.unreadable[key])
        return None


def _match(case_id: str, table: Mapping[str, object]) -> str | None:
    if case_id in table:
        return case_id
    alike = [key for key in table if key.casefold() == case_id.casefold()]
    if len(alike) > 1:
        raise UserError(f"{case_id}: more than one box fits but for upper and lower case ({', '.join(alike)})")
    return alike[0] if alike else None


def read_boxes(path: str | os.PathLike) -> Boxes:
    """Read breast boxes from the file ``nnunet_fair convert`` writes or from MAMA-MIA's ``patient_info_files``.

    Args:
        path: ``breast_boxes.json`` or a folder of one JSON file a patient (``primary_lesion.breast_coordinates``). A
            patient's file without coordinates gives no box; one that cannot be read is kept as ``unreadable``.

    Raises:
        UserError: no such file or folder, or a boxes file that cannot be read at all.
    """
    path = Path(path)
    if path.is_dir():
        return _read_patient_info(path)
    if not path.is_file():
        raise UserError(f"no boxes at {path}; --boxes takes breast_boxes.json or a folder of patient_info_files")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        entries = dict(content["boxes"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path} is not a boxes file (expected {{"boxes": {{"CASE": [[z0, z1], [y0, y1], [x0, x1]]}}}}): {error!r}'
        ) from error
    boxes, unreadable = {}, {}
    for case_id, entry in entries.items():
        try:
            boxes[case_id] = _as_box(entry)
        except (TypeError, ValueError) as error:
            unreadable[case_id] = f"the box of {case_id} in {path} cannot be read ({error})"
    return Boxes(boxes, unreadable)


def _read_patient_info(folder: Path) -> Boxes:
    files = sorted(
        file for file in folder.iterdir() if file.suffix.lower() == ".json" and not file.name.startswith(".")
    )
    if not files:
        raise UserError(
            f"{folder} holds no JSON files; --boxes takes breast_boxes.json or a folder of patient_info_files"
        )
    boxes, unreadable = {}, {}
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8-sig"))
            coordinates = (content.get("primary_lesion") or {}).get("breast_coordinates")
            if coordinates:
                boxes[file.stem] = _as_box([(coordinates[f"{a}_min"], coordinates[f"{a}_max"]) for a in "xyz"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            unreadable[file.stem] = f"the breast_coordinates in {file} cannot be read ({error!r})"
    return Boxes(boxes, unreadable)


def _as_box(entry: Sequence[Sequence[float]]) -> Box:
    box = tuple((int(start), int(stop)) for start, stop in entry)
    if len(box) != 3:
        raise ValueError(f"expected three axes, found {len(box)}")
    if any(int(limit) != limit for axis in entry for limit in axis):
        raise ValueError(f"expected whole numbers, found {list(entry)}")
    if any(start >= stop for start, stop in box):
        raise ValueError(f"every start must be below its stop, found {[list(axis) for axis in box]}")
    return box


def fit_box(box: Box, margin_mm: float, spacing: Sequence[float], shape: Sequence[int]) -> tuple[Box, bool]:
    """Grow a box by a margin and clip it to the image.

    Args:
        box: array indices, half-open; it may exceed the image.
        margin_mm: margin in mm on every side.
        spacing: voxel size in mm in array order (slice, row, column).
        shape: the image's array shape.

    Returns:
        The box to use, and whether the box as given exceeded the image.

    Raises:
        UserError: nothing of the box lies in the image.
    """
    try:
        clipped = clip_box(box, shape)
    except BoxError as error:
        raise UserError(f"{error}; it belongs to another grid or its axes are in another order") from error
    return grow_box(clipped, margin_mm, spacing, shape), clipped != box


def as_slices(box: Box) -> tuple[slice, slice, slice]:
    """The box as slices that index an array."""
    return tuple(slice(start, stop) for start, stop in box)
