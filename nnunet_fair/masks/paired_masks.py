"""Two masks of one case: on one grid, their foreground, cropped to the box that holds both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_fair.masks.boxes import bounding_box
from nnunet_fair.masks.grid import SAME_GRID, displacement, size_text
from nnunet_fair.masks.reading import CaseProblemError, Mask, read_mask, to_itk


def same_grid(reference: Mask, prediction: Mask, path: Path, *, resample: bool) -> Mask:
    """The prediction on the reference's grid.

    Args:
        reference: the reference mask.
        prediction: the prediction.
        path: the prediction's file, for the message.
        resample: resample a prediction of another grid (nearest neighbour) instead of refusing it.

    Returns:
        The prediction itself where the grids agree within 0.1 voxel, otherwise the resampled one.

    Raises:
        CaseProblemError: the grids differ and ``resample`` is off, or the numbers of dimensions differ.
    """
    expected, found = reference.grid, prediction.grid
    if len(expected.size) != len(found.size):
        raise CaseProblemError(
            f"{path} is {len(found.size)}-dimensional, its reference {len(expected.size)}-dimensional"
        )
    difference = None
    if expected.size != found.size:
        difference = f"has size {size_text(found.size)} where the reference has {size_text(expected.size)}"
    else:
        distance = displacement(expected, found)
        if distance > SAME_GRID:
            difference = f"lies up to {distance:.3g} voxels away from the reference (spacing, origin or direction)"
    if difference is None:
        return prediction
    if not resample:
        raise CaseProblemError(
            f"{path} {difference}; give predictions on the reference's grid, or let them be resampled"
        )
    target, moving = (to_itk(mask.array, mask.grid) for mask in (reference, prediction))
    moved = sitk.Resample(moving, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0, moving.GetPixelID())
    array = sitk.GetArrayFromImage(moved).reshape(reference.array.shape)
    return replace(prediction, array=array, grid=expected, as_stored=False)


def foreground(mask: Mask, labels: tuple[int, ...] | None, path: Path) -> np.ndarray:
    """The foreground of a mask.

    Args:
        mask: the mask.
        labels: the labels that together are the foreground, all others being background; None expects a binary image,
            whose foreground is 1.
        path: its file, for the message.

    Returns:
        Bool array of shape (slices, rows, columns), or (rows, columns) for a 2D image.

    Raises:
        CaseProblemError: ``labels`` is None and there are values other than 0 and 1.
    """
    return _foreground(mask.values, labels, path)


def _foreground(array: np.ndarray, labels: tuple[int, ...] | None, path: Path) -> np.ndarray:
    if labels is not None:
        return array == labels[0] if len(labels) == 1 else np.isin(array, labels)
    mask = array == 1
    if np.count_nonzero(array) != np.count_nonzero(mask):
        found = np.unique(array)
        values = ", ".join(f"{value:g}" for value in found[:6].tolist()) + (", …" if len(found) > 6 else "")
        raise CaseProblemError(
            f"{path} holds the values {values} where 0 and 1 are expected; name the labels that are the foreground"
        )
    return mask


def read_masks(
    reference_path: Path,
    prediction_path: Path | None,
    *,
    labels: tuple[int, ...] | None = None,
    resample: bool = False,
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...], int]:
    """Read a case's two masks, cropped to the box that holds both and one voxel around.

    Args:
        reference_path: the reference label image.
        prediction_path: the predicted label image; None for a missing prediction, which is an empty mask.
        labels: see :func:`foreground`.
        resample: see :func:`same_grid`.

    Returns:
        Reference and prediction, bool arrays of one shape (slices, rows, columns) or (rows, columns), the voxel size in
        mm along each of their axes, and the number of voxels of the whole image.

    Raises:
        CaseProblemError: a file is unreadable, cut short, of another grid or holds unexpected labels.
    """
    reference = read_mask(reference_path)
    prediction = None
    if prediction_path is not None:
        prediction = same_grid(reference, read_mask(prediction_path), prediction_path, resample=resample)
    return crop_masks(reference, prediction, reference_path, prediction_path, labels=labels)


def crop_masks(
    reference: Mask,
    prediction: Mask | None,
    reference_path: Path,
    prediction_path: Path | None,
    *,
    labels: tuple[int, ...] | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...], int]:
    """The foreground of two masks of one grid, cropped to the box that holds both and one voxel around.

    Args:
        reference: the reference mask.
        prediction: the prediction; None for an empty one.
        reference_path: the reference's file, for the message.
        prediction_path: the prediction's file.
        labels: see :func:`foreground`.

    Returns:
        As :func:`read_masks`.

    Raises:
        CaseProblemError: unexpected labels.
    """
    arrays, spacing = _cropped(reference, prediction)
    reference_mask = _foreground(arrays[0], labels, reference_path)
    if prediction is None or prediction_path is None:
        return reference_mask, np.zeros_like(reference_mask), spacing, reference.values.size
    return reference_mask, _foreground(arrays[1], labels, prediction_path), spacing, reference.values.size


def read_labels(
    reference_path: Path, prediction_path: Path | None, *, known: frozenset[int], resample: bool = False
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...], int]:
    """Read a case's two label arrays, cropped to the box that holds both and one voxel around.

    Args:
        reference_path: the reference label image.
        prediction_path: the predicted label image; None for a missing prediction, which is all background.
        known: the labels that may occur beside the background, 0.
        resample: see :func:`same_grid`.

    Returns:
        Reference and prediction, label arrays of one shape (slices, rows, columns) or (rows, columns), the voxel size
        in mm along each of their axes, and the number of voxels of the whole image.

    Raises:
        CaseProblemError: a file is unreadable, cut short, of another grid or holds a label that is not known.
    """
    reference = read_mask(reference_path)
    prediction = None
    if prediction_path is not None:
        prediction = same_grid(reference, read_mask(prediction_path), prediction_path, resample=resample)
    arrays, spacing = _cropped(reference, prediction)
    arrays = [array.copy() for array in arrays]  # a mask's values may be its image's memory, which ends with the image
    for array, path in zip(arrays, (reference_path, prediction_path), strict=False):
        other = [value for value in np.unique(array).tolist() if value != 0 and value not in known]
        if other:
            raise CaseProblemError(
                f"{path} holds the value {other[0]:g}, which is no label of the dataset "
                f"({', '.join(map(str, sorted(known)))})"
            )
    empty_or_predicted = arrays[1] if prediction is not None else np.zeros_like(arrays[0])
    return arrays[0], empty_or_predicted, spacing, reference.values.size


def _cropped(reference: Mask, prediction: Mask | None) -> tuple[list[np.ndarray], tuple[float, ...]]:
    """The arrays of one or two masks in the box that holds both and one voxel around, and the voxel size."""
    spacing = tuple(reversed(reference.grid.spacing))
    arrays = [mask.values for mask in (reference, prediction) if mask is not None]
    # Labels are compared inside the box only: a box of non-zero voxels holds every label there is.
    box = bounding_box(*arrays, margin=1) or tuple(slice(0, 1) for _ in spacing)
    return [array[box] for array in arrays], spacing
