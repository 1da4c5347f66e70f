"""``nnunet_fair evaluate -ref2``."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from nnunet_fair.cli import main


@pytest.fixture
def twice(cohort, monkeypatch):
    """The cohort with a second reader who drew what the model drew in most cases, and left three unread or damaged."""
    shutil.copytree(cohort / "pred", cohort / "second")
    (cohort / "second" / "CASE_001.nii.gz").unlink()
    (cohort / "second" / "CASE_002.nii.gz").write_bytes(b"no image")
    (cohort / "second" / "CASE_000.nii.gz").rename(cohort / "second" / "case_000.nii.gz")
    nothing = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    monkeypatch.setattr("nnunet_fair.evaluation.reports.evaluation_report.evaluation_figures", lambda analysis: nothing)
    monkeypatch.setattr("nnunet_fair.evaluation.evaluate.draw_overlays", lambda *args, **kwargs: [])
    return cohort


def _evaluate(cohort, *extra: str) -> int:
    files = ["-ref", f"{cohort}/labels", "-pred", f"{cohort}/pred", "-m", f"{cohort}/table.csv", "-o", f"{cohort}/out"]
    return main(["evaluate", *files, "-np", "1", "--resamples", "60", *extra])


def test_the_readers_beside_the_model(twice, capsys):
    assert _evaluate(twice, "-ref2", f"{twice}/second") == 0
    assert "1 read by one reader only: CASE_001" in capsys.readouterr().out
    cases = pd.read_csv(twice / "out" / "cases.csv", index_col="case_id")
    read = cases["readers_dsc"].notna()
    assert (cases.loc[read, "readers_dsc"] == cases.loc[read, "dsc"]).all() and read.sum() == 22
    assert cases.loc["CASE_001", "readers_problem"] == "one reader only"
    assert "CASE_002.nii.gz" in cases.loc["CASE_002", "readers_problem"]
    table = pd.read_csv(twice / "out" / "readers.csv")
    assert table["n"].iloc[0] == 22 and (table["shortfall"] == 0).all()
    page = (twice / "out" / "report.html").read_text()
    assert 'id="readers"' in page and "2 of 24 cases have no second reader" in page


def test_a_second_reader_of_other_cases_is_refused(twice, capsys):
    for path in (twice / "second").iterdir():
        path.rename(path.with_name(f"other_{path.name}"))
    assert _evaluate(twice, "-ref2", f"{twice}/second") == 1
    assert "check -ref2" in capsys.readouterr().err
