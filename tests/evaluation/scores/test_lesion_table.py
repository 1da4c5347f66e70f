"""Lesions by subgroup and size."""

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.metrics.lesions import PREDICTION, REFERENCE, equivalent_diameter
from nnunet_fair.evaluation.metrics.options import IOU
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.lesion_table import (
    ALL_SIZES,
    FEW_PATIENTS,
    NO_LESION,
    NO_SPREAD,
    lesion_table,
    size_classes,
)
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals
from nnunet_fair.subgroups.options import SubgroupOptions


def lesion(case_id, kind, volume, found, *, iou=None, dsc=0.5):
    best = (0.5 if found else 0.0) if iou is None else iou
    return {
        "case_id": case_id,
        "kind": kind,
        "lesion": 1,
        "volume_mm3": float(volume),
        "diameter_mm": equivalent_diameter(volume),
        "touches": found,
        "best_iou": best,
        "matched_iou": best if best >= 0.1 else np.nan,
        "dsc": (dsc if found else 0.0) if kind == REFERENCE else np.nan,
    }


def cohort(site: str, **options) -> ScoredCohort:
    index = [f"p{i}" for i in range(len(site))]
    cases = pd.DataFrame({"dsc": 0.5, "norm_hd": 0.1}, index=index)
    frame = pd.DataFrame({"site": list(site)}, index=index, dtype=object)
    return ScoredCohort.of(cases, frame, options=SubgroupOptions(min_group=2, n_resamples=300, **options))


LESIONS = pd.DataFrame(
    [
        lesion("p0", REFERENCE, 6000, True, dsc=0.8),
        lesion("p0", REFERENCE, 500, False),
        lesion("p0", PREDICTION, 5000, True),
        lesion("p0", PREDICTION, 300, False),
        lesion("p0", PREDICTION, 1500, False),
        lesion("p1", REFERENCE, 2000, True, iou=0.05, dsc=0.2),
        lesion("p1", PREDICTION, 9000, True, iou=0.05),
        lesion("p2", REFERENCE, 400, True, dsc=0.6),
        lesion("p2", PREDICTION, 400, True),
        lesion("p3", REFERENCE, 900, False),
        lesion("elsewhere", REFERENCE, 900, True),
    ]
)


def rows(size=ALL_SIZES, **options) -> pd.DataFrame:
    table = lesion_table(cohort("aabb"), LESIONS, **options)
    return table[table["size"] == size].set_index("subgroup")


def test_worked_out_by_hand():
    whole = rows().loc["all"]
    assert whole[["n", "n_with", "n_lesions", "n_found", "n_false"]].tolist() == [4, 4, 5, 3, 2]
    assert whole["sensitivity"] == pytest.approx(3 / 5)
    assert whole["precision"] == pytest.approx(3 / (3 + 2))
    assert whole["f1"] == pytest.approx(2 * 3 / (2 * 3 + 2 + 2))
    assert whole["lesion_dsc"] == pytest.approx((0.8 + 0.2 + 0.6) / (5 + 2))
    assert whole["false_per_case"] == pytest.approx(2 / 4)
    of_a = rows().loc["site=a"]
    assert of_a[["n_lesions", "n_found", "n_false"]].tolist() == [3, 2, 2]


def test_a_false_lesion_has_its_own_size():
    small, middle, large = rows("< 1 mL"), rows("1 to 5 mL"), rows("≥ 5 mL")
    assert small.loc["all", ["n_lesions", "n_found", "n_false"]].tolist() == [3, 1, 1]
    assert middle.loc["all", ["n_lesions", "n_found", "n_false"]].tolist() == [1, 1, 1]
    assert large.loc["all", ["n_lesions", "n_found", "n_false"]].tolist() == [1, 1, 0]
    assert sum(len(part) for part in (small, middle, large)) == 9


def test_thirds_and_diameters_hold_every_lesion_once():
    table = lesion_table(cohort("aabb"), LESIONS)
    whole = table[table["subgroup"] == "all"].set_index("size")["n_lesions"]
    assert len(whole) == 9
    thirds = [name for name in whole.index if "third" in name]
    assert whole[thirds].sum() == whole["< 10 mm"] + whole["≥ 10 mm"] == 5
    assert whole["< 10 mm"] == 2  # up to 524 mm³


def test_the_rule_decides_what_is_found():
    assert rows(matching=IOU).loc["all", ["n_found", "n_false"]].tolist() == [2, 3]


def test_intervals_draw_patients_and_keep_their_lesions_together():
    found, all_of, n = np.array([1.0, 1, 1, 0]), np.array([2.0, 1, 1, 1]), 4
    expected = bootstrap_intervals(lambda w: (w @ found / (w @ all_of))[:, None], n, n_resamples=300).ends()[0]
    row = rows().loc["all"]
    assert (row["sensitivity_low"], row["sensitivity_high"]) == pytest.approx(tuple(expected))


def test_what_cannot_be_estimated_is_said_and_never_perfect():
    large, small = rows("≥ 5 mL"), rows()
    assert large.loc["site=b", "note"] == NO_LESION and np.isnan(large.loc["site=b", "sensitivity"])
    assert large.loc["site=a", "note"] == FEW_PATIENTS and large.loc["site=a", "sensitivity"] == 1
    assert np.isnan(large.loc["site=a", "sensitivity_low"])
    perfect = pd.DataFrame([lesion(f"p{i}", REFERENCE, 2000, True) for i in range(4)])
    table = lesion_table(cohort("aabb"), perfect)
    assert table.loc[0, "sensitivity"] == 1 and table.loc[0, "note"] == NO_SPREAD
    assert np.isnan(table.loc[0, "sensitivity_low"]) and table.loc[0, "false_per_case"] == 0
    assert np.isnan(small.loc["site=b", "precision_low"])  # one found and none false: nothing to estimate it from


def test_lesions_of_other_cases_are_not_counted():
    assert lesion_table(cohort("ab"), LESIONS[LESIONS["case_id"] == "elsewhere"]).empty


def test_areas_have_no_millilitres():
    flat = LESIONS.assign(diameter_mm=[equivalent_diameter(v, 2) for v in LESIONS["volume_mm3"]])
    names = [size.name for size in size_classes(flat)]
    assert not any("mL" in name for name in names) and any("mm²" in name for name in names)
