from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnunet_fair.evaluation.metrics.case_metrics import case_metrics
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.masks.boxes import bounding_box

SHAPE = (7, 9, 8)
SPACING = (3.0, 0.7, 0.9)


def _box(*ranges, shape=SHAPE) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*r) for r in ranges)] = True
    return mask


EMPTY, FULL = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
LESION = _box((2, 5), (3, 7), (2, 6))
MASKS = {
    "empty": EMPTY,
    "full": FULL,
    "lesion": LESION,
    "shifted": _box((3, 6), (3, 7), (3, 7)),
    "far": _box((6, 7), (8, 9), (7, 8)),
    "voxel": _box((3, 4), (4, 5), (4, 5)),
    "at the rim": _box((0, 3), (0, 4), (5, 8)),
    "whole slice": _box((2, 3), (0, 9), (0, 8)),
    "hollow": LESION & ~_box((3, 4), (4, 6), (3, 5)),
    "two lesions": LESION | _box((6, 7), (0, 1), (0, 1)),
}


@pytest.mark.parametrize("prediction", MASKS, ids=str)
@pytest.mark.parametrize("reference", MASKS, ids=str)
def test_challenge_metrics_equal_the_definition(reference, prediction, challenge_reference):
    metrics = case_metrics(MASKS[reference], MASKS[prediction], SPACING)
    dsc, hd, norm_hd = challenge_reference.case(MASKS[reference], MASKS[prediction])
    assert metrics.dsc == pytest.approx(dsc, abs=1e-12)
    assert metrics.hd95_voxel == pytest.approx(hd, abs=1e-12)
    assert metrics.norm_hd == pytest.approx(norm_hd, abs=1e-12)
    mm = challenge_reference.hausdorff95_mm(MASKS[reference], MASKS[prediction], SPACING)
    assert metrics.hd95_mm == pytest.approx(mm, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    masks=hnp.array_shapes(min_dims=2, max_dims=3, max_side=6).flatmap(
        lambda shape: st.tuples(*[hnp.arrays(bool, shape, elements=st.booleans()) for _ in range(2)])
    )
)
def test_any_masks_equal_the_definition(challenge_reference, masks):
    metrics = case_metrics(*masks, (1.5, 0.5, 2.0)[: masks[0].ndim])
    dsc, hd, norm_hd = challenge_reference.case(*masks)
    assert (metrics.dsc, metrics.hd95_voxel, metrics.norm_hd) == pytest.approx((dsc, hd, norm_hd), abs=1e-12)
    assert 0 <= metrics.dsc <= 1 and metrics.lesions_detected <= metrics.lesions_reference
    back = case_metrics(masks[1], masks[0], (1.5, 0.5, 2.0)[: masks[0].ndim])
    assert (back.dsc, back.hd95_voxel) == (metrics.dsc, metrics.hd95_voxel)


def test_known_case_by_hand():
    # 2×2 squares one column apart on a 1.0 × 0.5 mm grid: 2 of 4 voxels shared, every voxel is surface.
    reference, prediction = _box((1, 3), (1, 3), shape=(5, 6)), _box((1, 3), (2, 4), shape=(5, 6))
    metrics = case_metrics(reference, prediction, (1.0, 0.5), tolerance_mm=0.4)
    assert metrics.dsc == 0.5 and metrics.precision == 0.5 and metrics.recall == 0.5
    assert metrics.hd95_voxel == 1.0 and metrics.norm_hd == 1 / 150 and metrics.hd95_mm == 0.5
    assert metrics.surface_dsc == 0.5  # the shared column of each lies at distance 0, the other at 0.5 mm
    assert case_metrics(reference, prediction, (1.0, 0.5), tolerance_mm=0.5).surface_dsc == 1.0
    assert metrics.volume_reference_mm3 == 2.0 and metrics.volume_error_mm3 == 0.0


def test_norm_hd_is_not_clipped():
    reference, prediction = np.zeros((1, 400), bool), np.zeros((1, 400), bool)
    reference[0, 0], prediction[0, 399] = True, True
    assert case_metrics(reference, prediction, (1.0, 1.0)).norm_hd == pytest.approx(399 / 150)


@pytest.mark.parametrize(
    ("policy", "reference", "prediction", "dsc", "hd95", "precision", "recall"),
    [
        ("challenge", EMPTY, EMPTY, 0.0, 0.0, math.nan, math.nan),
        ("perfect", EMPTY, EMPTY, 1.0, 0.0, 1.0, 1.0),
        ("exclude", EMPTY, EMPTY, math.nan, math.nan, math.nan, math.nan),
        *[(p, LESION, EMPTY, 0.0, math.inf, math.nan, 0.0) for p in ("challenge", "perfect", "exclude")],
        *[(p, EMPTY, LESION, 0.0, math.inf, 0.0, math.nan) for p in ("challenge", "perfect", "exclude")],
    ],
)
def test_empty_masks_follow_the_policy(policy, reference, prediction, dsc, hd95, precision, recall):
    metrics = case_metrics(reference, prediction, SPACING, policy=EmptyMaskPolicy(policy))
    expected = (dsc, hd95, hd95, precision, recall)
    found = (metrics.dsc, metrics.hd95_voxel, metrics.hd95_mm, metrics.precision, metrics.recall)
    assert found == pytest.approx(expected, nan_ok=True)
    assert metrics.norm_hd == pytest.approx(1.0 if math.isinf(hd95) else hd95, nan_ok=True)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (_box((2, 3), (4, 6), (7, 8)), (slice(1, 4), slice(3, 7), slice(6, 9))),
        (_box((0, 1), (8, 9), (0, 8)), (slice(0, 2), slice(7, 10), slice(0, 9))),
        (EMPTY, None),
    ],
    ids=["inside", "at the rim", "empty"],
)
def test_bounding_box_has_one_voxel_around(mask, expected):
    box = bounding_box(mask, EMPTY, margin=1)
    assert box == expected
    if box is not None:
        assert mask[box].sum() == mask.sum()


@pytest.mark.parametrize(
    ("reference", "prediction", "spacing"),
    [(LESION, LESION[1:], SPACING), (LESION, LESION, (1.0, 1.0)), (LESION.astype(int), LESION, SPACING)],
    ids=["shape", "spacing", "dtype"],
)
def test_wrong_arrays_are_refused(reference, prediction, spacing):
    with pytest.raises(ValueError, match=r"fit together|bool masks"):
        case_metrics(reference, prediction, spacing)
