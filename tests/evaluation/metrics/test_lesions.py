"""Lesions of one case, and the three rules for what was found."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from nnunet_fair.evaluation.metrics.lesions import (
    LEAST_IOU,
    case_lesions,
    equivalent_diameter,
    is_found,
    lesion_counts,
)
from nnunet_fair.evaluation.metrics.options import IOU, ONE_TO_ONE, TOUCH

SHAPE = (8, 9, 10)


def _box(*ranges: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(*r) for r in ranges)] = True
    return mask


def _table(reference: np.ndarray, prediction: np.ndarray, spacing=(1.0, 1.0, 1.0)) -> pd.DataFrame:
    return pd.DataFrame(case_lesions(reference, prediction, spacing))


def _counts(reference: np.ndarray, prediction: np.ndarray) -> dict[str, int]:
    return lesion_counts(case_lesions(reference, prediction, (1.0,) * reference.ndim))


def test_lesions_are_counted_by_touch():
    reference = _box((0, 2), (0, 2), (0, 2)) | _box((4, 6), (4, 6), (4, 6)) | _box((0, 1), (7, 9), (6, 8))
    prediction = _box((1, 3), (1, 3), (1, 3)) | _box((6, 7), (0, 1), (7, 8))
    counts = _counts(reference, prediction)
    assert counts == {"lesions_reference": 3, "lesions_detected": 1, "lesions_prediction": 2, "lesions_false": 1}


def test_diagonal_neighbours_are_one_lesion():
    mask = np.eye(4, dtype=bool)
    assert _counts(mask, mask)["lesions_reference"] == 1


def test_lesions_of_a_line_of_voxels():
    line = np.array([[True, False, True]])
    assert _counts(line, line)["lesions_detected"] == 2


def test_every_lesion_is_described():
    reference = _box((0, 2), (0, 2), (0, 2)) | _box((4, 7), (4, 6), (4, 6))  # 8 and 12 voxels
    prediction = _box((1, 2), (0, 2), (0, 2)) | _box((0, 1), (8, 9), (8, 9))  # half of the smaller one; a false voxel
    table = _table(reference, prediction, (2.0, 1.0, 0.5))
    assert table["kind"].tolist() == ["reference", "reference", "prediction", "prediction"]
    assert table["lesion"].tolist() == [1, 2, 1, 2]
    assert table["volume_mm3"].tolist() == [12, 8, 4, 1]
    assert table["diameter_mm"][1] == pytest.approx(2 * (3 * 8 / (4 * math.pi)) ** (1 / 3))
    assert table["touches"].tolist() == [False, True, True, False]
    assert table["best_iou"].tolist() == [0, 0.5, 0.5, 0]
    assert table["matched_iou"].tolist() == pytest.approx([math.nan, 0.5, 0.5, math.nan], nan_ok=True)
    assert table["dsc"].tolist() == pytest.approx([0, 2 * 4 / 12, math.nan, math.nan], nan_ok=True)


def test_one_prediction_over_two_lesions_is_where_the_rules_differ():
    reference = _box((0, 1), (0, 1), (0, 4)) | _box((0, 1), (0, 1), (5, 7))  # 4 and 2 voxels, one apart
    prediction = _box((0, 1), (0, 1), (0, 10))
    table = _table(reference, prediction)
    found = {rule: is_found(table, rule).tolist() for rule in (TOUCH, IOU, ONE_TO_ONE)}
    assert found == {
        TOUCH: [True, True, True],
        IOU: [True, True, True],  # 4/10 and 2/10
        ONE_TO_ONE: [True, False, True],
    }


def test_a_touch_of_a_voxel_is_no_overlap_of_a_tenth():
    reference = _box((0, 4), (0, 4), (0, 4))
    prediction = _box((3, 8), (3, 9), (3, 9))
    table = _table(reference, prediction)
    assert is_found(table, TOUCH).all() and not is_found(table, IOU).any() and not is_found(table, ONE_TO_ONE).any()


def test_pairs_are_chosen_for_the_largest_sum():
    # Greedy pairing would take B with the long prediction (0.4) and leave A without one (0.375).
    reference = _box((0, 1), (0, 1), (0, 3)) | _box((0, 1), (0, 1), (4, 10))  # B is 6 long, A 3
    prediction = _box((0, 1), (0, 1), (0, 10)) & ~_box((0, 1), (0, 1), (8, 9))  # 8 voxels and 1 voxel
    table = _table(reference, prediction)
    assert is_found(table, ONE_TO_ONE).tolist() == [True, True, True, True]
    assert table["matched_iou"].tolist() == pytest.approx([1 / 6, 3 / 8, 3 / 8, 1 / 6])


@pytest.mark.parametrize("empty", ["reference", "prediction", "both"])
def test_empty_masks(empty):
    nothing, lesion = np.zeros(SHAPE, bool), _box((0, 2), (0, 2), (0, 2))
    reference = nothing if empty in ("reference", "both") else lesion
    prediction = nothing if empty in ("prediction", "both") else lesion
    table = case_lesions(reference, prediction, (1.0, 1.0, 1.0))
    assert len(table) == (0 if empty == "both" else 1)
    assert not any(found.touches for found in table)


def test_a_circle_in_two_dimensions():
    assert equivalent_diameter(math.pi * 25, 2) == pytest.approx(10)
    square = np.ones((2, 2), bool)
    (reference, prediction) = case_lesions(square, square, (2.0, 3.0))
    assert reference.volume_mm3 == 24 and prediction.diameter_mm == pytest.approx(2 * math.sqrt(24 / math.pi))


@given(st.integers(0, 10_000))
def test_agrees_with_plain_loops(seed):
    rng = np.random.default_rng(seed)
    reference, prediction = rng.random((2, 5, 6, 4)) < 0.2
    eight = np.ones((3, 3, 3))
    masks = []
    for mask in (reference, prediction):
        labels, n = ndimage.label(mask, eight)
        masks.append([labels == i + 1 for i in range(n)])
    table = _table(reference, prediction)
    expected = {}
    for kind, own, other in (("reference", *masks), ("prediction", *masks[::-1])):
        rows = []
        for lesion in own:
            overlaps = [(lesion & one).sum() / (lesion | one).sum() for one in other]
            rows.append((int(lesion.sum()), round(max(overlaps, default=0.0), 9), any(overlaps)))
        expected[kind] = sorted(rows, reverse=True)
    for kind, rows in expected.items():
        mine = table[table["kind"] == kind] if len(table) else []
        found = [(int(r.volume_mm3), round(r.best_iou, 9), r.touches) for r in mine.itertuples()] if len(mine) else []
        assert sorted(found, reverse=True) == rows
    if len(table):
        pairs = table[table["matched_iou"].notna()]
        assert (pairs["kind"] == "reference").sum() == (pairs["kind"] == "prediction").sum()
        assert (pairs["matched_iou"] >= LEAST_IOU).all() and (pairs["matched_iou"] <= pairs["best_iou"]).all()
