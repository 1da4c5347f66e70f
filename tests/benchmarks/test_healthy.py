"""The study of healthy patients: its arithmetic; the study itself is no test."""

import pandas as pd

from benchmarks.effect.cohorts import KINDS as COHORTS
from benchmarks.healthy import KINDS, differences


def test_half_the_patients_of_its_cohorts_are_healthy():
    assert all(COHORTS[kind].healthy == 0.5 for kind in KINDS)
    assert {COHORTS[kind].disparity for kind in KINDS} == {"distinct", "balanced"}


def test_differences_are_paired_by_seed():
    def row(method: str, seed: int, dsc: float) -> dict:
        measured = {"dsc_group": dsc, "dsc_others": 0.8, "dsc": 0.7}
        measured |= {"lesions_missed": 0.2, "healthy_with_false_voxels": 0.1}
        return {"kind": "k", "method": method, "seed": seed, **measured, "weight_healthy": 1.0, "weight_ratio": 2.0}

    rows = pd.DataFrame(
        [row("stock", 0, 0.4), row("stock", 1, 0.5), row("sampling", 1, 0.53), row("sampling", 0, 0.41)]
    )
    (found,) = differences(rows).to_dict("records")
    assert (found["method"], found["seeds"]) == ("sampling", 2)
    # 1 and 3 points: mean 2, and Student's 12.706 · 1 to either side with two seeds
    assert found["dsc_group"] == "+2.0 (-10.7 to +14.7)"
    assert found["dsc_others"].startswith("+0.0")
    assert found["weight_ratio"] == "2.00"
