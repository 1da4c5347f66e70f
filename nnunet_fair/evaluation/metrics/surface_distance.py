"""Distances between the surfaces of two masks, by the challenge's definition of a surface.

A surface voxel is a foreground voxel with a background voxel among its face neighbours inside the image; the rim of the
image counts as no neighbour. That is what SimpleITK's ``LabelContour`` with its default arguments marks. A mask that
fills its image therefore has no surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_fair.evaluation.metrics.nearest_voxels import nearest_distances


@dataclass(frozen=True)
class SurfaceDistances:
    """Nearest-neighbour distances between two surfaces, both ways.

    Attributes:
        to_reference: float array of shape (n_prediction_surface_voxels,), distance of each to the reference's surface.
        to_prediction: float array of shape (n_reference_surface_voxels,), distance of each to the prediction's surface.
    """

    to_reference: np.ndarray
    to_prediction: np.ndarray

    def hausdorff95(self) -> float:
        """The larger of the two 95th percentiles (linear); 0 with no surface at all, infinite with one only."""
        if not len(self.to_reference) and not len(self.to_prediction):
            return 0.0
        if not len(self.to_reference) or not len(self.to_prediction):
            return float("inf")
        return float(max(np.percentile(self.to_reference, 95), np.percentile(self.to_prediction, 95)))

    def surface_dice(self, tolerance: float) -> float:
        """Share of the surface voxels of both masks within ``tolerance`` of the other surface; NaN with none at all."""
        n_voxels = len(self.to_reference) + len(self.to_prediction)
        within = np.count_nonzero(self.to_reference <= tolerance) + np.count_nonzero(self.to_prediction <= tolerance)
        return within / n_voxels if n_voxels else float("nan")


def surface_mask(mask: np.ndarray) -> np.ndarray:
    """The surface voxels of a mask.

    Args:
        mask: bool array of any number of dimensions.

    Returns:
        Bool array of the same shape: foreground with a background face neighbour inside the array.
    """
    interior = mask.copy()
    for axis in range(mask.ndim):
        here, there = np.moveaxis(interior, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] &= there[:-1]
        here[:-1] &= there[1:]
    return mask & ~interior


def surface_distances(
    reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]
) -> tuple[SurfaceDistances, SurfaceDistances]:
    """Distances between the surfaces of two masks.

    Args:
        reference: bool array of any number of dimensions.
        prediction: bool array of the same shape.
        spacing: voxel size in mm along each array axis.

    Returns:
        The distances in voxels and in mm; where one mask has no surface those of the other are infinite.
    """
    surfaces = surface_mask(reference), surface_mask(prediction)
    counts = [np.count_nonzero(surface) for surface in surfaces]
    if not all(counts):
        nothing = SurfaceDistances(np.full(counts[1], np.inf), np.full(counts[0], np.inf))
        return nothing, nothing
    # Voxels of both surfaces are at distance 0; only the others are asked.
    ways = [np.zeros((2, count)) for count in counts]
    for way, own, other, found in zip(
        ways, surfaces, surfaces[::-1], nearest_distances(*surfaces, spacing), strict=True
    ):
        way[:, ~other[own]] = found
    return SurfaceDistances(ways[1][0], ways[0][0]), SurfaceDistances(ways[1][1], ways[0][1])
