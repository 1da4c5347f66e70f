from __future__ import annotations

import pandas as pd
import pytest

from nnunet_fair.metadata.cells import MissingWords, clean_cell
from nnunet_fair.metadata.columns import read_column


def read(values, name="x", missing=None):
    return read_column(name, [clean_cell(value) for value in values], MissingWords(missing))


@pytest.mark.parametrize(
    ("name", "cells", "numbers", "told"),
    [
        ("x", ["39,5", "41", "8,25"], [39.5, 41, 8.25], "'39,5' is read as 39.5 (decimal comma)"),
        ("x", ["1.234,5", "2,25"], [1234.5, 2.25], "decimal comma"),
        ("x", ["1,234.5", "12,345"], [1234.5, 12345], "commas between thousands"),
        ("age", ["035Y", "061Y"], [35, 61], "'035Y' is read as 35 (age in years)"),
        ("Patient Age", ["018M", "002Y"], [1.5, 2], "age in years"),
        ("age", ["39 y", "40.5 years", "41"], [39, 40.5, 41], "age in years"),
        ("x", ["1e3", ".5", "-2."], [1000, 0.5, -2], None),
    ],
)
def test_numbers_as_people_write_them(name, cells, numbers, told):
    values, notes = read(cells, name)
    assert values == pytest.approx(numbers)
    assert notes == [] if told is None else told in notes[0]


@pytest.mark.parametrize(
    "cells",
    [
        ["1,234", "2,345"],  # a decimal comma or thousands: nobody knows
        ["39,5", "about 40"],
        ["003M", "006M"],  # months of follow-up in a column that is no age
        ["007", "012"],  # codes
    ],
)
def test_what_could_be_two_things_stays_text(cells):
    assert read(cells)[0] == cells


def test_a_column_with_both_marks_is_not_guessed():
    assert read(["39,5", "40.5"])[0] == ["39,5", 40.5]


def test_one_spelling_of_each_value_told_once():
    values, notes = read(["F", "f", "F", " m", "m ", "M", None, "no  data"])
    assert values[:6] == ["F", "F", "F", "m", "m", "m"] and values[7] == "no data"
    assert notes == ["column 'x': 'F' and 'f' are one value, 'F'; 'M' and 'm' are one value, 'm'"]
    values, notes = read(["1", "1.0", "01", 1, "2"])
    assert values == [1, 1, 1, 1, 2] and "'01' and '1' and '1.0' are one value, '1'" in notes[0]
    composed, decomposed = "Köln", "Ko\u0308ln"
    assert read([composed, decomposed])[0] == [composed, composed]


def test_large_whole_numbers_stay_apart():
    values, _ = read(["90071992547409930", "90071992547409931"])
    assert values == [90071992547409930, 90071992547409931]


def test_missing_words_and_their_change():
    values, notes = read(["NA", "n/a", "unknown", "-", "None", "none", "", "x"])
    assert [pd.isna(v) for v in values] == [True] * 5 + [False, True, False]
    assert notes == [
        "column 'x': '-' (1), 'None' (1), 'unknown' (1) counts as missing; `missing_values` changes the words that do"
    ]
    values, _ = read(["NA", "99", 99.0, "5"], missing=["99"])
    assert values[0] == "NA" and pd.isna(values[1]) and pd.isna(values[2]) and values[3] == 5


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([31, 45, 60, 78, 99, 99], "99 (2 cases) stands far outside the rest (31 to 78)"),
        ([0, 1, 1, 0, 9], "9 (1 case) stands far outside"),
        ([31, 45, -9], "-9 (1 case) stands far outside"),
        ([31, 45, 97, 99], None),
        ([6, 7, 8, 9], None),
        ([99, 99], None),
    ],
)
def test_numbers_that_may_be_codes_for_missing_are_pointed_out(cells, told):
    _, notes = read(cells)
    assert notes == [] if told is None else told in notes[0]
