"""The example of docs/evaluation.md runs, and fairlearn's gap is the report's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from nnunet_fair.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


def test_cases_go_into_a_metric_frame(cohort, monkeypatch, capsys):
    nothing = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    monkeypatch.setattr("nnunet_fair.evaluation.reports.evaluation_report.evaluation_figures", lambda analysis: nothing)
    monkeypatch.chdir(cohort)
    files = ["-ref", "labels", "-pred", "pred", "-m", "table.csv", "-o", "report"]
    assert main(["evaluate", *files, "-np", "1", "--resamples", "60", "--overlays", "0"]) == 0
    section = PAGE.read_text(encoding="utf-8").partition("## Into fairlearn")[2]
    (code,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], flags=re.DOTALL)
    names: dict = {}
    exec(compile(code, "docs/evaluation.md", "exec"), names)
    gap = json.loads((cohort / "report" / "scores.json").read_text())["variables"]["breast_density"]["gap_dsc"]
    assert names["frame"].difference()["mean DSC"] == pytest.approx(gap, abs=1e-12)
    cases = names["cases"]
    assert names["frame"].by_group["cases"].to_dict() == cases["breast_density"].value_counts().to_dict()
    half = cases[names["sizes"] == "smaller half"]
    means = half.groupby("breast_density")["dsc"].mean()
    assert names["alike"].difference()["smaller half"] == pytest.approx(means.max() - means.min())
    assert isinstance(names["alike"].by_group, pd.Series)
    assert "mean DSC" in capsys.readouterr().out
