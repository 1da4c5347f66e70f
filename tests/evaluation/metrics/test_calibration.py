"""Calibration of a case by hand, and the files its probabilities come from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.calibration import SAID, SHARES, TRUE, case_calibration, within_margin
from nnunet_fair.evaluation.metrics.case_probabilities import calibration_rows, with_probabilities
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.masks.label_set import LabelSet
from nnunet_fair.masks.pairing import CasePair, Pairing

LINE = (1, 1, 8)


def _line(*values: float) -> np.ndarray:
    return np.array(values).reshape(LINE)


REFERENCE = _line(0, 0, 0, 1, 1, 0, 0, 0) > 0
PREDICTION = _line(0, 0, 0, 0, 1, 1, 0, 0) > 0
PROBABILITY = _line(0.9, 0, 0, 0.1, 0.7, 0.7, 0, 0.4)


def test_a_case_by_hand():
    # Masks at 3 to 5; with a margin of 1 mm at 1 mm a voxel, 2 to 6 count: p 0, 0.1, 0.7, 0.7, 0, truth 0, 1, 1, 0, 0.
    found = case_calibration(PROBABILITY, REFERENCE, PREDICTION, (1.0, 1.0, 1.0), 1.0)
    assert found["brier"] == pytest.approx((0.81 + 0.09 + 0.49) / 5)
    # bins of 1/15: p 0 alone, 0.1 alone (off by 0.9), 0.7 twice (1.4 said, 1 true)
    assert found["ece"] == pytest.approx((0.9 + 0.4) / 5)
    assert found["volume_expected_mm3"] == pytest.approx(2.8)
    assert [found[name] for name in (SHARES[0], SHARES[1], SHARES[10])] == pytest.approx([0.4, 0.2, 0.4])
    assert [found[name] for name in (SAID[10], TRUE[10], TRUE[1])] == pytest.approx([1.4 / 5, 1 / 5, 1 / 5])
    assert sum(found[name] for name in SHARES) == pytest.approx(1)
    # around the prediction (4 and 5): 3 to 6, entropy of 0.1, 0.7, 0.7 and 0
    entropy = {p: -(p * math.log2(p) + (1 - p) * math.log2(1 - p)) for p in (0.1, 0.7)}
    assert found["uncertainty"] == pytest.approx((entropy[0.1] + 2 * entropy[0.7]) / 4)


def test_without_a_prediction_uncertainty_is_that_of_the_most_probable_voxel():
    found = case_calibration(PROBABILITY, REFERENCE, np.zeros(LINE, bool), (1.0, 1.0, 1.0), 0.0)
    assert found["uncertainty"] == pytest.approx(-(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1)))
    nothing = case_calibration(PROBABILITY, np.zeros(LINE, bool), np.zeros(LINE, bool), (1.0, 1.0, 1.0), 5.0)
    assert math.isnan(nothing["brier"]) and math.isnan(nothing["ece"]) and math.isnan(nothing[SHARES[0]])


def test_ignored_voxels_count_nowhere():
    annotated = _line(0, 1, 1, 1, 1, 0, 1, 1) > 0
    found = case_calibration(PROBABILITY, REFERENCE, PREDICTION, (1.0, 1.0, 1.0), 1.0, annotated=annotated)
    assert found["brier"] == pytest.approx((0.81 + 0.09) / 4)
    assert found["volume_expected_mm3"] == pytest.approx(1.2)


def test_the_margin_is_in_mm_and_ends_at_the_image():
    rng = np.random.default_rng(1)
    mask, spacing, margin = rng.random((5, 9, 8)) < 0.02, (2.5, 0.7, 1.1), 3.0
    box, near = within_margin(mask, spacing, margin)
    inside = np.zeros(mask.shape, bool)
    inside[box] = near
    grid = np.argwhere(np.ones(mask.shape, bool)) * spacing
    distance = np.sqrt(((grid[:, None] - np.argwhere(mask) * spacing) ** 2).sum(axis=2)).min(axis=1)
    assert np.array_equal(inside.ravel(), distance <= margin)
    assert not within_margin(np.zeros((3, 3), bool), (1.0, 1.0), 2.0)[1].size


@pytest.fixture
def pair(tmp_path, save_mask) -> CasePair:
    """A case of two voxels' difference with the probabilities of one label."""
    for name, mask in (("labels", REFERENCE), ("pred", PREDICTION)):
        save_mask(mask, tmp_path / name / "A.1.nii.gz")
    _save(tmp_path / "pred" / "A.1.npz", np.stack([1 - PROBABILITY, PROBABILITY]))
    files = (tmp_path / "labels" / "A.1.nii.gz", tmp_path / "pred" / "A.1.nii.gz")
    return with_probabilities(Pairing((CasePair("A.1", *files),), (), ())).pairs[0]


def _save(path, array) -> None:
    np.savez_compressed(path, probabilities=array)


def test_probabilities_are_found_beside_the_prediction_and_read(pair):
    assert pair.probabilities is not None and pair.probabilities.name == "A.1.npz"
    (row,) = calibration_rows(pair, [(1,)], ScoringOptions(margin_mm=0.0))
    assert row["calibration_problem"] == ""
    assert row["brier"] == pytest.approx((0.81 + 0.09 + 0.49) / 3)


def test_regions_take_their_own_channel(pair):
    _save(pair.probabilities, np.stack([PROBABILITY, np.zeros(LINE)]))
    options = ScoringOptions(margin_mm=0.0, label_set=LabelSet((1, 2), ((1, 2), (2,)), (1, 2)))
    rows = calibration_rows(pair, [(1, 2), (2,)], options)
    assert rows[0]["volume_expected_mm3"] == pytest.approx(2.8 * 2) and rows[1]["volume_expected_mm3"] == 0
    (lost,) = calibration_rows(pair, [(1,)], ScoringOptions())
    assert "do not add up to 1" in lost["calibration_problem"]


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code from the file was executed",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((2, 1, 1, 7)), "belong to another prediction"),
        (np.zeros((2, 1, 8)), "of three axes"),
        (np.zeros((2, *LINE), int), "expected floating-point numbers"),
        (np.full((2, *LINE), np.nan), "not between 0 and 1"),
        (np.full((2, *LINE), 3.0), "not between 0 and 1"),
        (np.array([_Bomb()], dtype=object), "of three axes"),
        (np.full((2, *LINE), _Bomb(), dtype=object), "expected floating-point numbers"),
    ],
    ids=["grid", "axes", "type", "nan", "range", "pickle", "pickle of the right shape"],
)
def test_a_file_that_is_no_probabilities_is_named_and_the_case_keeps_its_score(pair, content, message):
    _save(pair.probabilities, content)
    (row,) = calibration_rows(pair, [(1,)], ScoringOptions())
    assert message in row["calibration_problem"] and "A.1.npz" in row["calibration_problem"]
    assert math.isnan(row["brier"])


def test_a_header_is_believed_only_as_far_as_the_mask_goes(pair):
    # 4 bytes on disk that say they are a terabyte: refused before memory is asked for.
    with pair.probabilities.open("wb") as file:
        import zipfile

        with zipfile.ZipFile(file, "w") as archive, archive.open("probabilities.npy", "w") as entry:
            np.lib.format.write_array_header_1_0(
                entry, {"descr": "<f8", "fortran_order": False, "shape": (2, 5000, 5000, 5000)}
            )
            entry.write(b"1234")
    (row,) = calibration_rows(pair, [(1,)], ScoringOptions())
    assert "belong to another prediction" in row["calibration_problem"]


def test_a_folder_without_any_probabilities_is_refused(pair, tmp_path):
    (tmp_path / "other").mkdir()
    pairing = Pairing((pair,), (), ())
    with pytest.raises(UserError, match=r"`probabilities` .*other has no CASE.npz for any of the 1 cases"):
        with_probabilities(pairing, tmp_path / "other")
