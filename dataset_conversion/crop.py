"""Cropping to the breast box, and what is needed to paste a prediction back exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import SimpleITK as sitk

from nnunet_fair.masks.boxes import Box
from nnunet_fair.masks.breast_boxes import BOX_AXES

CROPS_FILE = "breast_crops.json"


def crop_image(image: sitk.Image, box: Box) -> sitk.Image:
    """The part of an image in ``box``, at its place in physical space.

    Args:
        image: 3D image.
        box: ((start, stop), …) along array axes 0 (slice), 1 (row), 2 (column), in voxels, inside the image.
    """
    start = [axis[0] for axis in reversed(box)]
    size = [axis[1] - axis[0] for axis in reversed(box)]
    return sitk.RegionOfInterest(image, size, start)


def crop_record(image: sitk.Image, box: Box) -> dict[str, Any]:
    """The original grid and the crop of one case.

    Args:
        image: the image before cropping.
        box: what was cut out.

    Returns:
        ``size``, ``spacing``, ``origin`` and ``direction`` of the original as SimpleITK gives them (x, y, z; mm), and
        ``start`` and ``stop`` of the crop along the array axes (slice, row, column), half-open, in voxels.
    """
    return {
        "size": list(image.GetSize()),
        "spacing": list(image.GetSpacing()),
        "origin": list(image.GetOrigin()),
        "direction": list(image.GetDirection()),
        "start": [axis[0] for axis in box],
        "stop": [axis[1] for axis in box],
    }


def crops_document(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The content of ``breast_crops.json``.

    Args:
        records: case ID to what ``crop_record`` gave.
    """
    return {
        "axes": f"start and stop: {BOX_AXES}; size, spacing, origin, direction: SimpleITK's order x, y, z, in mm",
        "cases": {case_id: dict(records[case_id]) for case_id in sorted(records)},
    }
