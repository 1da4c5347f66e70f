"""A mask for a case the model left empty: the most likely lesion at the highest threshold that gives it a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_fair.masks.boxes import bounding_box
from nnunet_fair.masks.components import Connectivity, label_components

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Thresholded:
    """What lowering the threshold found.

    Attributes:
        mask: bool array of the probability's shape; empty where nothing was found.
        threshold: the threshold used, None where nothing was found.
        peak: the highest foreground probability among the allowed voxels (0 where none is allowed).
    """

    mask: np.ndarray
    threshold: float | None
    peak: float


def lower_threshold(
    probability: np.ndarray,
    *,
    min_voxels: int = 1,
    min_probability: float = 0.1,
    connectivity: Connectivity = 26,
    allowed: np.ndarray | None = None,
) -> Thresholded:
    """The component with the highest probability, at the highest threshold of at most 0.5 that makes it large enough.

    With a falling threshold the component that holds the peak only grows, so the threshold is found by bisection over
    the probabilities that occur.

    Args:
        probability: foreground probability, float array of shape (slices, rows, columns).
        min_voxels: the component has at least this many voxels.
        min_probability: the threshold is never below this.
        connectivity: 6, 18 or 26 neighbours connect two voxels.
        allowed: bool array of the same shape; voxels outside take no part. None allows all.
    """
    nothing = np.zeros(probability.shape, dtype=bool)
    candidates = probability >= min_probability
    if allowed is not None:
        candidates &= allowed
    bounds = bounding_box(candidates)
    if bounds is None:
        considered = probability if allowed is None else probability[allowed]
        return Thresholded(nothing, None, float(considered.max()) if considered.size else 0.0)
    values = np.where(candidates[bounds], probability[bounds], 0)
    peak_voxel = np.unravel_index(np.argmax(values), values.shape)
    peak = float(values[peak_voxel])
    component, threshold = _highest_threshold(values, peak_voxel, min_voxels, min_probability, connectivity)
    if component is None:
        return Thresholded(nothing, None, peak)
    nothing[bounds] = component
    return Thresholded(nothing, threshold, peak)


def _highest_threshold(
    values: np.ndarray, peak_voxel: tuple, min_voxels: int, min_probability: float, connectivity: Connectivity
) -> tuple[np.ndarray | None, float | None]:
    """The component of the peak and its threshold, (None, None) where even the lowest threshold leaves it too small."""
    occurring = np.unique(values[(values > 0) & (values < DEFAULT_THRESHOLD)])
    thresholds = np.append(occurring, np.asarray(DEFAULT_THRESHOLD, dtype=values.dtype))
    thresholds = thresholds[(thresholds >= min_probability) & (thresholds <= values[peak_voxel])]

    def component(index: int) -> np.ndarray:
        labels, _ = label_components(values >= thresholds[index], connectivity)
        return labels == labels[peak_voxel]

    low, high = 0, len(thresholds) - 1
    found = None
    while low <= high:
        middle = (low + high) // 2
        grown = component(middle)
        if np.count_nonzero(grown) >= min_voxels:
            found, threshold, low = grown, float(thresholds[middle]), middle + 1
        else:
            high = middle - 1
    return (None, None) if found is None else (found, threshold)
