"""``nnunet_fair evaluate`` with saved probabilities: found, merged, published."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main


@pytest.fixture
def with_files(cohort, monkeypatch):
    """The cohort with probabilities beside its predictions, one of them damaged; the other figures are left out."""
    for path in sorted((cohort / "pred").glob("*.nii.gz")):
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(float)
        p = 0.02 + 0.9 * mask
        np.savez_compressed(path.parent / f"{path.name[:8]}.npz", probabilities=np.stack([1 - p, p]))
    (cohort / "pred" / "CASE_005.npz").write_bytes(b"PK")
    nothing = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    monkeypatch.setattr("nnunet_fair.evaluation.reports.evaluation_report.evaluation_figures", lambda analysis: nothing)
    monkeypatch.setattr("nnunet_fair.evaluation.evaluate.draw_overlays", lambda *args, **kwargs: [])
    return cohort


def _evaluate(cohort, out: str, *extra: str) -> int:
    files = [
        "-ref",
        f"{cohort}/labels",
        "-pred",
        f"{cohort}/pred",
        "-m",
        f"{cohort}/table.csv",
        "-o",
        f"{cohort}/{out}",
    ]
    return main(["evaluate", *files, "-np", "1", "--resamples", "60", *extra])


@pytest.mark.slow
def test_tables_page_and_parts(with_files, capsys):
    assert _evaluate(with_files, "out") == 0
    assert "24 of 24 cases have saved probabilities" in capsys.readouterr().out
    cases = pd.read_csv(with_files / "out" / "cases.csv", index_col="case_id")
    assert cases.loc["CASE_000", "brier"] == pytest.approx(cases["brier"].min())
    assert "CASE_005.npz" in cases.loc["CASE_005", "calibration_problem"] and np.isnan(cases.loc["CASE_005", "brier"])
    assert np.isfinite(cases.loc["CASE_005", "dsc"]) and not [name for name in cases if "_share_" in name]
    table = pd.read_csv(with_files / "out" / "calibration.csv")
    assert table.iloc[0]["n"] == 23 and table.iloc[0]["knows_when_it_fails_low"] < table.iloc[0]["knows_when_it_fails"]
    page = (with_files / "out" / "report.html").read_text()
    assert 'id="calibration"' in page and "calibration of 1 of 24 cases could not be measured" in page
    assert json.loads((with_files / "out" / "scores.json").read_text())["calibration"][0]["n"] == 23

    for part in ("0", "1"):
        assert _evaluate(with_files, "parts", "-num_parts", "2", "-part_id", part) == 0
    assert _evaluate(with_files, "parts", "--merge") == 0
    for name in ("cases.csv", "calibration.csv", "reliability.csv"):
        assert (with_files / "parts" / name).read_bytes() == (with_files / "out" / name).read_bytes()

    assert _evaluate(with_files, "out", "--no-calibration") == 0
    assert not (with_files / "out" / "calibration.csv").exists()


def test_nothing_about_few_patients_where_names_are_left_out(with_files):
    assert _evaluate(with_files, "out", "--anonymise", "-prob", f"{with_files}/pred") == 0
    table = pd.read_csv(with_files / "out" / "calibration.csv")
    reliability = pd.read_csv(with_files / "out" / "reliability.csv")
    assert table["n"].min() >= 5 and set(reliability["kind"]) == {"all"} and reliability["n_cases"].min() >= 5
    written = "".join((with_files / "out" / name).read_text() for name in ("cases.csv", "scores.json", "report.html"))
    assert "CASE_" not in written


def test_options_that_contradict_each_other_are_refused(with_files, capsys):
    assert _evaluate(with_files, "out", "--no-calibration", "-prob", f"{with_files}/pred") == 1
    assert "give one of them" in capsys.readouterr().err
