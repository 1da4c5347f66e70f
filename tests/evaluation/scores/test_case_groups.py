from __future__ import annotations

import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.case_groups import read_case_groups
from nnunet_fair.metadata.case_table import TableReading

CASES = ["DUKE_001", "DUKE_002", "DUKE_003"]


def _write(frame: pd.DataFrame, path):
    frame.to_csv(path, index=False)
    return path


def test_raw_table_gives_the_official_groups(tmp_path):
    table = pd.DataFrame(
        {
            "patient_id": ["duke_001", "DUKE_002", "DUKE_004"],
            "age": [40, 40.5, 80],
            "menopause": ["peri (6-12 months since LMP)", None, "post"],
            "breast_density": ["a", None, "d"],
        }
    )
    groups = read_case_groups(_write(table, tmp_path / "t.csv"), CASES)
    assert groups.official and groups.variables == ("age", "menopausal_status", "breast_density")
    assert groups.frame.index.tolist() == ["DUKE_001", "DUKE_002"]
    assert groups.frame["age"].tolist() == ["0-40", "41-50"]
    assert groups.frame["menopausal_status"].tolist() == ["pre", "unknown"]
    assert groups.frame["breast_density"].isna().tolist() == [False, True]


def test_fair_cases_brings_its_other_attributes(tmp_path):
    table = pd.DataFrame(
        {"case_id": CASES, "age": ["0-40"] * 3, "menopause": ["pre", "post", None], "site": ["x=1", "y", "NA"]}
    )
    groups = read_case_groups(_write(table, tmp_path / "fair_cases.csv"), CASES)
    assert groups.variables == ("age", "menopausal_status") and not groups.official
    assert groups.frame.columns.tolist() == ["age", "menopausal_status", "site"]
    assert groups.frame["site"].tolist() == ["x=1", "y", "NA"]
    assert any("breast_density is left out" in note for note in groups.notes)


def test_fair_cases_with_another_binning_of_the_age_is_taken_as_it_is(tmp_path):
    table = pd.DataFrame({"case_id": CASES, "age": ["0 to 60", ">60", None], "menopause": "pre", "breast_density": "a"})
    groups = read_case_groups(_write(table, tmp_path / "fair_cases.csv"), CASES)
    assert groups.frame["age"].tolist()[:2] == ["0 to 60", ">60"] and groups.frame["age"].isna()["DUKE_003"]
    assert not groups.official and any("age: the groups are the table's own" in note for note in groups.notes)


def test_fair_cases_of_another_study_is_fair_over_its_own_attributes(tmp_path):
    table = pd.DataFrame({"case_id": CASES, "kind": ["benign", "malignant", "benign"], "empty": [None] * 3})
    groups = read_case_groups(_write(table, tmp_path / "fair_cases.csv"), CASES)
    assert groups.variables == ("kind",) and any("own attributes" in note for note in groups.notes)


def test_named_variables_and_attributes(tmp_path):
    table = pd.DataFrame({"pid": CASES, "site": list("aab"), "scanner": list("xyz")})
    path = _write(table, tmp_path / "t.csv")
    groups = read_case_groups(path, CASES, variables=["site"], attributes=["scanner"], reading=TableReading("pid"))
    assert groups.variables == ("site",) and groups.frame.columns.tolist() == ["site", "scanner"]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"x": CASES, "age": [1, 2, 3]}, {}, "no column with one of the usual ID names"),
        ({"patient_id": ["A", "B", "C"], "age": [1, 2, 3]}, {}, "no row for any of the 3 cases"),
        ({"patient_id": CASES, "height": [1, 2, 3]}, {}, "none of the variables"),
        ({"patient_id": CASES, "age": [1, 2, 3]}, {"variables": ["agee"]}, "agee"),
        ({"patient_id": CASES, "age": [1, 2, 3]}, {"attributes": ["site"]}, "site"),
        ({"patient_id": ["DUKE_001"] * 3, "age": [1, 2, 3]}, {}, "more than once"),
    ],
    ids=["no ID column", "no row", "no variable", "unknown variable", "unknown attribute", "duplicate ID"],
)
def test_tables_that_cannot_serve(tmp_path, table, options, message):
    path = _write(pd.DataFrame(table), tmp_path / "t.csv")
    with pytest.raises(UserError, match=message):
        read_case_groups(path, CASES, **options)


def test_rows_without_an_id_are_counted(tmp_path):
    table = pd.DataFrame({"patient_id": [*CASES, None], "age": [30, 45, 55, 65]})
    groups = read_case_groups(_write(table, tmp_path / "t.csv"), CASES)
    assert any("1 rows of t.csv carry no case ID" in note for note in groups.notes)
