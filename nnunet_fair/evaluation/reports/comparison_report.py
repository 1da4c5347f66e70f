"""The report of a comparison: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnunet_fair.evaluation.comparison.paired_differences import Comparison
from nnunet_fair.evaluation.reports.evaluation_report import N_COMBINATIONS, Picture, render, svg
from nnunet_fair.evaluation.reports.figures import (
    BLUE,
    GREY,
    LABEL,
    STYLE,
    VERMILION,
    WIDTH,
    never_fails,
    short_name,
    to_svg,
)
from nnunet_fair.evaluation.reports.overlays import OverlayOptions

N_LISTED = 8
HEADLINE = {
    "ranking": "Ranking score",
    "performance": "Performance",
    "fairness": "Fairness",
    "mean_dsc": "Mean DSC",
    "worst_group_dsc": "Worst group's mean DSC",
}


@dataclass(frozen=True)
class CompareOptions:
    """What is compared and shown.

    Attributes:
        name_a: the first model's name in the report.
        name_b: the second model's.
        title: the report's title.
        missing: what a reference without a prediction counts as, ``empty`` or ``skip``.
        overlays: the images under the contours.
        n_overlays: how many of the most changed cases to draw.
        anonymise: replace case IDs by neutral numbers in everything that is written.
        paired_seeds: the k-th folder of A and the k-th of B were trained as a pair.
    """

    name_a: str = "A"
    name_b: str = "B"
    title: str = "Comparison of two models"
    missing: str = "empty"
    overlays: OverlayOptions = field(default_factory=OverlayOptions)
    n_overlays: int = 6
    anonymise: bool = False
    paired_seeds: bool = False


def comparison_report(
    comparison: Comparison,
    audit: pd.DataFrame,
    *,
    sentence: str,
    options: CompareOptions,
    changes: pd.DataFrame,
    pictures: Sequence[Picture],
    document: dict[str, Any],
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
            "worsened": worst[:N_LISTED],
            "improved": best[:N_LISTED],
            "pictures": pictures,
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
    attributes = list(dict.fromkeys(table["attributes"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.7 + 0.24 * (len(table) + len(attributes))))
        axes = figure.subplots()
        position, ticks, labels = 0, [], []
        for attribute in attributes:
            axes.text(
                -0.01, position, attribute, weight="bold", va="center", ha="right", transform=axes.get_yaxis_transform()
            )
            position += 1
            for row in table[table["attributes"] == attribute].itertuples():
                colour = (BLUE if row.difference >= 0 else VERMILION) if row.decides else GREY
                axes.plot([row.mean_dsc_a, row.mean_dsc_b], [position] * 2, color=colour, linewidth=1.6)
                axes.plot(row.mean_dsc_a, position, "o", color=colour, markersize=5, fillstyle="none")
                axes.plot(row.mean_dsc_b, position, "o", color=colour, markersize=5)
                ticks.append(position)
                labels.append(f"{short_name(row.subgroup.split('=', 1)[1], LABEL)}  (n={row.n})")
                position += 1
        axes.set_yticks(ticks, labels)
        axes.set_ylim(position - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
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
