"""The report's section on calibration: what the model says of its own certainty, by group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from nnunet_fair.evaluation.reports.figures import GREY, LABEL, PALETTE, STYLE, never_fails, short_name, to_svg
from nnunet_fair.evaluation.reports.page import Picture, svg

LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class CalibrationSection:
    """What the section shows of one class.

    Attributes:
        name: the class; empty where there is one foreground.
        table: the calibration of the whole cohort and of every group.
        pictures: reliability diagrams, one an attribute.
    """

    name: str
    table: pd.DataFrame
    pictures: list[Picture]


def calibration_sections(tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> list[CalibrationSection]:
    """The sections of the classes whose probabilities were measured.

    Args:
        tables: the tables of calibration and reliability by class.
    """
    sections = []
    for name, (calibration, reliability) in tables.items():
        if len(calibration):
            shown = calibration[calibration["kind"] != "combination"]
            sections.append(CalibrationSection(name, shown, _pictures(reliability, name)))
    return sections


def _pictures(reliability: pd.DataFrame, name: str) -> list[Picture]:
    """A reliability diagram for each attribute with two groups that may decide; of the whole cohort where none has."""
    of_class = f" of {name}" if name else ""
    whole, groups = (reliability[reliability["kind"] == kind] for kind in ("all", "group"))
    pictures = []
    for attribute in groups["attributes"].unique():
        lines = groups[(groups["attributes"] == attribute) & groups["decides"]]
        if lines["subgroup"].nunique() > 1:
            pictures.append((attribute, lines))
    return [
        svg(
            reliability_figure(whole, lines),
            f"Reliability diagram{of_class} by {attribute}: share of foreground against probability in 15 bins; the "
            "numbers are in reliability.csv.",
            f"{attribute}: what was said and what was true{of_class}. Below the dotted line the model says too much.",
        )
        for attribute, lines in pictures or [("all cases", groups.iloc[:0])]
    ]


@never_fails
def reliability_figure(whole: pd.DataFrame, groups: pd.DataFrame) -> bytes:
    """Share of foreground against mean probability, a line for all cases and one a group.

    Args:
        whole: rows of the table of reliability of all cases.
        groups: those of the groups of one attribute.

    Returns:
        SVG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.9))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
        axes.plot(whole["said"], whole["true"], color="black", linewidth=1.2, label="all cases")
        for number, subgroup in enumerate(groups["subgroup"].unique()):
            line = groups[groups["subgroup"] == subgroup]
            axes.plot(
                line["said"],
                line["true"],
                color=PALETTE[number % len(PALETTE)],
                linestyle=LINES[number // len(PALETTE) % len(LINES)],
                marker="o",
                markersize=3,
                label=short_name(f"{subgroup.split('=', 1)[1]} (n={line['n'].iloc[0]})", LABEL + 8),
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.grid()
        axes.set_xlabel("mean probability")
        axes.set_ylabel("share of foreground")
        figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
    return to_svg(figure)
