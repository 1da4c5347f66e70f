"""What a page's script gets to explore: exact numbers, and no patient where none is to be named."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report
from nnunet_fair.evaluation.reports.explorer import evaluation_explorer

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing them is most of a small page's time."""
    nothing = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    monkeypatch.setattr("nnunet_fair.evaluation.reports.evaluation_report.evaluation_figures", lambda analysis: nothing)


def test_cases_groups_and_means(analysis):
    data = evaluation_explorer(analysis, with_cases=True)
    # p4's reference is empty: it is in no mean of a group, and not here
    assert data["cases"]["ids"] == ["p<1>", "p2", "p3", "p5", "p6"]
    assert data["attributes"] == [{"name": "a=b", "groups": ["x=1", "y"]}, {"name": "site", "groups": [HOSTILE, "s"]}]
    assert data["cases"]["groups"] == [[0, 0, 1, 1, -1], [0, 0, 0, 1, 1]]
    (only,) = data["classes"]
    assert only["values"]["dsc"] == [0.5, 0.7, 0.12346, 0.0, 0.25]
    assert only["values"]["hd95_mm"] == [1.0, 2.0, 3.0, "∞", None]
    assert only["values"]["volume"] == [1.0, 2.0, 0.5, 0.25, 0.001]
    first = only["groups"][0]
    assert (first["attribute"], first["group"], first["n"], first["decides"]) == (0, 0, 2, True)
    assert first["means"]["dsc"][0] == pytest.approx(0.6)
    assert only["all"]["n"] == 5


def test_where_no_patient_is_named_there_are_groups_only(no_figures, analysis):
    data = evaluation_explorer(analysis, with_cases=False)
    assert data["cases"] is None and data["scatter"] is None
    assert [entry["values"] for entry in data["classes"]] == [{}]
    assert [metric["key"] for metric in data["metrics"]] == ["dsc", "norm_hd"]  # those whose groups have means
    page = evaluation_report(analysis, title="t", settings={}, with_cases=False)
    assert not any(case in page for case in ("p&lt;1", "p\\u003c1", '"p2"', "0.12346"))
    assert "p\\u003c1" in evaluation_report(analysis, title="t", settings={})


def test_data_in_a_script_cannot_end_it(no_figures, analysis):
    page = evaluation_report(analysis, title="t\u2028", settings={})
    assert "<script>alert" not in page
    (data,) = re.findall(r'<script type="application/json" id="explore-data">(.*?)</script>', page, flags=re.DOTALL)
    assert not set(data) & {"<", ">", "&", "\u2028", "'"}
    assert json.loads(data)["attributes"][1]["groups"][0] == HOSTILE


def test_without_a_group_there_is_nothing_to_explore(analysis):
    alone = dataclasses.replace(analysis, subgroups=analysis.subgroups[:1])
    assert evaluation_explorer(alone, with_cases=True) is None


def test_of_many_classes_there_is_the_dsc_alone(analysis):
    many = dataclasses.replace(analysis, classes={f"class {i}": analysis for i in range(20)})
    data = evaluation_explorer(many, with_cases=True)
    assert [metric["key"] for metric in data["metrics"]] == ["dsc"] and len(data["classes"]) == 21
    assert {frozenset(entry["values"]) for entry in data["classes"]} == {frozenset({"dsc", "volume"})}
    few = dataclasses.replace(analysis, classes={f"class {i}": analysis for i in range(19)})
    assert len(evaluation_explorer(few, with_cases=True)["metrics"]) > 1
