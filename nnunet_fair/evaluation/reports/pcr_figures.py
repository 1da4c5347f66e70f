"""The figures of the Task 2 report."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from nnunet_fair.evaluation.reports.figures import (
    BLUE,
    GREY,
    LABEL,
    PALETTE,
    STYLE,
    WIDTH,
    never_fails,
    short_name,
    to_svg,
)


@never_fails
def calibration_figure(curve: pd.DataFrame) -> bytes:
    """Observed against predicted rate with exact intervals, and the line on which they agree.

    Args:
        curve: what ``calibration_curve`` gave.

    Returns:
        SVG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.75 * WIDTH))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        below, above = curve["observed"] - curve["low"], curve["high"] - curve["observed"]
        axes.errorbar(curve["predicted"], curve["observed"], yerr=[below, above], color=BLUE, marker="o", markersize=4)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability of pCR (mean of a bin)")
        axes.set_ylabel("share with pCR")
        axes.grid(True)
    return to_svg(figure)


@never_fails
def net_benefit_figure(curves: Mapping[str, pd.DataFrame]) -> bytes:
    """Net benefit of acting by each model, for everybody and for nobody.

    Args:
        curves: what ``decision_curve`` gave, by the model's name.

    Returns:
        SVG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 * WIDTH))
        axes = figure.subplots()
        for (name, curve), colour in zip(curves.items(), PALETTE, strict=False):
            axes.plot(curve["threshold"], curve["model"], color=colour, label=short_name(name, LABEL))
        curve = next(iter(curves.values()))
        for name, line in (("everybody", "--"), ("nobody", ":")):
            axes.plot(curve["threshold"], curve[name], color=GREY, linestyle=line, label=name)
        top = max(float(curve["everybody"].max()), *(float(c["model"].max()) for c in curves.values()), 0.01)
        axes.set(xlim=(0, 1), ylim=(-0.3 * top, 1.1 * top), ylabel="net benefit")
        axes.set_xlabel("probability from which one would act")
        axes.grid(True)
        axes.legend(frameon=False)
    return to_svg(figure)
