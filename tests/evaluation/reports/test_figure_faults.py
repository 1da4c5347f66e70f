"""Figures draw any name, and what cannot be drawn is said and stops nothing."""

import pandas as pd

from nnunet_fair.evaluation.reports import figures
from nnunet_fair.evaluation.reports.overlays import OverlayOptions, overlay_or_nothing

NAMES = ["$50k", "$\\frac{1$", "a_b^c$$", "<script>", "Größe $ é"]


def group_rows(names):
    rows = [
        {"attributes": "$income_{", "subgroup": f"$income_{{={name}", "n": 9, "decides": True, "mean_dsc": 0.5}
        | {"mean_dsc_low": 0.4, "mean_dsc_high": 0.6}
        for name in names
    ]
    return pd.DataFrame(rows)


def test_dollar_signs_are_text():
    drawn = figures.group_figure(group_rows(NAMES), "dsc", cohort_mean=0.5)
    assert drawn.count(b"<svg") == 1
    assert b"could not be drawn" not in drawn
    index = [f"c{i}" for i in range(10)]
    groups = pd.Series(NAMES * 2, index=index)
    values = pd.Series([0.1 * i for i in range(10)], index=index)
    assert figures.heatmap_figure(values, groups, groups, metric="dsc", min_group=1).count(b"<svg") == 1


def test_a_figure_that_cannot_be_drawn_says_so(capsys):
    drawn = figures.group_figure(pd.DataFrame({"attributes": ["x"]}), "dsc", cohort_mean=0.5)
    assert drawn.count(b"<svg") == 1
    assert "group_figure could not be drawn (AttributeError" in capsys.readouterr().err


def test_an_overlay_that_cannot_be_drawn_says_so(tmp_path, capsys):
    assert overlay_or_nothing("C1", tmp_path / "no.nii", [], OverlayOptions(), None, name="case-0001") is None
    line = capsys.readouterr().err
    assert "no picture of case-0001" in line
    assert "C1" not in line
