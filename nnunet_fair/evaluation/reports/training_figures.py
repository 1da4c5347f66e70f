"""The report's figures of a training: the divergence of its subgroups and the weights of its cases."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnunet_fair.evaluation.reports.figures import BLUE, GREY, PALETTE, STYLE, WIDTH, never_fails, short_name, to_svg
from nnunet_fair.evaluation.reports.page import Picture, svg
from nnunet_fair.evaluation.reports.training_records import TrainingRecords


@never_fails
def training_figure(history: pd.DataFrame, *, n_subgroups: int = 6) -> bytes:
    """Divergence over the epochs of the subgroups that were worst at some refresh, averaged over the folds.

    Args:
        history: columns fold, epoch, subgroup, divergence.
        n_subgroups: how many subgroups to draw.

    Returns:
        SVG.
    """
    course = history.groupby(["epoch", "subgroup"])["divergence"].mean().unstack()
    worst = course.min().sort_values().index[:n_subgroups]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.0))
        axes = figure.subplots()
        for number, name in enumerate(worst):
            style = ("-", "--", ":")[number // len(PALETTE) % 3]
            axes.plot(
                course.index,
                course[name],
                style,
                marker="o",
                markersize=3,
                linewidth=1.5,
                color=PALETTE[number % len(PALETTE)],
                label=short_name(name),
            )
        axes.axhline(0, color=GREY, linewidth=1)
        axes.set_xlabel("epoch")
        axes.set_ylabel("divergence of the training score")
        axes.grid()
        figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False, fontsize=8)
    return to_svg(figure)


@never_fails
def weights_figure(weights: Sequence[tuple[str, np.ndarray]]) -> bytes:
    """The last weights of the training cases, one row a fold.

    Args:
        weights: fold name and float array of shape (n_training_cases,).

    Returns:
        SVG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.8 + 0.32 * len(weights)))
        axes = figure.subplots()
        jitter = np.random.default_rng(0)
        for row, (_, values) in enumerate(weights):
            heights = row + jitter.uniform(-0.25, 0.25, len(values))
            axes.scatter(values, heights, s=9, color=BLUE, alpha=0.5, linewidths=0, rasterized=True)
        axes.axvline(1, color=GREY, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(weights)), [name for name, _ in weights])
        axes.set_ylim(len(weights) - 0.5, -0.5)
        axes.set_xlabel("weight of a training case at the last refresh (dashed: neutral)")
        axes.grid(axis="x")
    return to_svg(figure)


def training_figures(training: TrainingRecords) -> list[Picture]:
    """Divergence and weights over the training."""
    pictures = []
    if training.history["divergence"].notna().any():
        pictures.append(
            svg(
                training_figure(training.history),
                "Divergence of the worst subgroups over the epochs of the training.",
                f"Divergence of the training score of the subgroups that were worst at some refresh, mean of "
                f"{len(training.folds)} fold(s); below 0: worse than the average training case.",
            )
        )
    weights = [
        (fold, training.weights.loc[training.weights["fold"] == fold, "weight"].to_numpy(dtype=float))
        for fold in training.folds
    ]
    if any(np.isfinite(values).any() for _, values in weights):
        pictures.append(
            svg(
                weights_figure(weights),
                "Weights of the training cases of each fold at the last refresh.",
                "One point a training case.",
            )
        )
    return pictures
