"""Mask files for the tests of the inference room."""

import numpy as np
import pytest
import SimpleITK as sitk

# Not identity, not symmetric: a mix-up of axes or of ITK's and numpy's order shows.
SPACING_XYZ = (0.7, 0.8, 2.5)
ORIGIN = (-12.5, 4.5, 100.25)
DIRECTION = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def write_image():
    """Write an array of shape (slices, rows, columns) as an image with an oblique-to-the-axes geometry."""

    def write(array, path, spacing=SPACING_XYZ, origin=ORIGIN, direction=DIRECTION):
        image = sitk.GetImageFromArray(np.asarray(array))
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction)
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path), True)
        return path

    return write


@pytest.fixture
def read_array():
    """Read an image's array with SimpleITK alone."""
    return lambda path: sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def ball():
    """A bool array with the voxels within ``radius`` voxels of ``centre``."""

    def draw(shape, centre, radius):
        grid = np.ogrid[tuple(slice(size) for size in shape)]
        return sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2

    return draw
