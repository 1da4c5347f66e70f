"""Shape features against the formulas of ellipsoids, and the Feret diameter against ITK's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate
from scipy.spatial.transform import Rotation

from nnunet_fair.pcr.shape import SHAPE_FEATURES, feret_diameter, shape_features, surface_mm2

SPACING = (1.5, 0.7, 0.9)  # mm along slices, rows, columns


def ellipsoid(radii: tuple[float, float, float], rotation: Rotation, spacing=SPACING) -> np.ndarray:
    """An ellipsoid of radii in mm, turned, in the middle of a volume that holds it."""
    size = [2 * math.ceil((max(radii) + 2) / mm) + 1 for mm in spacing]
    axes = np.meshgrid(*((np.arange(n) - n // 2) * mm for n, mm in zip(size, spacing, strict=True)), indexing="ij")
    own = np.stack(axes, axis=-1) @ rotation.as_matrix()
    return ((own / radii) ** 2).sum(axis=-1) <= 1


def surface_of(radii: tuple[float, float, float]) -> float:
    """The surface of an ellipsoid by numerical integration over its parameters."""
    a, b, c = radii
    u, v = np.meshgrid(np.linspace(0, np.pi, 400), np.linspace(0, 2 * np.pi, 800), indexing="ij")
    area = np.sin(u) * np.sqrt(
        (b * c * np.sin(u) * np.cos(v)) ** 2 + (a * c * np.sin(u) * np.sin(v)) ** 2 + (a * b * np.cos(u)) ** 2
    )
    return float(integrate.trapezoid(integrate.trapezoid(area, v[0], axis=1), u[:, 0]))


@pytest.mark.parametrize("turned", [False, True], ids=["along the axes", "turned"])
@pytest.mark.parametrize("radii", [(10.0, 10.0, 10.0), (16.0, 11.0, 8.0)], ids=["ball", "ellipsoid"])
def test_an_ellipsoid_has_the_features_of_its_formulas(radii, turned):
    rotation = Rotation.from_euler("xyz", [35, 20, 50] if turned else [0, 0, 0], degrees=True)
    found = shape_features(ellipsoid(radii, rotation), SPACING)
    assert tuple(found) == SHAPE_FEATURES
    volume = 4 / 3 * math.pi * math.prod(radii)  # mm³
    assert found["volume_ml"] == pytest.approx(volume / 1000, rel=0.01)
    assert found["log_volume"] == pytest.approx(math.log(volume / 1000), abs=0.01)
    assert (found["n_components"], found["largest_share"]) == (1, 1)
    assert found["feret_mm"] == pytest.approx(2 * max(radii), abs=1.5)  # centres of voxels lie inside
    assert found["surface_mm2"] == pytest.approx(surface_of(radii), rel=0.05)
    sphere = math.pi ** (1 / 3) * (6 * volume) ** (2 / 3)
    assert found["roundness"] == pytest.approx(sphere / surface_of(radii), rel=0.05)
    assert found["elongation"] == pytest.approx(radii[0] / radii[1], rel=0.02)
    assert found["flatness"] == pytest.approx(radii[1] / radii[2], rel=0.02)


def test_form_is_that_of_the_largest_component_and_volume_that_of_all():
    lesion = np.zeros((6, 12, 30), dtype=bool)
    lesion[1:5, 2:8, 2:10] = True
    lesion[1:3, 2:4, 20:24] = True
    both, alone = shape_features(lesion, SPACING), shape_features(lesion[:, :, :15], SPACING)
    assert (both["n_components"], alone["n_components"]) == (2, 1)
    assert both["volume_ml"] == pytest.approx((192 + 16) * math.prod(SPACING) / 1000)
    assert both["largest_share"] == pytest.approx(192 / 208)
    for name in ("feret_mm", "surface_mm2", "roundness", "elongation", "flatness"):
        assert both[name] == alone[name]


def test_the_flatness_of_a_lesion_one_voxel_thick_is_missing():
    lesion = np.zeros((3, 9, 9), dtype=bool)
    lesion[1, 2:6, 2:7] = True
    found = shape_features(lesion, SPACING)
    assert math.isnan(found["flatness"])
    assert found["elongation"] > 1
    single = shape_features(np.ones((1, 1, 1), dtype=bool), SPACING)
    assert single["feret_mm"] == 0
    assert math.isnan(single["elongation"])
    assert single["surface_mm2"] > 0


@pytest.mark.parametrize("radii", [(16.0, 11.0, 8.0), (8.0, 11.0, 16.0)])
def test_thick_slices_do_not_change_the_surface(radii):
    spacing = (3.0, 0.7, 0.7)
    lesion = ellipsoid(radii, Rotation.identity(), spacing)
    assert surface_mm2(lesion, spacing) == pytest.approx(surface_of(radii), rel=0.04)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7)), st.sampled_from([SPACING, (1, 1, 1)]))
def test_the_feret_diameter_is_itks(mask, spacing):
    if not mask.any():
        return
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing([float(mm) for mm in reversed(spacing)])
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.SetComputeFeretDiameter(True)
    statistics.Execute(image)
    assert feret_diameter(mask, spacing) == pytest.approx(statistics.GetFeretDiameter(1), abs=1e-6)
