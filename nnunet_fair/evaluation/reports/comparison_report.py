"""The report of a comparison: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_fair.evaluation.comparison.classes import worst_of_classes
from nnunet_fair.evaluation.comparison.paired_differences import Comparison
from nnunet_fair.evaluation.reports.class_heatmaps import heatmaps_of_classes
from nnunet_fair.evaluation.reports.explorer import comparison_explorer
from nnunet_fair.evaluation.reports.figures import (
    BLUE,
    GREY,
    STYLE,
    VERMILION,
    WIDTH,
    figure_of_groups,
    never_fails,
    to_svg,
)
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.reports.page import N_COMBINATIONS, Picture, render, svg

N_LISTED = 8
HEADLINE = {
    "ranking": "Ranking score",
    "performance": "Performance",
    "fairness": "Fairness",
    "mean_dsc": "Mean DSC",
    "worst_group_dsc": "Worst group's mean DSC",
}


def comparison_report(
    comparison: Comparison,
    audit: pd.DataFrame,
    *,
    sentence: str,
    options: CompareOptions,
    changes: pd.DataFrame,
    pictures: Sequence[Picture],
    document: dict[str, Any],
    with_cases: bool = True,
) -> str:
    """The report of two models compared.

    Args:
        comparison: the numbers.
        audit: the levelling-down audit.
        sentence: the audit in one sentence.
        options: names and title.
        changes: the cases, the most worsened first.
        pictures: overlays of the most changed cases.
        document: what ``comparison.json`` holds.
        with_cases: whether single cases can be explored, with their IDs and groups; False for a page that names no
            patient.

    Returns:
        HTML.
    """
    table = comparison.subgroups
    combinations = table[(table["kind"] == "combination") & table["decides"]]
    order = combinations["difference"].abs().sort_values(ascending=False, kind="stable").index
    worst, best = changes[changes["difference"] < 0], changes[changes["difference"] > 0][::-1]
    return render(
        "compare.html",
        {
            "title": options.title,
            "names": (options.name_a, options.name_b),
            "comparison": comparison,
            "options": comparison.options.subgroups,
            "lambda_": comparison.options.lambda_,
            "document": document,
            "headline": headline_rows(comparison),
            "sentence": sentence,
            "audit": audit,
            "whole": table[table["kind"] == "all"],
            "groups": table[table["kind"] == "group"],
            "combinations": combinations.loc[order[:N_COMBINATIONS]],
            "n_combinations": len(combinations),
            "figures": comparison_figures(comparison, options),
            "worst_of_classes": worst_of_classes(comparison),
            "class_figures": heatmaps_of_classes(
                {name: found.subgroups for name, found in comparison.classes.items()},
                "difference",
                f"a group under {options.name_b} minus that under {options.name_a}",
            ),
            "worsened": worst[:N_LISTED],
            "improved": best[:N_LISTED],
            "pictures": pictures,
            "explorer": comparison_explorer(comparison, changes, options, with_cases=with_cases),
        },
    )


def headline_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The headline of both models and the difference with its interval."""
    rows = []
    names = dict(HEADLINE)
    for variable in comparison.groups.variables:
        if f"fairness:{variable}" in comparison.difference.names:
            names |= {
                f"fairness:{variable}": f"Fairness of {variable}",
                f"gap_dsc:{variable}": f"DSC gap of {variable}",
            }
    for name, label in names.items():
        difference, low, high = comparison.difference.row(name)
        rows.append(
            {
                "label": label,
                "a": comparison.a.row(name)[0],
                "b": comparison.b.row(name)[0],
                "difference": difference,
                "low": low,
                "high": high,
            }
        )
    return rows


def comparison_figures(comparison: Comparison, options: CompareOptions) -> list[Picture]:
    """Group means of both models, and every case's DSC under both."""
    table = comparison.subgroups
    groups = table[(table["kind"] == "group") & table["attributes"].isin(comparison.groups.variables)]
    pictures = []
    if len(groups):
        pictures.append(
            svg(
                group_change_figure(groups, options.name_a, options.name_b),
                "Mean DSC of every group under both models; the numbers are in the table of groups.",
                f"Mean DSC of every group: from {options.name_a} (hollow) to {options.name_b} (filled).",
            )
        )
    scores = comparison.scores
    pictures.append(
        svg(
            case_scatter_figure(scores.dsc_a.mean(axis=0), scores.dsc_b.mean(axis=0), options.name_a, options.name_b),
            "DSC of every case under model A and under model B.",
            f"One point a case; above the line {options.name_b} is better.",
        )
    )
    return pictures


@never_fails
def group_change_figure(table: pd.DataFrame, name_a: str, name_b: str) -> bytes:
    """An arrow from A's to B's mean DSC for each group.

    Args:
        table: rows of the difference table with kind ``group``.
        name_a: model A's name.
        name_b: model B's name.

    Returns:
        SVG.
    """

    def draw(axes: Axes, row: Any, position: int, number: int) -> None:
        colour = (BLUE if row.difference >= 0 else VERMILION) if row.decides else GREY
        axes.plot([row.mean_dsc_a, row.mean_dsc_b], [position] * 2, color=colour, linewidth=1.6)
        axes.plot(row.mean_dsc_a, position, "o", color=colour, markersize=5, fillstyle="none")
        axes.plot(row.mean_dsc_b, position, "o", color=colour, markersize=5)

    with mpl.rc_context(STYLE):
        figure, axes = figure_of_groups(table, draw)
        axes.set_xlabel("mean DSC (blue: rose, red: fell, grey: few cases)")
    return to_svg(figure)


@never_fails
def case_scatter_figure(dsc_a: np.ndarray, dsc_b: np.ndarray, name_a: str, name_b: str) -> bytes:
    """DSC of every case under both models.

    Args:
        dsc_a: float array of shape (n_cases,).
        dsc_b: float array of shape (n_cases,).
        name_a: model A's name.
        name_b: model B's name.

    Returns:
        SVG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, WIDTH * 0.82))
        axes = figure.subplots()
        size = 26 if len(dsc_a) < 200 else 9
        axes.scatter(dsc_a, dsc_b, s=size, color=BLUE, alpha=0.55, linewidths=0, rasterized=True)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_aspect("equal")
        axes.grid()
        axes.set_xlabel(f"DSC, {name_a}")
        axes.set_ylabel(f"DSC, {name_b}")
    return to_svg(figure)
