from __future__ import annotations

import openpyxl
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.attributes import parse_attribute
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.cells import text_value
from nnunet_fair.metadata.legend import parse_legend


@pytest.mark.parametrize(
    ("text", "meanings"),
    [
        ("{0 = pre, 1 = post, 2 = N/A}", {0: "pre", 1: "post", 2: "N/A"}),
        ("0=pre,1=post", {0: "pre", 1: "post"}),
        ("0 = no 1 = yes", {0: "no", 1: "yes"}),
        ("0=none, or unknown; 1=one side; -1=not asked", {0: "none, or unknown", 1: "one side", -1: "not asked"}),
        ("GE MEDICAL SYSTEMS=0, SIEMENS=2", {0: "GE MEDICAL SYSTEMS", 2: "SIEMENS"}),
        ("{Aera=0; Trio TIM 3=1}", {0: "Aera", 1: "Trio TIM 3"}),
        ("Menopause (0=pre, 1=post)", {0: "pre", 1: "post"}),
        ("ER 1.5=low, 2.5=high", {1.5: "low", 2.5: "high"}),
        ("0=pre", {}),
        ("a=b, c=d", {}),
        ("0=pre, 0=post", {}),
        ("0=pre, x=1=post", {}),
        ("dose >= 3, 4", {}),
        ("free text", {}),
        (3.0, {}),
    ],
)
def test_what_is_a_legend_and_what_is_none(text, meanings):
    assert parse_legend(text) == meanings


@pytest.fixture
def table(tmp_path):
    book = openpyxl.Workbook()
    rows = [
        ["Patient ID", "Menopause", "Maker", "Side (1=left, 2=right)", "Age"],
        [None, "{0 = pre, 1 = post, 2 = N/A}", "GE=0, SIEMENS=2", None, "years"],
        ["p1", 0, 2, 1, 40],
        ["p2", 1, 0, "2", 50],
        ["p3", 2, 7, None, 60],
    ]
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "table.xlsx")
    return tmp_path / "table.xlsx"


def test_codes_stay_codes_and_the_legend_is_told(table):
    found = read_case_table(table)
    assert found.frame["Menopause"].tolist() == [0, 1, 2] and found.n_without_id == 1
    (note,) = found.notes_on(["Menopause"])
    assert (
        "row 2 says 0 = pre, 1 = post, 2 = N/A; the codes stay as they are, and 2, which means not known, is a" in note
    )
    (note,) = found.notes_on(["Side (1=left, 2=right)"])
    assert "its name says 1 = left, 2 = right" in note and "not known" not in note
    assert found.notes_on(["Age"]) == []


def test_decoded_codes_are_words_and_an_unknown_code_is_refused_where_it_is_used(table):
    found = read_case_table(table, decode=True)
    assert found.frame["Menopause"].tolist()[:2] == ["pre", "post"] and found.frame["Menopause"].isna().tolist()[2]
    assert found.frame["Side (1=left, 2=right)"].tolist()[:2] == ["left", "right"]
    assert found.frame["Age"].tolist() == [40, 50, 60]
    assert text_value(found.frame.loc["p1", "Maker"]) == "SIEMENS"
    with pytest.raises(UserError, match=r"row 5, column 'Maker': 7 is not in the legend \(0 = GE, 2 = SIEMENS\)"):
        text_value(found.frame.loc["p3", "Maker"])
    name = "Side (1=left, 2=right)"
    assert parse_attribute(name, found.frame.columns).name == name
