from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from nnunet_fair.evaluation.metrics import nearest_voxels
from nnunet_fair.evaluation.metrics.case_metrics import case_metrics
from nnunet_fair.evaluation.metrics.nearest_voxels import nearest_distances


def _expected(first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]) -> list[list[np.ndarray]]:
    """By two KD-trees and no row table."""
    ways = []
    for own, other in ((first, second), (second, first)):
        asked, targets = np.argwhere(own & ~other), np.argwhere(other)
        ways.append([KDTree(targets * scale).query(asked * scale)[0] for scale in (np.ones(own.ndim), spacing)])
    return ways


def _ball(shape: tuple[int, ...], centre: tuple[float, ...], radius: float) -> np.ndarray:
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True)) <= radius**2


@pytest.fixture(params=["rows", "as is", "tree"])
def way(request, monkeypatch):
    """The search by rows wherever it can answer, the choice as it is, the tree alone."""
    if request.param == "rows":
        monkeypatch.setattr(nearest_voxels, "TREE_ANSWER_COST", 10**9)
    elif request.param == "tree":
        monkeypatch.setattr(nearest_voxels, "TREE_ANSWER_COST", 0)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 24), min_size=1, max_size=3),
    spacing=st.tuples(*[st.sampled_from([0.25, 0.7, 1.0, 3.0])] * 3),
    share=st.sampled_from([0.002, 0.05, 0.6]),
    seed=st.integers(0, 2**16),
)
@pytest.mark.parametrize("cost", [10**9, nearest_voxels.TREE_ANSWER_COST], ids=["rows", "as is"])
def test_any_voxels_equal_the_tree(cost, shape, spacing, share, seed):
    rng = np.random.default_rng(seed)
    masks = [rng.random(shape) < share for _ in range(2)]
    for mask in masks:
        mask.ravel()[rng.integers(mask.size)] = True
    spacing = spacing[: len(shape)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_voxels, "TREE_ANSWER_COST", cost)
        found = nearest_distances(*masks, spacing)
    for (voxels, mm), (expected_voxels, expected_mm) in zip(found, _expected(*masks, spacing), strict=True):
        assert np.array_equal(voxels, expected_voxels)
        np.testing.assert_allclose(mm, expected_mm, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("offset", [2.0, 9.0, 30.0])
@pytest.mark.parametrize("spacing", [(2.0, 0.7, 0.7), (0.5, 3.0, 0.9)])
def test_balls_near_and_far_equal_the_tree(offset, spacing):
    shape = (24, 60, 90)
    first = _ball(shape, (12, 30, 25), 11) & ~_ball(shape, (12, 30, 25), 10)
    second = _ball(shape, (12, 30, 26 + offset), 10) | _ball(shape, (2, 5, 85), 2)
    found = nearest_distances(first, second, spacing)
    for (voxels, mm), (expected_voxels, expected_mm) in zip(found, _expected(first, second, spacing), strict=True):
        assert np.array_equal(voxels, expected_voxels)
        np.testing.assert_allclose(mm, expected_mm, rtol=1e-12)


def test_a_large_lesion_has_the_official_distance_to_the_last_digit(challenge_reference):
    shape, spacing = (20, 60, 60), (2.0, 0.7, 0.7)
    reference, prediction = _ball(shape, (9, 29, 30), 24), _ball(shape, (10, 32, 31), 21)
    metrics = case_metrics(reference, prediction, spacing)
    assert (metrics.dsc, metrics.hd95_voxel, metrics.norm_hd) == challenge_reference.case(reference, prediction)
    assert metrics.hd95_mm == pytest.approx(
        challenge_reference.hausdorff95_mm(reference, prediction, spacing), rel=1e-13
    )


def test_a_distance_equal_to_the_tolerance_counts_wherever_it_lies():
    # Five voxels of 0.4 mm are 2 mm, but 0.4 × 11 − 0.4 × 6 is more than 2 in floating point.
    scores = set()
    for start in range(12):
        reference, prediction = np.zeros((1, 30), bool), np.zeros((1, 30), bool)
        reference[0, start], prediction[0, start + 5] = True, True
        scores.add(case_metrics(reference, prediction, (1.0, 0.4), tolerance_mm=2.0).surface_dsc)
    assert scores == {1.0}
