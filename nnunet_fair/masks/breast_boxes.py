"""Breast boxes: where the breast with the tumour lies in the image, by case ID.

``primary_lesion.breast_coordinates`` of MAMA-MIA's patient info files are indices of the array that
``SimpleITK.GetArrayFromImage`` returns: ``x`` is axis 0 (slice), ``y`` axis 1 (row), ``z`` axis 2 (column), half-open.
That is the order the challenge's sample code crops in, and the reverse of the physical x, y, z. ``breast_boxes.json``,
which ``nnunet_fair convert`` writes, keeps the same indices.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.masks.boxes import Box, BoxError

BOXES_FILE = "breast_boxes.json"
BOX_AXES = "array (slice, row, column) of SimpleITK.GetArrayFromImage, half-open"


class NoBoxError(BoxError):
    """A patient info file holds no breast box at all."""


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
        path: ``breast_boxes.json`` or a folder of one JSON file a patient. A patient's file without coordinates gives
            no box; one that cannot be read is kept as ``unreadable``.

    Raises:
        UserError: no such file or folder, or a boxes file that cannot be read at all.
    """
    path = Path(path)
    if path.is_dir():
        return _read_patient_info(path)
    if not path.is_file():
        raise UserError(f"no boxes at {path}; `boxes` takes {BOXES_FILE} or a folder of patient_info_files")
    try:
        content = read_json(path)
        entries = dict(content["boxes"])
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path} is not a boxes file (expected {{"boxes": {{"CASE": [[z0, z1], [y0, y1], [x0, x1]]}}}}): {error!r}'
        ) from error
    boxes, unreadable = {}, {}
    for case_id, entry in entries.items():
        try:
            boxes[case_id] = _as_box(entry)
        except (TypeError, ValueError, OverflowError) as error:
            unreadable[case_id] = f"the box of {case_id} in {path} cannot be read ({error})"
    return Boxes(boxes, unreadable)


def _read_patient_info(folder: Path) -> Boxes:
    files = sorted(
        file for file in folder.iterdir() if file.suffix.lower() == ".json" and not file.name.startswith(".")
    )
    if not files:
        raise UserError(f"{folder} holds no JSON files; `boxes` takes {BOXES_FILE} or a folder of patient_info_files")
    boxes, unreadable = {}, {}
    for file in files:
        try:
            boxes[file.stem] = read_box(file)
        except NoBoxError:
            continue  # a patient without a box is no mistake; whether one is needed, the settings say
        except BoxError as error:
            unreadable[file.stem] = str(error)
    return Boxes(boxes, unreadable)


def read_box(path: str | os.PathLike) -> Box:
    """The breast box of a patient info file, as it stands there (it may exceed the image).

    Args:
        path: ``patient_info_files/<id>.json``.

    Returns:
        ((start, stop), …) for array axes 0 (slice), 1 (row), 2 (column), half-open, in voxels.

    Raises:
        NoBoxError: the file is sound but holds no box.
        BoxError: the file cannot be read as JSON, or one of six whole numbers is missing.
    """
    name = Path(path).name
    try:
        content = read_json(path)
        coordinates = (content.get("primary_lesion") or {}).get("breast_coordinates")
        if not coordinates:
            raise NoBoxError(f"{name} has no primary_lesion.breast_coordinates")
        return _as_box([(coordinates[f"{axis}_min"], coordinates[f"{axis}_max"]) for axis in "xyz"])
    except KeyError as error:
        raise BoxError(f"the breast_coordinates in {name} lack {error}; expected x, y, z, min and max") from error
    except NoBoxError:
        raise
    except (UserError, OSError, ValueError, OverflowError, TypeError, AttributeError) as error:
        raise BoxError(f"{name} cannot be read ({error})") from error


def boxes_document(boxes: Mapping[str, Box]) -> dict:
    """The content of ``breast_boxes.json``.

    Args:
        boxes: case ID to box, clipped to the image.
    """
    return {"axes": BOX_AXES, "boxes": {case_id: [list(axis) for axis in boxes[case_id]] for case_id in sorted(boxes)}}


def _as_box(entry: object) -> Box:
    if not isinstance(entry, (list, tuple)) or len(entry) != 3:
        raise ValueError(f"expected three axes, found {entry!r}")
    (z0, z1), (y0, y1), (x0, x1) = entry
    box = ((_whole(z0), _whole(z1)), (_whole(y0), _whole(y1)), (_whole(x0), _whole(x1)))
    if any(start >= stop for start, stop in box):
        raise ValueError(f"every start must be below its stop, found {[list(axis) for axis in box]}")
    return box


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError(f"{value!r} is not a whole number")
    return int(value)
