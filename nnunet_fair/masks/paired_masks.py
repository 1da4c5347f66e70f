"""Reading label images: geometry, label values, one clear sentence for each way a file can be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_fair.masks.boxes import bounding_box

GRID_TOLERANCE = 0.1  # of a voxel, at the corners: headers of one grid differ by rounding


class CaseProblemError(Exception):
    """What is wrong with one case; the run goes on without it."""


def read_image(path: Path) -> sitk.Image:
    """Read a 2D or 3D label image.

    Raises:
        CaseProblemError: the file cannot be read, has several channels or is not 2D or 3D.
    """
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise CaseProblemError(f"{path} cannot be read ({reason})") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise CaseProblemError(
            f"{path} has {image.GetNumberOfComponentsPerPixel()} channels where a label image has one; save the "
            "labels as single-channel integers"
        )
    if image.GetDimension() not in (2, 3):
        raise CaseProblemError(f"{path} is {image.GetDimension()}-dimensional; label images are 2D or 3D")
    return image


def corner_distance(reference: sitk.Image, other: sitk.Image) -> float:
    """How far apart the corners of two images of one size lie, in voxels of the reference.

    Args:
        reference: an image.
        other: an image of the same size.

    Returns:
        The largest distance between corresponding corner voxels, over the reference's smallest voxel size.
    """
    size = np.array(reference.GetSize())
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij"), axis=-1).reshape(-1, len(size))
    distances = [
        np.linalg.norm(
            np.subtract(
                reference.TransformIndexToPhysicalPoint([int(i) for i in corner]),
                other.TransformIndexToPhysicalPoint([int(i) for i in corner]),
            )
        )
        for corner in corners
    ]
    return float(max(distances) / min(reference.GetSpacing()))


def same_grid(reference: sitk.Image, prediction: sitk.Image, path: Path, *, resample: bool) -> sitk.Image:
    """The prediction on the reference's grid.

    Args:
        reference: the reference image.
        prediction: the prediction.
        path: the prediction's file, for the message.
        resample: resample a prediction of another grid (nearest neighbour) instead of refusing it.

    Returns:
        The prediction itself where the grids agree within 0.1 voxel, otherwise the resampled one.

    Raises:
        CaseProblemError: the grids differ and ``resample`` is off, or the numbers of dimensions differ.
    """
    if reference.GetDimension() != prediction.GetDimension():
        raise CaseProblemError(
            f"{path} is {prediction.GetDimension()}-dimensional, its reference {reference.GetDimension()}-dimensional"
        )
    difference = None
    if reference.GetSize() != prediction.GetSize():
        difference = f"has size {_times(prediction.GetSize())} where the reference has {_times(reference.GetSize())}"
    else:
        distance = corner_distance(reference, prediction)
        if distance > GRID_TOLERANCE:
            difference = f"lies up to {distance:.3g} voxels away from the reference (spacing, origin or direction)"
    if difference is None:
        return prediction
    if not resample:
        raise CaseProblemError(f"{path} {difference}; give predictions on the reference's grid, or --resample")
    return sitk.Resample(prediction, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0, prediction.GetPixelID())


def _times(size: Sequence[int]) -> str:
    """A size for people: ``512×512×112``."""
    return "×".join(map(str, size))


def foreground(array: np.ndarray, labels: tuple[int, ...] | None, path: Path) -> np.ndarray:
    """The foreground of a label array.

    Args:
        array: label array of any numeric dtype.
        labels: the labels that together are the foreground, all others being background; None expects a binary image,
            whose foreground is 1.
        path: its file, for the message.

    Returns:
        Bool array of the same shape.

    Raises:
        CaseProblemError: ``labels`` is None and there are values other than 0 and 1.
    """
    if labels is not None:
        return array == labels[0] if len(labels) == 1 else np.isin(array, labels)
    mask = array == 1
    if np.count_nonzero(array) != np.count_nonzero(mask):
        found = np.unique(array)
        values = ", ".join(f"{value:g}" for value in found[:6].tolist()) + (", …" if len(found) > 6 else "")
        raise CaseProblemError(
            f"{path} holds the values {values} where 0 and 1 are expected; name the foreground labels with --labels"
        )
    return mask


def read_masks(
    reference_path: Path,
    prediction_path: Path | None,
    *,
    labels: tuple[int, ...] | None = None,
    resample: bool = False,
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Read a case's two masks, cropped to the box that holds both and one voxel around.

    Args:
        reference_path: the reference label image.
        prediction_path: the predicted label image; None for a missing prediction, which is an empty mask.
        labels: see :func:`foreground`.
        resample: see :func:`same_grid`.

    Returns:
        Reference and prediction, bool arrays of one shape (slices, rows, columns) or (rows, columns), and the voxel
        size in mm along each of their axes.

    Raises:
        CaseProblemError: a file is unreadable, of another grid or holds unexpected labels.
    """
    reference = read_image(reference_path)
    prediction = None
    if prediction_path is not None:
        prediction = same_grid(reference, read_image(prediction_path), prediction_path, resample=resample)
    return crop_masks(reference, prediction, reference_path, prediction_path, labels=labels)


def crop_masks(
    reference: sitk.Image,
    prediction: sitk.Image | None,
    reference_path: Path,
    prediction_path: Path | None,
    *,
    labels: tuple[int, ...] | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """The foreground of two images of one grid, cropped to the box that holds both and one voxel around.

    Args:
        reference: the reference image.
        prediction: the prediction; None for an empty one.
        reference_path: the reference's file, for the message.
        prediction_path: the prediction's file.
        labels: see :func:`foreground`.

    Returns:
        As :func:`read_masks`.

    Raises:
        CaseProblemError: unexpected labels.
    """
    spacing = tuple(reversed(reference.GetSpacing()))
    arrays = [sitk.GetArrayViewFromImage(image) for image in (reference, prediction) if image is not None]
    # Labels are compared inside the box only: a box of non-zero voxels holds every label there is.
    box = bounding_box(*arrays) or tuple(slice(0, 1) for _ in spacing)
    reference_mask = foreground(arrays[0][box], labels, reference_path)
    if prediction is None:
        return reference_mask, np.zeros_like(reference_mask), spacing
    return reference_mask, foreground(arrays[1][box], labels, prediction_path), spacing
