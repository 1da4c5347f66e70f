"""Connected components of a mask: keep the largest ones and those large enough."""

from __future__ import annotations

import math

import cc3d
import numpy as np


def foreground_bounds(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The bounding box of the non-zero voxels, None where there are none.

    Args:
        mask: array of shape (slices, rows, columns), integer or bool.
    """
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(slices):
        return None
    first, last = int(slices[0]), int(slices[-1]) + 1
    # Projecting along the slices first leaves one small image to look at instead of two more passes over the volume.
    projection = np.bitwise_or.reduce(mask[first:last], axis=0)
    rows = np.flatnonzero(projection.any(axis=1))
    columns = np.flatnonzero(projection.any(axis=0))
    return slice(first, last), slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def voxels_for_volume(volume_mm3: float, voxel_mm3: float) -> int:
    """The smallest number of voxels with at least this volume, never below 1.

    Args:
        volume_mm3: volume in mm³.
        voxel_mm3: volume of one voxel in mm³.
    """
    # The small slack keeps a volume of exactly k voxels at k voxels in floating point.
    return max(1, math.ceil(volume_mm3 / voxel_mm3 - 1e-6))


def label_components(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    """Number the connected components of a mask.

    Args:
        mask: bool array of shape (slices, rows, columns).
        connectivity: 6 (faces), 18 (and edges) or 26 (and corners).

    Returns:
        Integer array of the same shape, 0 background and 1 … n the components in the array's order, and n.
    """
    # On a line of voxels all connectivities are the same; connected-components-3d 4.1 fails there with 26.
    on_a_line = sum(size > 1 for size in mask.shape) <= 1
    return cc3d.connected_components(mask, connectivity=6 if on_a_line else connectivity, return_N=True)


def filter_components(
    mask: np.ndarray, *, connectivity: int = 26, keep: int | None = None, min_voxels: int = 1
) -> np.ndarray:
    """Keep the largest connected components of a mask.

    Args:
        mask: bool array of shape (slices, rows, columns).
        connectivity: 6 (faces), 18 (and edges) or 26 (and corners).
        keep: how many components to keep at most, largest first; None keeps all. Of equally large components the one
            whose first voxel comes first in the array is kept.
        min_voxels: smallest size of a component in voxels.

    Returns:
        Bool array of the same shape.
    """
    bounds = foreground_bounds(mask)
    if bounds is None or (keep is None and min_voxels <= 1):
        return mask.copy()
    labels, count = label_components(mask[bounds], connectivity)
    kept = np.zeros_like(mask)
    kept[bounds] = _selection(labels, count, keep, min_voxels)[labels]
    return kept


def _selection(labels: np.ndarray, count: int, keep: int | None, min_voxels: int) -> np.ndarray:
    """Bool array of shape (count + 1,): which component labels stay."""
    sizes = cc3d.statistics(labels, no_slice_conversion=True)["voxel_counts"][: count + 1].astype(np.int64)
    largest_first = np.argsort(-sizes[1:], kind="stable") + 1
    selected = np.zeros(count + 1, dtype=bool)
    selected[largest_first[:keep]] = True
    selected[0] = False
    return selected & (sizes >= min_voxels)
