from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table

ROWS = [{"Patient_ID": "P1", "sex": "f", "age": 41.0}, {"Patient_ID": "P2", "sex": None, "age": 63.0}]


def write_table(tmp_path, kind: str):
    frame = pd.DataFrame(ROWS)
    path = tmp_path / f"table.{kind.partition('-')[0]}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "csv-semicolon":
        path.write_text("Patient_ID;sex;age\nP1;f;41\nP2;;63\n", encoding="utf-8-sig")
    elif kind == "tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif kind == "xlsx":
        frame.to_excel(path, index=False)
    elif kind == "json":
        path.write_text(json.dumps(ROWS))
    elif kind == "json-by-id":
        path.write_text(json.dumps({row["Patient_ID"]: {k: row[k] for k in ("sex", "age")} for row in ROWS}))
    return path


@pytest.mark.parametrize("kind", ["csv", "csv-semicolon", "tsv", "xlsx", "json", "json-by-id"])
def test_reads_every_format(tmp_path, kind):
    table = read_case_table(write_table(tmp_path, kind))
    assert list(table.frame.index) == ["P1", "P2"]
    assert table.frame.loc["P1", "sex"] == "f"
    assert pd.isna(table.frame.loc["P2", "sex"])
    assert float(table.frame.loc["P2", "age"]) == 63
    assert table.n_without_id == 0


def test_ids_keep_their_zeros_and_lose_the_spreadsheet_decimals(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n007,1\n 1001 ,2\n")
    assert list(read_case_table(tmp_path / "a.csv").frame.index) == ["007", "1001"]
    pd.DataFrame({"id": [1001.0, 1002.0], "x": [1, 2]}).to_excel(tmp_path / "a.xlsx", index=False)
    assert list(read_case_table(tmp_path / "a.xlsx").frame.index) == ["1001", "1002"]


def test_rows_without_id_are_dropped_and_counted(tmp_path):
    (tmp_path / "a.csv").write_text("patient_id,pcr\nA,1\n,0.5\nB,0\n   ,0.3\n")
    table = read_case_table(tmp_path / "a.csv")
    assert list(table.frame.index) == ["A", "B"]
    assert table.n_without_id == 2


def test_values_keep_any_character_and_missing_markers_become_nan(tmp_path):
    (tmp_path / "a.csv").write_text('case_id,site\na,"x=1, y"\nb,NA\nc, =\nd,none\n')
    site = read_case_table(tmp_path / "a.csv").frame["site"]
    assert site["a"] == "x=1, y"
    assert pd.isna(site["b"])
    assert site["c"] == "="
    assert site["d"] == "none"


def test_mama_mia_sheet_is_preferred_to_the_first(tmp_path):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as writer:
        pd.DataFrame({"Field": ["age"]}).to_excel(writer, sheet_name="legend", index=False)
        pd.DataFrame({"patient_id": ["A"], "age": [40]}).to_excel(writer, sheet_name="dataset_info", index=False)
    assert read_case_table(tmp_path / "a.xlsx").frame.loc["A", "age"] == 40


@pytest.mark.parametrize(
    ("name", "content", "id_column", "message"),
    [
        pytest.param("a.csv", None, None, "no table at", id="missing file"),
        pytest.param("a.xls", "x", None, "neither .csv", id="unknown format"),
        pytest.param("a.csv", "patient,age\nA,1\n", "patientid", "did you mean 'patient'", id="nearest ID column"),
        pytest.param("a.csv", "name,age\nA,1\n", None, "`id_column`", id="no usual ID column"),
        pytest.param("a.csv", "id,age\nA,1\nB,2\nA,3\n", None, "'A' occurs more than once", id="duplicate ID"),
        pytest.param("a.csv", "id,age\n", None, "no row with an ID", id="header only"),
        pytest.param("a.csv", "", None, "cannot be read", id="empty file"),
        pytest.param("a.csv", "id,age\nA,1,2\n", None, "cannot be read", id="row longer than the header"),
        pytest.param("a.csv", b"id,site\nA,M\x81nchen\n", None, "not UTF-8", id="other encoding"),
        pytest.param("a.xlsx", "id,age\nA,1\n", None, "cannot be opened as a workbook", id="not a workbook"),
        pytest.param("a.json", "{", None, "cannot be read", id="broken JSON"),
        pytest.param("a.json", '{"age": {"A": 1}, "n": 3}', None, "neither a list of records", id="other JSON"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(tmp_path, name, content, id_column, message):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_case_table(tmp_path / name, id_column)
    assert "\n" not in str(caught.value).strip()


def test_match_is_exact_first_then_case_insensitive():
    assert match_cases(["a", "A", "DUKE_001"], ["A", "duke_001", "zzz"]) == {"A": "A", "duke_001": "DUKE_001"}


@pytest.mark.parametrize(
    ("table_ids", "case_ids"),
    [(["AB", "ab"], ["Ab"]), (["AB"], ["ab", "AB"])],
    ids=["a case fits two rows", "two cases fit one row"],
)
def test_ambiguous_matches_are_refused(table_ids, case_ids):
    with pytest.raises(UserError, match="exactly as in the dataset"):
        match_cases(table_ids, case_ids)


@given(st.lists(st.text("abc123_", min_size=1, max_size=5), unique=True, max_size=20))
def test_every_case_finds_its_row_in_upper_case(ids):
    assert match_cases([name.upper() for name in ids], ids) == {name: name.upper() for name in ids}
