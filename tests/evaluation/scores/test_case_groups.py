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


def test_many_groups_keep_the_large_ones_and_pool_the_rest(tmp_path):
    """Sites 0 and 1 have 12 cases each, the 24 others one or two: 30 cases."""
    sites = [f"S{k}" for k in range(2) for _ in range(12)] + [f"T{k}" for k in range(24)] + [f"T{k}" for k in range(6)]
    cases = [f"P{k:03d}" for k in range(len(sites))]
    ages = ["0-40", "41-50"] * (len(cases) // 2)
    table = pd.DataFrame({"case_id": cases, "age": ages, "site": sites, "uid": cases})
    path = _write(table, tmp_path / "fair_cases.csv")
    groups = read_case_groups(path, cases, min_group=10)
    assert groups.frame["site"].value_counts().to_dict() == {"other (24 groups)": 30, "S0": 12, "S1": 12}
    assert "uid" not in groups.frame
    notes = " ".join(groups.notes)
    assert "site: 24 of 26 groups have fewer than 10 cases and are one group, 'other (24 groups)', with 30" in notes
    assert "uid is left out: it has 54 groups, none of them with 10 cases" in notes
    assert read_case_groups(path, cases, min_group=1).frame["site"].nunique() == 26
    named = read_case_groups(path, cases, variables=["site"], attributes=["age"])
    assert named.frame["site"].nunique() == 3 and named.variables == ("site",)


def test_one_attribute_of_single_cases_says_why_there_is_nothing_to_score(tmp_path):
    cases = [f"P{k:03d}" for k in range(24)]
    path = _write(pd.DataFrame({"case_id": cases, "site": [f"S{k}" for k in range(24)]}), tmp_path / "fair_cases.csv")
    with pytest.raises(UserError, match="site is left out: it has 24 groups, none of them with 10 cases"):
        read_case_groups(path, cases)


def test_ages_as_people_write_them_are_the_challenges_groups(tmp_path):
    for name, ages in {
        "a.csv": ["39,5", "50,5", "71"],
        "b.csv": ["039Y", "050Y", "071Y"],
        "c.csv": ["39 y", "50", "71"],
    }.items():
        pd.DataFrame({"patient_id": CASES, "age": ages}).to_csv(tmp_path / name, index=False, sep=";")
        groups = read_case_groups(tmp_path / name, CASES)
        assert groups.frame["age"].tolist()[::2] == ["0-40", "71+"]
        assert any("is read as 39" in note for note in groups.notes)
    pd.DataFrame({"patient_id": CASES, "age": ["39,5", "41.5", "n.k."]}).to_csv(
        tmp_path / "d.csv", index=False, sep=";"
    )
    with pytest.raises(UserError, match=r"none of the variables .*age is left out: attribute 'age': 2 of 3 values"):
        read_case_groups(tmp_path / "d.csv", CASES)


def test_how_a_raw_table_is_read_can_be_said(tmp_path):
    text = "a registry\nid;visit;age;sex\n7;1;41;9\n7;2;61;f\n"
    (tmp_path / "t.csv").write_text(text)
    reading = TableReading(("id", "visit"), id_join="-", header_row=2, missing_values=("9",))
    groups = read_case_groups(tmp_path / "t.csv", ["7-1", "7-2"], attributes=["sex"], reading=reading)
    assert groups.frame["age"].tolist() == ["41-50", "61-70"] and groups.frame["sex"].isna().tolist() == [True, False]
