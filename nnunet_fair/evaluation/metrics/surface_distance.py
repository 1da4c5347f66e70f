"""Distances between the surfaces of two masks, by the challenge's definition of a surface.

A surface voxel is a foreground voxel with a background voxel among its face neighbours inside the image; the rim of the
image counts as no neighbour. That is what SimpleITK's ``LabelContour`` with its default arguments marks. A mask that
fills its image therefore has no surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


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


def surface_points(mask: np.ndarray) -> np.ndarray:
    """Indices of the surface voxels of a mask, float array of shape (n_surface_voxels, n_dimensions)."""
    return np.argwhere(surface_mask(mask)).astype(float)


def surface_distances(
    reference_points: np.ndarray, prediction_points: np.ndarray, spacing: tuple[float, ...] | None = None
) -> SurfaceDistances:
    """Nearest-neighbour distances between two sets of surface voxels.

    Args:
        reference_points: float array of shape (n_reference_surface_voxels, n_dimensions), voxel indices.
        prediction_points: float array of shape (n_prediction_surface_voxels, n_dimensions), voxel indices.
        spacing: voxel size in mm along each array axis; distances are then in mm, otherwise in voxels.

    Returns:
        The distances; where one set is empty those of the other are infinite.
    """
    if spacing is not None:
        reference_points = reference_points * np.asarray(spacing, dtype=float)
        prediction_points = prediction_points * np.asarray(spacing, dtype=float)
    if not len(reference_points) or not len(prediction_points):
        return SurfaceDistances(np.full(len(prediction_points), np.inf), np.full(len(reference_points), np.inf))
    # Each tree is asked about as often as it has points: building it quickly matters more than a perfect shape, and
    # larger leaves answer faster than deeper trees.
    trees = [
        cKDTree(points, leafsize=32, balanced_tree=False, compact_nodes=False)
        for points in (reference_points, prediction_points)
    ]
    return SurfaceDistances(
        to_reference=trees[0].query(prediction_points)[0], to_prediction=trees[1].query(reference_points)[0]
    )
