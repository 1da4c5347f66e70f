from __future__ import annotations

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.text_table import split_line

PLAIN = "case_id,age,site\nP1,40,A\nP2,50,B\n"


def read(tmp_path, content: str | bytes, name: str = "t.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_case_table(path, **options)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", PLAIN),
        ("t.csv", PLAIN.replace(",", ";")),
        ("t.csv", PLAIN.replace(",", "\t")),
        ("t.csv", PLAIN.replace(",", "|")),
        ("t.txt", PLAIN),
        ("t.tsv", PLAIN.replace(",", ";")),
        ("t.csv", "sep=;\n" + PLAIN.replace(",", ";")),
        ("t.csv", PLAIN.encode("utf-8-sig")),
        ("t.csv", PLAIN.encode("utf-16")),
        ("t.csv", PLAIN.replace("\n", "\r\n")),
        ("t.csv", PLAIN.replace("\n", "\r")),
        ("t.csv", "# by the registry\n#\n" + PLAIN),
        ("t.csv", "Cohort A;2024;;\n" + PLAIN),
        ("t.csv", PLAIN.replace("\n", "\n\n")),
        ("t.csv", PLAIN + "# end of table\n"),
        ("t.csv", PLAIN.replace("\n", ",\n")),
        ("t.csv", PLAIN.replace("0,", "0.0,")),
        ("t.csv", '"case_id","age","site"\n"P1","40","A"\n"P2","50","B"\n'),
    ],
    ids=[
        *("comma", "semicolon", "tab in csv", "bar", "comma in txt", "semicolon in tsv", "sep=", "BOM", "UTF-16"),
        *("CRLF", "CR", "comments", "title", "blank lines", "comment below", "separator at every end", "decimals"),
        "all quoted",
    ],
)
def test_dialects_give_one_table(tmp_path, name, content):
    frame = read(tmp_path, content, name).frame
    assert frame.index.tolist() == ["P1", "P2"]
    assert [float(age) for age in frame["age"]] == [40, 50] and frame["site"].tolist() == ["A", "B"]


def test_windows_letters_are_read_and_said(tmp_path):
    table = read(tmp_path, "case_id;Klinik\nP1;München\nP2;Köln\n".encode("cp1252"))
    assert table.frame["Klinik"].tolist() == ["München", "Köln"]
    assert any("Windows-1252" in note for note in table.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("case_id,sex,age\nP1,f,30\nP2,34\n", r"row 3 \(it begins 'P2'\) has 2 of 3 fields"),
        ("case_id,sex,age\nP1,f,30,1\nP2,f,34\n", "row 2 .* has 4 of 3 fields"),
        ('case_id,note,sex\nP1,"tumour 5,f\nP2,ok,m\n', "row 2 holds a quote that does not enclose one whole cell"),
        ('case_id,note,sex\nP1,"two\nlines",f\nP2,ok,m\n', "the line end inside the cell"),
        ('case_id,note\nP1,"a"b\n', "row 2 holds a quote"),
        ("case_id,age,sex,age\nP1,1,f,2\n", r"column 'age' occurs more than once \(columns 2 and 4\)"),
        ("case_id, age ,age\nP1,1,2\n", "'age' occurs more than once"),
        ("id,x;case_id\n1,2;3\n", "can be read by commas and by semicolons; write the line sep=,"),
        (b"case_id,a\nP1,\x81\n", "not UTF-8"),
        ("case_id,site\nP1,Köln\nP2,".encode() + b"\xc3\n", "not UTF-8"),
        (b"case_id,a\nP1,\x00\n", "zero bytes"),
        (b"\xff\xfec\x00a\x00\x00\xd8", "not UTF-8"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_stray_quote_spoils_its_cell_alone_and_only_when_it_is_asked_for(tmp_path):
    """BIDS files know no quoting: the row below is another patient's."""
    content = 'case_id\tnote\tsex\nP1\tok\tf\nP2\t"tumour 5\tm\nP3\t5" lesion\tf\nP4\t"big\tm\n'
    frame = read(tmp_path, content, "t.tsv").frame
    assert frame["sex"].tolist() == ["f", "m", "f", "m"] and frame["note"]["P3"] == '5" lesion'
    with pytest.raises(UserError, match=r"row 3, column 'note': the quote in"):
        frame["note"].map(str)


def test_the_row_of_the_names_may_be_given(tmp_path):
    content = "id,id,id\ncase_id,age,sex\nP1,40,f\n"
    assert read(tmp_path, content, header_row=2).frame.loc["P1", "sex"] == "f"
    with pytest.raises(UserError, match="no row 9"):
        read(tmp_path, content, header_row=9)


def test_titles_above_the_names_are_said(tmp_path):
    assert any("stand in row 3" in note for note in read(tmp_path, "Registry\n2024\n" + PLAIN).notes)


def test_a_column_without_a_name_is_said(tmp_path):
    table = read(tmp_path, ",case_id,age\n0,P1,40\n1,P2,50\n")
    assert table.frame.columns.tolist() == ["age"] and any("column 1 has no name" in note for note in table.notes)


@pytest.mark.parametrize(
    ("line", "separator", "fields"),
    [
        ("a,b,", ",", ["a", "b", ""]),
        ('"a,b",c', ",", ["a,b", "c"]),
        ('"a ""b""",c', ",", ['a "b"', "c"]),
        ('"",x', ",", ["", "x"]),
        ('"a,b', ",", None),
        ('"a"b,c', ",", None),
        ('"a\tb', "\t", ['"a', "b"]),
        ('x\t"a\tb"', "\t", ["x", "a\tb"]),
    ],
)
def test_fields_of_a_line(line, separator, fields):
    assert split_line(line, separator) == fields
