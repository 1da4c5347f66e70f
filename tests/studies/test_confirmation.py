"""What a training found against its own validation, by hand."""

import pandas as pd
import pytest

from studies.real.confirmation import confirmation_summary, confirmations
from studies.real.results import patient_numbers, write_result

PATIENTS = pd.DataFrame(
    {"age": ["old", "old", "young", "young", None], "sex": ["F", "M", "F", "M", "F"]},
    index=["p1", "p2", "p3", "p4", "p5"],
    dtype=object,
)


def note(results, name: str, dsc: dict[str, float], subgroup: str | None, probability: float) -> None:
    numbers = patient_numbers(list(PATIENTS.index))
    cases = pd.DataFrame({"patient": numbers[list(dsc)].to_numpy(), "image": 1, "dsc": dsc.values(), "norm_hd": 0.1})
    told = {"method": name.split("-")[1], "top_subgroup": subgroup, "top_probability": probability, "top_share": 1.0}
    write_result(results, name, cases, told)


def test_the_subgroup_is_looked_for_in_the_runs_own_validation(tmp_path):
    note(tmp_path, "folds-stock-seed0-fold0", {"p1": 0.5, "p3": 0.8, "p4": 0.7}, "age=old", 0.9)
    note(tmp_path, "folds-stock-seed0-fold1", {"p2": 0.9, "p5": 0.6}, "age=(missing), sex=F", 0.7)
    note(tmp_path, "folds-stock-seed1-fold1", {"p2": 0.5, "p5": 0.6}, "age=(missing)", 0.6)
    note(tmp_path, "folds-stock-seed1-fold0", {"p3": 0.8, "p4": 0.7}, "age=old", 0.2)  # nobody is in it
    note(tmp_path, "folds-sampling-seed0-fold0", {"p1": 0.5, "p3": 0.8, "p4": 0.7}, None, 0.0)
    note(tmp_path, "folds-dro-seed0-fold0", {"p1": 0.5, "p3": 0.8, "p4": 0.7}, "age=old", 0.9)  # is not tested
    rows = confirmations(PATIENTS, ("age", "sex"), tmp_path).set_index("run")
    assert len(rows) == 4
    first = rows.loc["folds-stock-seed0-fold0"]
    assert (first["n"], first["n_others"]) == (1, 2) and first["difference"] == pytest.approx(-0.25)
    assert rows.loc["folds-stock-seed0-fold1", "difference"] == pytest.approx(-0.3)
    assert pd.isna(rows.loc["folds-stock-seed1-fold0", "difference"])
    summary = confirmation_summary(rows.reset_index()).to_dict("records")
    assert len(summary) == 1
    told = (summary[0]["method"], summary[0]["sure"], summary[0]["n_runs"], summary[0]["n_confirmed"])
    assert told == ("stock", True, 3, 2)
    assert summary[0]["difference"] == pytest.approx((-0.25 - 0.3 + 0.1) / 3) and summary[0]["n_patients"] == 3
