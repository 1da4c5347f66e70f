from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.metadata.mama_mia import build_attributes
from nnunet_fair.synthetic.disparity import DISPARITIES, Appearance, appearance, group_definition, strata
from nnunet_fair.synthetic.patients import draw_patients

N = 1506


def draw(n_cases: int = N, **changes):
    options = {
        "seed": 0,
        "disparity": "distinct",
        "group_fraction": 0.2,
        "test_fraction": 0.2,
        "missing": "real",
        "missing_rate": 0.25,
    }
    return list(draw_patients(n_cases, **{**options, **changes}))


@pytest.fixture(scope="module")
def patients():
    return draw()


def test_case_ids_are_unique(patients):
    assert len({patient.case_id for patient in patients}) == N


@pytest.mark.parametrize(
    ("column", "rate"),
    # shares of missing values in the published table of 1506 patients
    [("menopause", 408 / 1506), ("breast_density", 1446 / 1506), ("age", 3 / 1506), ("multifocal_cancer", 160 / 1506)],
)
def test_missing_values_at_the_published_rates(patients, column, rate):
    found = sum(column in patient.missing for patient in patients) / N
    assert found == pytest.approx(rate, abs=0.02)


def test_centres_at_the_published_shares(patients):
    counts = pd.Series([patient.centre for patient in patients]).value_counts()
    for centre, published in {"ISPY2": 980, "DUKE": 291, "ISPY1": 171, "NACT": 64}.items():
        assert counts[centre] == pytest.approx(published, abs=3)


@pytest.mark.parametrize("kind", DISPARITIES)
def test_the_definition_holds_for_members_only(kind):
    patients = draw(400, disparity=kind)
    truth = build_attributes(pd.DataFrame([p.values for p in patients], index=[p.case_id for p in patients]))
    definition = group_definition(kind)
    fits = (truth[list(definition)] == pd.Series(definition)).all(axis=1)
    assert fits.tolist() == [patient.stratum.in_group for patient in patients]
    assert fits.sum() == 80
    assert sum(p.is_test for p in patients if p.stratum.in_group) == pytest.approx(16, abs=1)


@pytest.mark.parametrize("group_fraction", [0.05, 0.15, 0.3])
def test_intersection_disadvantages_no_single_attribute(group_fraction):
    parts = strata("intersection", group_fraction)
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert [part.difficulty for part in parts if part.in_group] == [1]
    for attribute in ("postmenopausal", "dense"):
        for value in (True, False):
            marginal = sum(part.share * part.difficulty for part in parts if getattr(part, attribute) == value)
            assert marginal == pytest.approx(0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("distinct", Appearance(0.5, 0.85, slow=True, parenchyma=0.5)),
        ("small", Appearance(radius=0.5)),
        ("noise", Appearance(noise=3)),
        ("balanced", Appearance()),
        ("intersection", Appearance(0.5, 0.85)),
    ],
)
def test_appearance_of_the_group(kind, expected):
    group, *others = strata(kind, 0.2)
    assert appearance(kind, group, 1.0) == expected
    assert appearance(kind, group, 0.0) == Appearance()
    if kind != "intersection":
        assert appearance(kind, others[0], 1.0) == Appearance()


@pytest.mark.parametrize("kind", ["none", "random", "not-at-random"])
def test_ways_of_going_missing(kind):
    patients = draw(missing=kind, missing_rate=0.2)
    hidden = {
        member: np.mean(
            [
                len(p.missing & {"age", "menopause", "breast_density"}) / 3
                for p in patients
                if p.stratum.in_group == member
            ]
        )
        for member in (True, False)
    }
    # not at random: members 2.5 × 0.2, the others so that the mean stays 0.2
    expected = {"none": (0, 0), "random": (0.2, 0.2), "not-at-random": (0.5, 0.125)}[kind]
    assert (hidden[True], hidden[False]) == pytest.approx(expected, abs=0.03)
