"""The figure of a cohort: every group's change, method by method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_fair.files import atomic_path
from studies.real.methods import METHODS
from studies.real.runs import FOLDS

_COLOURS = ("#0072B2", "#D55E00", "#009E73")  # Okabe and Ito, for the colour-blind


def draw_groups(groups: pd.DataFrame, path: Path) -> None:
    """Draw the change of each group's mean DSC with its interval, tested methods side by side.

    Args:
        groups: the groups' table.
        path: a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = groups[(groups["part"] == FOLDS) & groups["method"].map(lambda name: METHODS[name].tested)]
    names = list(dict.fromkeys(rows["subgroup"]))
    methods = list(dict.fromkeys(rows["method"]))
    figure = Figure(figsize=(9, 1.5 + 0.32 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for offset, (method, colour) in enumerate(zip(methods, _COLOURS, strict=False)):
        block = rows[rows["method"] == method].set_index("subgroup").reindex(names)
        difference, low, high = (
            100 * block[name].to_numpy() for name in ("difference", "difference_low", "difference_high")
        )
        height = np.arange(len(names)) + 0.22 * (offset - (len(methods) - 1) / 2)
        ends = np.maximum([difference - low, high - difference], 0)
        axes.errorbar(difference, height, xerr=ends, fmt="o", ms=4, color=colour, label=METHODS[method].label)
    patients = rows.drop_duplicates("subgroup").set_index("subgroup")["n"]
    axes.set_yticks(range(len(names)), [f"{name} (n = {patients[name]})" for name in names], fontsize="small")
    axes.invert_yaxis()
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_xlabel("change of the mean DSC against stock nnU-Net, points, 95 % interval")
    if methods:
        axes.legend(fontsize="small", frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
