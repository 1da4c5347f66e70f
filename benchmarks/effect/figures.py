"""The study's figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.effect.differences import seed_differences
from benchmarks.effect.methods import METHODS
from benchmarks.effect.runs import Run, read_notes

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito

_PANELS_A_ROW = 5

_WEIGHTS_DRAWN = ("sampling", "sampling_t0", "loss", "sampling_s8", "sampling_lowest")


def draw_effects(comparisons: pd.DataFrame, per_run: pd.DataFrame, path: Path) -> None:
    """Change of the planted group's and of the others' DSC, with intervals and every seed."""
    blocks = list(comparisons.groupby(["kind", "missing"], sort=False))
    heights = [len(rows) + 1.4 for _, rows in blocks]
    figure = Figure(figsize=(9.5, 0.34 * sum(heights) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(blocks), 2, sharex="col", height_ratios=heights, squeeze=False)
    for line, ((kind, missing), rows) in zip(axes, blocks, strict=True):
        rows = rows.sort_values("group_dsc")
        places = np.arange(len(rows))
        for axis, what, colour in ((line[0], "group", _COLOURS[1]), (line[1], "others", _COLOURS[0])):
            axis.axvline(0, color="0.5", linewidth=0.8)
            value = 100 * rows[f"{what}_dsc"]
            ends = [value - 100 * rows[f"{what}_dsc_low"], 100 * rows[f"{what}_dsc_high"] - value]
            axis.errorbar(value, places, xerr=np.maximum(ends, 0), fmt="o", color=colour, markersize=4, capsize=2)
            for place, method in zip(places, rows["method"], strict=True):
                seeds = 100 * seed_differences(per_run, kind, missing, method, f"{what}_dsc")
                axis.plot(seeds, np.full(len(seeds), place - 0.25), "|", color="0.35", markersize=5)
            axis.set_yticks(places, [METHODS[name].label for name in rows["method"]] if what == "group" else [])
            axis.set_ylim(-0.8, len(rows) - 0.3)
            axis.tick_params(labelsize="small")
        line[0].set_title(f"{kind}, missing: {missing}", fontsize="medium", loc="left")
    axes[-1][0].set_xlabel("planted group, DSC ×100 minus stock training")
    axes[-1][1].set_xlabel("all others, DSC ×100 minus stock training")
    figure.savefig(path, dpi=110)


def draw_weights(runs: Sequence[Run], work: Path, path: Path) -> None:
    """How the planted group's weight relative to the others' develops, mean over the seeds."""
    methods = [name for name in _WEIGHTS_DRAWN if any(run.method == name for run in runs)]
    blocks = list(dict.fromkeys((run.kind, run.missing) for run in runs if run.method in methods))
    figure = Figure(figsize=(3.2 * min(4, len(blocks)), 2.7 * -(-len(blocks) // 4) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(-(-len(blocks) // 4), min(4, len(blocks)), sharex=True, sharey=True, squeeze=False).ravel()
    for axis, (kind, missing) in zip(axes, blocks, strict=False):
        for method, colour in zip(methods, _COLOURS, strict=False):
            traces = []
            for run in runs:
                if (run.kind, run.missing, run.method) == (kind, missing, method):
                    traces.append(pd.Series(read_notes(run, work)["weight_ratio"]))
            if traces:
                mean = pd.concat(traces, axis=1).mean(axis=1)
                axis.plot(mean.index + 1, mean, color=colour, label=METHODS[method].label)
        axis.axhline(1, color="0.5", linewidth=0.8)
        axis.set_title(f"{kind}, missing: {missing}", fontsize="small")
        axis.set_xlabel("epoch", fontsize="small")
    for axis in axes[len(blocks) :]:
        axis.set_visible(False)
    handles = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize="small")
    figure.supylabel("weight of the planted group / others", fontsize="small")
    figure.savefig(path, dpi=110)


def draw_learning_curves(runs: Sequence[Run], work: Path, path: Path) -> None:
    """The mean running score of the training cases by epoch, a line a seed, a panel a cohort and method."""
    panels = list(dict.fromkeys((run.kind, run.method) for run in runs))
    rows: list[list[tuple[str, str]]] = []
    for kind in dict.fromkeys(kind for kind, _ in panels):
        own = [panel for panel in panels if panel[0] == kind]
        rows += [own[start : start + _PANELS_A_ROW] for start in range(0, len(own), _PANELS_A_ROW)]
    columns = max(map(len, rows))
    figure = Figure(figsize=(2.4 * columns + 0.4, 2.2 * len(rows) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        for (kind, method), axis in zip(row, line, strict=False):
            for run in runs:
                if (run.kind, run.method) == (kind, method):
                    curve = read_notes(run, work)["learning_curve"]
                    axis.plot(range(1, len(curve) + 1), curve, color=_COLOURS[0], alpha=0.5, linewidth=0.8)
            axis.set_title(f"{METHODS[method].label}\n{kind}", fontsize="x-small")
        for axis in line[len(row) :]:
            axis.set_visible(False)
    figure.supxlabel("epoch", fontsize="small")
    figure.supylabel("running DSC of the training patches", fontsize="small")
    figure.savefig(path, dpi=110)
