"""The study of the joint trainer: its arithmetic; the study itself is no test."""

import pandas as pd
import pytest

from benchmarks.effect.cohorts import KINDS
from benchmarks.joint.runs import halves
from benchmarks.joint.summary import all_scores, run_scores, summarise


def test_its_patients_respond_by_enhancement_and_all_take_part():
    assert KINDS["response"].response == "enhancement"
    assert KINDS["response"].test_fraction == 0
    assert list(KINDS)[-1] == "response"  # the others keep their dataset numbers


def test_each_half_has_as_many_responses_and_learns_from_the_other():
    outcome = pd.Series({f"C{number}": float(number < 4) for number in range(10)})
    first, second = halves(list(outcome.index), outcome, 3)
    assert first["val"] == second["train"] and first["train"] == second["val"]
    assert sorted(first["val"] + second["val"]) == sorted(outcome.index)
    assert outcome[first["val"]].sum() == outcome[second["val"]].sum() == 2
    assert halves(list(outcome.index)[::-1], outcome, 3)[0] == first
    assert halves(list(outcome.index), outcome, 4)[0] != first


ROWS = pd.DataFrame(
    {
        "fold": [0, 0, 0, 0, 1, 1],
        "pcr": [1, 1, 0, 0, 1, 0],
        "dsc": [0.8, 0.6, 0.0, 0.6, 0.5, 0.5],
        # fold 0: 0.9 and the mean 0.6 of the case without against 0.3 and 0.6: 3½ of 4 pairs; fold 1: the wrong way
        "head": [0.9, None, 0.3, 0.6, 0.1, 0.2],
        "head decision": [1, None, 0, 1, 0, 0],
        "lesion features": [0.9, 0.8, 0.1, 0.2, 0.9, 0.1],
    }
)


def test_scores_of_a_run_by_hand():
    found = run_scores(ROWS)
    assert found["dsc"] == pytest.approx(0.5) and found["missed"] == 1
    assert found["head"] == pytest.approx((3.5 / 4 + 0) / 2)
    assert found["lesion features"] == 1
    assert found["balanced accuracy"] == pytest.approx((1 / 3 + 2 / 3) / 2)  # unknown counts as no response
    assert found["mean probability"] == pytest.approx(0.42) and found["without probability"] == 1


def test_differences_are_paired_by_seed_and_unfinished_seeds_wait(tmp_path):
    for arm, seed, more in (
        ("stock", 0, 0.1),
        ("joint", 0, 0.2),
        ("stock", 1, 0.0),
        ("joint", 1, 0.3),
        ("stock", 2, 0.0),
    ):
        rows = ROWS.assign(dsc=ROWS["dsc"] / 2 + more)
        if arm == "stock":
            rows = rows.drop(columns=["head", "head decision"])
        rows.to_csv(tmp_path / f"{arm}_{seed}.csv", index=False)
    assert len(all_scores(tmp_path)) == 5
    lines = list(summarise(tmp_path))
    assert "mean and 95 % interval over 2 seeds" in lines
    # +0.1 and +0.3: mean 0.2, and Student's 12.706 · 0.1 to either side
    assert "- joint, dsc − stock, dsc: +0.200 (-1.071 to +1.471)" in lines
    assert list(summarise(tmp_path / "nothing")) == ["no run is done yet"]
