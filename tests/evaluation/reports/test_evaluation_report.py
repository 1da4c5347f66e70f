from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import neutral_names
from nnunet_fair.evaluation.reports import figures
from nnunet_fair.evaluation.reports.evaluation_report import heatmap_pairs, worst_cases
from nnunet_fair.evaluation.reports.numbers import interval, number, p_value, signed
from nnunet_fair.evaluation.reports.page import render
from nnunet_fair.evaluation.reports.training_records import read_training_records
from nnunet_fair.files import plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.12345, "0.123"),
        (-0.5, "−0.500"),
        (-0.0001, "0.000"),
        (math.nan, "–"),
        (None, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (np.float64(2.0), "2.000"),
    ],
)
def test_numbers_for_people(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0002, "0.000"), (0.01, "+0.010"), (-0.01, "−0.010"), (math.nan, "–")]
)
def test_differences_for_people(value, expected):
    assert signed(value) == expected


@pytest.mark.parametrize(("p", "expected"), [(0.0421, "0.042"), (1e-9, "< 0.001"), (1.0, "1"), (math.nan, "–")])
def test_p_values_for_people(p, expected):
    assert p_value(p) == expected


def test_an_interval_that_does_not_exist_is_a_dash():
    assert interval(0.1, 0.25) == "0.100 to 0.250" and interval(math.nan, 0.2) == "–"


def test_a_name_missing_from_a_template_is_an_error():
    import jinja2

    with pytest.raises(jinja2.UndefinedError):
        render("report.html", {"title": "x"})


def test_worst_cases_first_ties_by_distance_then_id():
    scored = pd.DataFrame({"dsc": [0.0, 0.5, 0.0, 0.0], "norm_hd": [1.0, 0.1, 1.2, 1.0]}, ["b", "c", "d", "a"])
    assert worst_cases(scored, 3) == ["d", "a", "b"]


def test_heat_maps_are_those_of_the_challenge():
    pairs = heatmap_pairs(("age", "menopausal_status", "breast_density"))
    assert pairs == [("age", "breast_density"), ("age", "menopausal_status")]
    assert heatmap_pairs(("site",)) == []


def test_figures_are_the_same_bytes_for_the_same_numbers():
    cases = pd.DataFrame({"dsc": [0.2, 0.9, 0.0], "volume_reference_mm3": [100.0, 2000.0, 50.0]})
    first, second = (figures.size_figure(cases, failure_dsc=0.1) for _ in range(2))
    assert first == second and first.startswith(b"<?xml") and b"<svg" in first


def test_size_figure_leaves_empty_references_out():
    cases = pd.DataFrame({"dsc": [0.2, 0.9], "volume_reference_mm3": [0.0, 2000.0]})
    assert b"<svg" in figures.size_figure(cases, failure_dsc=0.1)


def test_volumes_are_written_as_numbers():
    cases = pd.DataFrame({"dsc": [0.2, 0.9, 0.5], "volume_reference_mm3": [300.0, 25_000.0, 1_900_000.0]})
    drawn = figures.size_figure(cases, failure_dsc=0.1).decode()
    labels = re.findall("<!-- (.+?) -->", drawn)  # letters are paths, with their text as a comment
    assert {"0.5", "10", "1,000"} <= set(labels) and "mathdefault" not in drawn


def test_neutral_names_are_unique_and_not_in_the_order_of_the_ids():
    ids = [f"P{i:03d}" for i in range(200)]
    names = neutral_names(ids)
    assert len(set(names.values())) == 200 and set(names) == set(ids)
    assert [names[i] for i in ids] != sorted(names.values())
    assert names != neutral_names(ids)


def test_plain_values_for_json():
    found = plain(
        {"a": np.float32(0.5), "b": [math.nan, np.int64(3)], 1: (math.inf, True), "c": {"d": np.bool_(False)}}
    )
    assert found == {"a": 0.5, "b": [None, 3], "1": [None, True], "c": {"d": False}}


@pytest.mark.parametrize(
    ("history", "message"),
    [(None, "has no fair_history.csv"), ("epoch,subgroup\n1,x\n", "no column 'n'"), ("", "cannot be read as CSV")],
    ids=["absent", "column", "empty"],
)
def test_training_records_that_cannot_be_read(tmp_path, history, message):
    fold = tmp_path / "fold_0"
    fold.mkdir()
    if history is not None:
        (fold / "fair_history.csv").write_text(history)
        (fold / "fair_weights.csv").write_text("case_id,weight,subgroup\na,1.0,\n")
    with pytest.raises(UserError, match=message):
        read_training_records(tmp_path)
