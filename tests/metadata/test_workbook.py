from __future__ import annotations

import datetime
import re
import zipfile

import openpyxl
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata import workbook as module
from nnunet_fair.metadata.attributes import AttributeSpec, group_values
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.cells import text_value

ROWS = [["case_id", "age", "site"], ["P1", 40, "A"], ["P2", 50.5, "B"], ["P3", None, "B"]]


def save(path, rows=ROWS, **sheets):
    """A workbook of sheets by name; ``rows`` alone makes one."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, content in (sheets or {"Sheet": rows}).items():
        sheet = workbook.create_sheet(name)
        for row in content:
            sheet.append(row)
    workbook.save(path)
    return workbook


def rewrite(path, part: str, old: str, new: str):
    """The file with one text of one part replaced."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    assert old in parts[part].decode()
    parts[part] = parts[part].decode().replace(old, new).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_values_keep_their_kind(tmp_path):
    save(tmp_path / "t.xlsx")
    frame = read_case_table(tmp_path / "t.xlsx").frame
    assert frame["age"].tolist()[:2] == [40, 50.5] and frame["age"].isna()["P3"]


def test_dates_times_and_truth_are_text_not_numbers(tmp_path):
    born = [datetime.datetime(1960 + k, 5, 1) for k in range(3)]
    rows = [["case_id", "born", "seen", "took", "ill"]]
    rows += [[f"P{k}", born[k], datetime.time(9, k), datetime.timedelta(minutes=k + 1), bool(k % 2)] for k in range(3)]
    save(tmp_path / "t.xlsx", rows)
    frame = read_case_table(tmp_path / "t.xlsx").frame
    assert frame["born"].tolist() == ["1960-05-01", "1961-05-01", "1962-05-01"] and frame["ill"]["P1"] == "True"
    for column in ("born", "seen", "took", "ill"):
        with pytest.raises(UserError, match=f"'{column}': 3 of 3 values are not numbers.*'P0'"):
            group_values(frame[column], AttributeSpec(column, n_quantiles=2))


def test_the_sheet_of_the_patients_is_found_or_asked_for(tmp_path):
    readme = [["This table was exported."], ["Ask the registry."]]
    save(tmp_path / "t.xlsx", README=readme, patients=ROWS)
    table = read_case_table(tmp_path / "t.xlsx")
    assert len(table.frame) == 3 and any("sheet 'patients' of 2 is read" in note for note in table.notes)
    save(tmp_path / "two.xlsx", first=ROWS, second=ROWS[:2])
    with pytest.raises(UserError, match=r"'first', 'second'.*several of them name an ID column.*`sheet`"):
        read_case_table(tmp_path / "two.xlsx")
    assert len(read_case_table(tmp_path / "two.xlsx", sheet="second").frame) == 1
    assert len(read_case_table(tmp_path / "two.xlsx", sheet="1").frame) == 3
    with pytest.raises(UserError, match="no sheet 'third'"):
        read_case_table(tmp_path / "two.xlsx", sheet="third")
    with pytest.raises(UserError, match=r"belong to \.xlsx"):
        (tmp_path / "t.csv").write_text("id\n1\n")
        read_case_table(tmp_path / "t.csv", sheet="1")


def test_merged_cells_are_said_and_filled_on_demand(tmp_path):
    workbook = save(tmp_path / "t.xlsx", [["case_id", "site"], ["P1", "A"], ["P2", None], ["P3", None], ["P4", "B"]])
    workbook["Sheet"].merge_cells("B2:B4")
    workbook.save(tmp_path / "t.xlsx")
    table = read_case_table(tmp_path / "t.xlsx")
    assert table.frame["site"].isna().tolist() == [False, True, True, False]
    assert any("merged cells in column 'site': 2 rows below the first have no value" in note for note in table.notes)
    assert read_case_table(tmp_path / "t.xlsx", fill_merged=True).frame["site"].tolist() == ["A", "A", "A", "B"]


def test_formulas_errors_and_made_up_dates_refuse_when_asked_for(tmp_path):
    rows = [
        ["case_id", "sum", "ratio", "grade", "fine", "na"],
        ["P1", "=1+1", "#DIV/0!", "6-10", 1, "#N/A"],
        ["P2", 3, 2, datetime.datetime(2024, 5, 1), 2, 4],
    ]
    save(tmp_path / "t.xlsx", rows)
    frame = read_case_table(tmp_path / "t.xlsx").frame
    assert frame["fine"].tolist() == [1, 2] and frame["na"].isna().tolist() == [True, False]
    for column, message in {
        "sum": "row 2, column 'sum': a formula without a value; open the workbook in Excel",
        "ratio": "row 2, column 'ratio': Excel's error #DIV/0!",
        "grade": "row 3, column 'grade': the date 2024-05-01.* among values that are no dates",
    }.items():
        with pytest.raises(UserError, match=message):
            frame[column].map(text_value)
        with pytest.raises(UserError, match=message):
            group_values(frame[column], AttributeSpec(column, n_quantiles=2))


def test_a_formula_with_its_value_is_a_value(tmp_path):
    save(tmp_path / "t.xlsx", [["case_id", "n"], ["P1", "=1+1"]])
    rewrite(tmp_path / "t.xlsx", "xl/worksheets/sheet1.xml", "<v />", "<v>2</v>")
    assert read_case_table(tmp_path / "t.xlsx").frame.loc["P1", "n"] == 2


def test_ids_shown_with_zeros_keep_them(tmp_path):
    workbook = save(tmp_path / "t.xlsx", [["case_id", "sex"], [95, "f"], [106, "m"]])
    for cell in workbook["Sheet"]["A"]:
        cell.number_format = "000"
    workbook.save(tmp_path / "t.xlsx")
    assert read_case_table(tmp_path / "t.xlsx").frame.index.tolist() == ["095", "106"]


def test_names_below_titles(tmp_path):
    rows = [["Patient Information", "Imaging", None], ["Patient ID", "Days to MRI", "Menopause"], ["P1", 6, 0]]
    workbook = save(tmp_path / "t.xlsx", rows)
    workbook["Sheet"].merge_cells("B1:C1")
    workbook.save(tmp_path / "t.xlsx")
    assert read_case_table(tmp_path / "t.xlsx").frame.loc["P1", "Menopause"] == 0
    with pytest.raises(UserError, match=r"row 2 looks like the names of the columns.*`header_row` 2"):
        read_case_table(tmp_path / "t.xlsx", "Patient Information")


def test_a_claimed_size_costs_nothing(tmp_path):
    save(tmp_path / "t.xlsx")
    part = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(tmp_path / "t.xlsx") as archive:
        claim = re.search(r'<dimension ref="[^"]+"', archive.read(part).decode())[0]
    rewrite(tmp_path / "t.xlsx", part, claim, '<dimension ref="A1:XFD1048576"')
    assert len(read_case_table(tmp_path / "t.xlsx").frame) == 3


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    workbook = save(tmp_path / "far.xlsx")
    workbook["Sheet"]["XFD9"] = 1
    workbook.save(tmp_path / "far.xlsx")
    with pytest.raises(UserError, match="a cell XFD9; at most 5,000 columns"):
        read_case_table(tmp_path / "far.xlsx")
    save(tmp_path / "t.xlsx")
    monkeypatch.setattr(module, "MAX_CELLS", 5)
    with pytest.raises(UserError, match="more than 5 cells"):
        read_case_table(tmp_path / "t.xlsx")
    monkeypatch.setattr(module, "MAX_UNPACKED", 2**10)
    with pytest.raises(UserError, match=r"unpacks to .* MiB"):
        read_case_table(tmp_path / "t.xlsx")


def test_damaged_workbooks_end_in_one_sentence(tmp_path):
    save(tmp_path / "t.xlsx")
    whole = (tmp_path / "t.xlsx").read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / "d.xlsx").write_bytes(whole[:cut] + b"\0" * 40 + whole[cut + 40 :])
        try:
            assert len(read_case_table(tmp_path / "d.xlsx").frame) == 3
        except UserError as error:
            assert "\n" not in str(error)
    (tmp_path / "d.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100)
    with pytest.raises(UserError, match=r"protected by a password, or an old \.xls"):
        read_case_table(tmp_path / "d.xlsx")
