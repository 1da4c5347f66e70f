"""Enhancement features against hand-worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_fair.pcr.kinetics import KINETIC_FEATURES, chosen_phases, kinetic_features

SPACING = (1.0, 1.0, 1.0)
LESION = np.pad(np.ones((1, 1, 4), dtype=bool), 1)


def volume(values) -> np.ndarray:
    """Four lesion voxels in a row, and background that must not matter."""
    array = np.full(LESION.shape, 977.0)
    array[LESION] = values
    return array


def test_hand_worked_numbers():
    pre = volume([100, 100, 200, 200])
    post = {
        "first": volume([150, 200, 300, 500]),  # enhancement 0.5, 1, 0.5, 1.5
        "second": volume([200, 250, 400, 600]),  # 1, 1.5, 1, 2
        "last": volume([150, 170, 315, 600]),  # 0.5, 0.7, 0.575, 2
    }
    found = kinetic_features(pre, post, LESION, SPACING)
    assert tuple(found) == KINETIC_FEATURES
    assert found["enhancement_first_mean"] == pytest.approx(0.875)
    assert found["enhancement_first_sd"] == pytest.approx(math.sqrt(0.171875))
    assert found["enhancement_first_p10"] == pytest.approx(0.5)  # between the two lowest
    assert found["enhancement_first_p90"] == pytest.approx(1.35)
    deviations = np.array([0.5, 1, 0.5, 1.5]) - 0.875
    assert found["enhancement_first_skew"] == pytest.approx((deviations**3).mean() / 0.171875**1.5)
    assert found["enhancement_second_mean"] == pytest.approx(1.375)
    assert found["enhancement_last_mean"] == pytest.approx(0.94375)
    assert found["peak_enhancement"] == pytest.approx(1.375)
    assert found["wash_in"] == pytest.approx(0.875 / 1.375)
    # from the first to the last phase: 0, −0.15, +0.05, +0.2
    assert found["wash_out"] == pytest.approx(0.025)
    assert found["plateau_share"] == pytest.approx(0.5)
    assert found["wash_out_share"] == pytest.approx(0.25)
    assert found["rim_enhancement"] == pytest.approx(0.875)  # one voxel thick: all rim
    assert math.isnan(found["core_minus_rim"])


def test_rim_and_core_are_told_apart_in_mm():
    lesion = np.pad(np.ones((7, 9, 9), dtype=bool), 2)
    core = np.zeros_like(lesion)
    core[3:8, 5:8, 5:8] = True  # deeper than 2 mm: two slices of 1.5 mm, three voxels of 1 mm
    core[3, :, :] = core[7, :, :] = False
    core[3:8, 4:9, 4:9] |= np.pad(np.ones((5, 5, 5), dtype=bool), 0)
    pre = np.full(lesion.shape, 100.0)
    post = np.where(core, 250.0, 150.0)
    found = kinetic_features(pre, dict.fromkeys(("first", "second", "last"), post), lesion, (1.5, 1.0, 1.0))
    assert found["rim_enhancement"] == pytest.approx(0.5)
    assert found["core_minus_rim"] == pytest.approx(1.0)


def test_a_lesion_of_one_signal_has_no_skew_and_one_without_enhancement_no_wash_in():
    flat = volume(100)
    found = kinetic_features(flat, dict.fromkeys(("first", "second", "last"), flat), LESION, SPACING)
    assert found["enhancement_first_mean"] == found["peak_enhancement"] == found["enhancement_first_sd"] == 0
    assert math.isnan(found["enhancement_first_skew"])
    assert math.isnan(found["wash_in"])
    assert found["plateau_share"] == 1


@settings(max_examples=20)
@given(st.floats(0.01, 1000), st.integers(0, 2**31))
def test_the_scanners_gain_does_not_matter(gain, seed):
    rng = np.random.default_rng(seed)
    pre = volume(rng.uniform(50, 150, 4))
    post = {phase: volume(rng.uniform(50, 400, 4)) for phase in ("first", "second", "last")}
    scaled = {phase: array * gain for phase, array in post.items()}
    once, again = (kinetic_features(p, q, LESION, SPACING) for p, q in ((pre, post), (pre * gain, scaled)))
    assert again == pytest.approx(once, rel=1e-9, abs=1e-9, nan_ok=True)


def test_a_voxel_without_signal_does_not_enhance_without_bound():
    post = volume([200, 200, 200, 200])
    found = kinetic_features(
        volume([0, 100, 100, 200]), dict.fromkeys(("first", "second", "last"), post), LESION, SPACING
    )
    assert found["enhancement_first_p90"] <= 200 / 10  # the mean signal is 100, a tenth of it 10


def test_an_image_whose_signal_is_not_positive_is_no_phase():
    normalised = volume([-1, 0, 0.5, 0.5])
    with pytest.raises(ValueError, match="mean signal is 0"):
        kinetic_features(normalised, dict.fromkeys(("first", "second", "last"), volume(1.0)), LESION, SPACING)


@pytest.mark.parametrize(
    ("numbers", "expected"), [([1], (1, 1, 1)), ([1, 2], (1, 2, 2)), ([1, 2, 3, 7], (1, 2, 7)), ([2, 4], (2, 4, 4))]
)
def test_which_phases_are_taken(numbers, expected):
    assert tuple(chosen_phases(numbers).values()) == expected
