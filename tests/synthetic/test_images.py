from __future__ import annotations

import numpy as np
import pytest

from nnunet_fair.synthetic.disparity import Appearance
from nnunet_fair.synthetic.images import Scan, enhancement, simulate


def scan(**changes) -> Scan:
    options = {
        "shape": (16, 40, 40),
        "spacing": (4.0, 1.4, 1.4),
        "sagittal": False,
        "bilateral": False,
        "times": (0, 110, 200, 290),
        "density": "b",
        "multifocal": False,
    }
    return Scan(**{**options, **changes})


def test_enhancement_by_hand():
    assert enhancement(1.5, 3, 0.1, 0) == 0
    # 1.5·(1 − e^−3)·e^−0.1 after one minute
    assert enhancement(1.5, 3, 0.1, 60) == pytest.approx(1.5 * (1 - 0.0497870684) * 0.9048374180)


@pytest.mark.parametrize("slices", [16, 24])
def test_sagittal_volumes_have_their_slices_across(slices):
    case = simulate(scan(sagittal=True, shape=(slices, 40, 32)), Appearance(), np.random.default_rng(0))
    assert case.phases.shape == (4, slices, 40, 32)
    assert case.label.shape == (slices, 40, 32)
    # columns run from air in front of the breast to the chest wall
    profile = case.phases[0].mean(axis=(0, 1))
    assert profile[0] < 0.2 * profile[-1]
    (_, _, (front, back)) = case.box
    assert front < back < 32


def test_the_box_holds_the_breast_with_the_lesion_and_not_the_other():
    for seed in range(6):
        case = simulate(scan(bilateral=True, shape=(16, 48, 64)), Appearance(), np.random.default_rng(seed))
        inside = case.label[tuple(slice(*side) for side in case.box)]
        assert inside.sum() == case.label.sum() > 0
        left, right = case.box[2]
        assert right <= 34 or left >= 30


@pytest.mark.parametrize(
    ("appearance", "changes"),
    [
        (Appearance(enhancement=0.5), "uptake"),
        (Appearance(radius=0.5), "volume"),
        (Appearance(noise=3.0), "noise"),
    ],
    ids=["enhancement", "radius", "noise"],
)
def test_one_factor_changes_one_thing(appearance, changes):
    ratios = {"uptake": [], "volume": [], "noise": []}
    for seed in range(4):
        plain = simulate(scan(), Appearance(), np.random.default_rng(seed))
        other = simulate(scan(), appearance, np.random.default_rng(seed))
        core = (plain.label & other.label).astype(bool)
        uptake = [(case.phases[1].astype(float) - case.phases[0])[core].mean() for case in (plain, other)]
        air = [case.phases[0][:, 0].astype(float).std() for case in (plain, other)]
        ratios["uptake"].append(uptake[1] / uptake[0])
        ratios["volume"].append(other.label.sum() / plain.label.sum())
        ratios["noise"].append(air[1] / air[0])
    expected = {"uptake": 0.5, "volume": 0.125, "noise": 3.0}
    for name, found in ratios.items():
        if name == changes:
            assert np.mean(found) == pytest.approx(expected[name], rel=0.2)
        elif (changes, name) != ("volume", "uptake"):  # small lesions are blurred with their surroundings
            assert np.mean(found) == pytest.approx(1, abs=0.15)


def test_slow_lesions_rise_where_others_wash_out():
    late_minus_early = {slow: [] for slow in (True, False)}
    for seed in range(8):
        for slow in (True, False):
            case = simulate(scan(), Appearance(slow=slow), np.random.default_rng(seed))
            signal = case.phases[:, case.label == 1].astype(float).mean(axis=1)
            late_minus_early[slow].append((signal[3] - signal[1]) / (signal[1] - signal[0]))
    assert min(late_minus_early[True]) > 0
    assert np.mean(late_minus_early[False]) < 0.05
