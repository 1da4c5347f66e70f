"""Where voxels lie, and how far apart two grids put them."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.masks.grid import Grid, displacement, grid_of, set_grid, size_text

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((11, 21, 5), (0.5, 0.5, 2.0), (-10.0, 0.0, 30.0), IDENTITY)


def rotated(angle: float) -> tuple[float, ...]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return (cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0)


def test_corners_agree_with_itk() -> None:
    image = sitk.Image(3, 4, 5, sitk.sitkUInt8)
    image.SetSpacing((0.5, 0.6, 2))
    image.SetOrigin((1, 2, 3))
    image.SetDirection((0, 0, 1, 1, 0, 0, 0, -1, 0))
    expected = [image.TransformIndexToPhysicalPoint((x, y, z)) for x in (0, 2) for y in (0, 3) for z in (0, 4)]
    np.testing.assert_allclose(grid_of(image).corners(), expected)


@pytest.mark.parametrize(
    ("change", "voxels"),
    [
        ({}, 0),
        ({"origin": (-10.0, 0.3, 30.4)}, 1.0),  # 0.5 mm are one voxel of the smallest edge
        ({"spacing": (0.5, 0.5, 2.25)}, 2.0),  # 4 steps of 0.25 mm
        ({"direction": rotated(0.002)}, np.hypot(5, 10) * 2 * np.sin(0.001) / 0.5),  # the corner 5 and 10 mm away
    ],
    ids=["same", "origin", "spacing", "direction"],
)
def test_displacement_by_hand(change: dict, voxels: float) -> None:
    assert displacement(GRID, replace(GRID, **change)) == pytest.approx(voxels)


def test_grids_of_two_sizes_have_no_distance():
    with pytest.raises(ValueError, match="size"):
        displacement(GRID, replace(GRID, size=(11, 21, 6)))


def test_a_part_lies_where_itk_puts_it():
    image = sitk.Image(7, 8, 9, sitk.sitkUInt8)
    set_grid(image, Grid((7, 8, 9), (0.5, 0.6, 2.0), (1.0, 2.0, 3.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)))
    part = sitk.RegionOfInterest(image, (2, 3, 4), (4, 5, 1))
    found = grid_of(image).part(((1, 5), (5, 8), (4, 6)))
    assert found.size == part.GetSize() and found.shape == (4, 3, 2)
    assert found.origin == pytest.approx(part.GetOrigin())
    assert displacement(grid_of(part), found) == pytest.approx(0, abs=1e-12)


def test_a_size_for_people():
    assert size_text((512, 512, 112)) == "512×512×112"
