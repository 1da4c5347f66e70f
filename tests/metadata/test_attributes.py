from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.attributes import AttributeSpec, bin_names, group_values, parse_attribute

COLUMNS = ["sex", "age", "bmi", "scanner:model"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sex", AttributeSpec("sex")),
        ("SEX", AttributeSpec("sex")),
        ("age:0,40,60", AttributeSpec("age", edges=(0, 40, 60))),
        ("age:-inf,50,inf", AttributeSpec("age", edges=(-np.inf, 50, np.inf))),
        ("bmi:quantiles=4", AttributeSpec("bmi", n_quantiles=4)),
        ("scanner:model", AttributeSpec("scanner:model")),
    ],
)
def test_parse_attribute(text, expected):
    assert parse_attribute(text, COLUMNS) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sexe", "did you mean 'sex'"),
        ("ages:0,40", "did you mean 'age'"),
        ("age:40,0", "increasing"),
        ("age:0,40,40", "increasing"),
        ("age:40", "two or more increasing"),
        ("age:0,nan", "increasing"),
        ("age:young,old", "expected bin edges"),
        ("bmi:quantiles=1", "N 2 or more"),
        ("bmi:quantiles=four", "N 2 or more"),
    ],
)
def test_parse_attribute_refuses(text, message):
    with pytest.raises(UserError, match=message):
        parse_attribute(text, COLUMNS)


def test_bins_are_closed_on_the_right_and_include_the_lowest_edge():
    ages = pd.Series([0, 40, 40.5, "60", 61, np.nan, -1], index=list("abcdefg"), name="age", dtype=object)
    groups = group_values(ages, AttributeSpec("age", edges=(0, 40, 60)))
    assert groups.tolist()[:4] == ["0 to 40", "0 to 40", ">40 to 60", ">40 to 60"]
    assert groups[4:].isna().all()
    assert groups.index.tolist() == list("abcdefg")


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ((0, 40, 60), ["0 to 40", ">40 to 60"]),
        ((-np.inf, 25, 30, np.inf), ["up to 25", ">25 to 30", ">30"]),
        ((18, np.inf), ["18 and more"]),
        ((1.00001, 1.00002, 1.00003), ["1.00001 to 1.00002", ">1.00002 to 1.00003"]),
    ],
)
def test_bin_names(edges, names):
    assert bin_names(edges) == names


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ((12345, 67890.4, np.inf), ["12345 to 67890", ">67890"]),
        ((0, 0.00002, 0.0004), ["0 to 0.00002", ">0.00002 to 0.0004"]),
    ],
)
def test_numbers_of_any_size_are_written_without_powers_of_ten(edges, names):
    assert bin_names(edges) == names


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ((0, 950.25, 4189, np.inf), ["0 to 950.2 mm³", ">950.2 to 4,189 mm³", ">4,189 mm³"]),
        ((5284.9, 52851.2, 126587, 3450000), ["5.285 to 52.85 mL", ">52.85 to 126.6 mL", ">126.6 to 3,450 mL"]),
        ((-np.inf, 65450, np.inf), ["up to 65.45 mL", ">65.45 mL"]),
    ],
)
def test_volumes_are_named_in_mm3_or_ml(edges, names):
    assert bin_names(edges, is_volume=True) == names


def test_quantiles_fill_bins_equally():
    groups = group_values(pd.Series(range(1, 9), name="x"), AttributeSpec("x", n_quantiles=4))
    # quartiles of 1…8 (linear): 2.75, 4.5, 6.25
    assert groups.tolist() == [
        *["1 to 2.75"] * 2,
        *[">2.75 to 4.5"] * 2,
        *[">4.5 to 6.25"] * 2,
        *[">6.25 to 8"] * 2,
    ]


@pytest.mark.parametrize("values", [[5, 5, 5], [np.nan, np.nan], []], ids=["constant", "all missing", "empty"])
def test_quantiles_of_degenerate_columns(values):
    groups = group_values(pd.Series(values, name="x", dtype=float), AttributeSpec("x", n_quantiles=3))
    assert groups.dropna().unique().tolist() == (["5"] if 5 in values else [])


@pytest.mark.parametrize("value", ["27,5", "old", np.inf, "inf"])
def test_values_that_are_no_numbers_are_named_with_their_case(value):
    values = pd.Series([20.0, value], index=["P1", "P2"], name="bmi", dtype=object)
    with pytest.raises(UserError, match=r"'bmi': 1 of 2 .* of 'P2'"):
        group_values(values, AttributeSpec("bmi", n_quantiles=2))


def test_text_stays_and_whole_numbers_lose_their_decimals():
    values = pd.Series(["a=b", 1.0, 1.5, 2, True, None, np.nan], dtype=object)
    groups = group_values(values, AttributeSpec("x"))
    assert groups.tolist()[:5] == ["a=b", "1", "1.5", "2", "True"]
    assert groups[5:].isna().all()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=8, unique=True).map(sorted),
)
def test_every_number_within_the_edges_gets_the_bin_that_holds_it(values, edges):
    groups = group_values(pd.Series(values, name="x"), AttributeSpec("x", edges=tuple(map(float, edges))))
    names = bin_names(edges)
    for value, group in zip(values, groups, strict=True):
        holding = [
            name
            for name, low, high in zip(names, edges[:-1], edges[1:], strict=True)
            if low < value <= high or (value == low == edges[0])
        ]
        assert [group] == holding if holding else pd.isna(group)
