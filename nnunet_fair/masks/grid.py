"""Grids: where the voxels of an image lie in space, and how far apart two grids put them.

One measure, in voxels of the reference, and three tolerances, because three things are asked:

- ``UNCHANGED``: may a file be used as it is? Below a thousandth of a voxel nothing that is computed changes.
- ``SAME_GRID``: do two files show the same voxels? File formats round origins and spacings by less than a tenth of a
  voxel; a mask of another image is off by whole voxels.
- ``SAME_PLACE``: may an image lie under contours without being resampled? A picture shows no half voxel.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

UNCHANGED = 1e-3
SAME_GRID = 0.1
SAME_PLACE = 0.5


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a 2D or 3D image lie, as ITK says it.

    Attributes:
        size: voxels along x, y and z.
        spacing: voxel size along x, y and z, in mm.
        origin: centre of the first voxel in mm.
        direction: direction cosines row by row; the columns of a grid that is not orthonormal are its axes divided by
            the spacing.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape: (slices, rows, columns), or (rows, columns)."""
        return self.size[::-1]

    def axes(self) -> np.ndarray:
        """The step from a voxel to the next along each axis, one column an axis, in mm."""
        n_dims = len(self.size)
        return np.reshape(self.direction, (n_dims, n_dims)) * np.array(self.spacing)

    def corners(self) -> np.ndarray:
        """The centres of the corner voxels in physical space, shape (2**n_dims, n_dims), in mm."""
        index = np.array(list(itertools.product(*((0, size - 1) for size in self.size))), dtype=float)
        return np.array(self.origin) + index @ self.axes().T

    def part(self, box: Sequence[tuple[int, int]]) -> Grid:
        """The grid of a part of the image.

        Args:
            box: (start, stop) along each array axis (slice, row, column), half-open, inside the image.
        """
        start = np.array([axis[0] for axis in reversed(box)])
        origin = np.array(self.origin) + self.axes() @ start
        size = tuple(stop - begin for begin, stop in reversed(box))
        return Grid(size, self.spacing, tuple(float(value) for value in origin), self.direction)


def grid_of(image: sitk.Image | sitk.ImageFileReader) -> Grid:
    """The grid of an image or of a reader that has read an image's header."""
    return Grid(
        tuple(int(size) for size in image.GetSize()), image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    )


def set_grid(image: sitk.Image, grid: Grid) -> None:
    """Put an image of the grid's size at its place."""
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)


def displacement(reference: Grid, other: Grid) -> float:
    """How far apart two grids of one size put a voxel at most, in units of the reference's smallest voxel edge.

    The largest distance over the corners bounds that of every voxel between them, so one number covers rounding of
    spacing, origin and direction together.

    Raises:
        ValueError: the sizes differ.
    """
    if reference.size != other.size:
        raise ValueError(f"grids of size {reference.size} and {other.size} have no voxels in common order")
    distance = np.linalg.norm(reference.corners() - other.corners(), axis=1).max()
    return float(distance / min(reference.spacing))


def size_text(size: Sequence[int]) -> str:
    """A size for people: ``512×512×112``."""
    return "×".join(map(str, size))
