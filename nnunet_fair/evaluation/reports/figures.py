"""The report's figures, as SVG that can stand inside an HTML page; colours told apart by the colour-blind."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

# Okabe and Ito's palette (jfly.uni-koeln.de/color), without its yellow, which is too pale on paper.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
GREY = "#767676"
LABEL = 24  # characters of a group's name on an axis
WIDTH = 5.4  # inches: about a phone's width at a readable 9 pt

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "grid.color": "#E2E2E2",
    "svg.fonttype": "path",
    "svg.hashsalt": "nnunet_fair",
    "font.family": "DejaVu Sans",
    "figure.dpi": 144,
    "text.parse_math": False,  # a group may be called $50k: names are text, never formulas
}
P = ParamSpec("P")
METRIC_NAMES = {"dsc": "DSC", "norm_hd": "NormHD"}


def never_fails(draw: Callable[P, bytes]) -> Callable[P, bytes]:
    """Decorate what draws a figure: where it cannot be drawn, there is a figure that says so and a line in the log."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> bytes:
        try:
            return draw(*args, **kwargs)
        except Exception as error:
            print(f"nnunet_fair: {draw.__name__} could not be drawn ({type(error).__name__}: {error})", file=sys.stderr)
            with mpl.rc_context(STYLE):
                figure = Figure(figsize=(WIDTH, 0.5))
                figure.text(0.5, 0.5, "This figure could not be drawn.", ha="center", va="center", color=GREY)
            return to_svg(figure)

    return drawn


def to_svg(figure: Figure) -> bytes:
    """A figure as an SVG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return buffer.getvalue()


@never_fails
def group_figure(table: pd.DataFrame, metric: str, *, cohort_mean: float) -> bytes:
    """Mean and interval of every group, one block a variable, with the cohort's mean as a line.

    Args:
        table: rows of the subgroup table with kind ``group``.
        metric: ``dsc`` or ``norm_hd``.
        cohort_mean: the mean of all cases.

    Returns:
        SVG.
    """

    def draw(axes: Axes, row: Any, position: int, number: int) -> None:
        mean = getattr(row, f"mean_{metric}")
        low, high = getattr(row, f"mean_{metric}_low"), getattr(row, f"mean_{metric}_high")
        colour = PALETTE[number % len(PALETTE)] if row.decides else GREY
        fill: Literal["full", "none"] = "full" if row.decides else "none"
        axes.plot([low, high], [position] * 2, color=colour, linewidth=1.6)
        axes.plot(mean, position, marker="o", color=colour, markersize=5, fillstyle=fill)

    with mpl.rc_context(STYLE):
        figure, axes = figure_of_groups(table, draw)
        axes.axvline(cohort_mean, color=GREY, linewidth=1, linestyle="--")
        axes.set_xlabel(f"mean {METRIC_NAMES[metric]} (line: interval; dashed: all cases)")
    return to_svg(figure)


def figure_of_groups(table: pd.DataFrame, draw: Callable[[Axes, Any, int, int], None]) -> tuple[Figure, Axes]:
    """A figure with one row a group, in blocks of one attribute each.

    Args:
        table: rows of a table of subgroups with kind ``group``.
        draw: draws one group, from the axes, its row of the table, its height on the axes and its attribute's number.

    Returns:
        The figure and its axes.
    """
    attributes = list(dict.fromkeys(table["attributes"]))
    figure = Figure(figsize=(WIDTH, 0.6 + 0.24 * (len(table) + len(attributes))))
    axes = figure.subplots()
    position, ticks, labels = 0, [], []
    for number, attribute in enumerate(attributes):
        axes.text(
            -0.01, position, attribute, weight="bold", va="center", ha="right", transform=axes.get_yaxis_transform()
        )
        position += 1
        for row in table[table["attributes"] == attribute].itertuples():
            draw(axes, row, position, number)
            ticks.append(position)
            labels.append(f"{short_name(row.subgroup.split('=', 1)[1], LABEL)}  (n={row.n})")
            position += 1
    axes.set_yticks(ticks, labels)
    axes.set_ylim(position - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure, axes


@never_fails
def heatmap_figure(values: pd.Series, rows: pd.Series, columns: pd.Series, *, metric: str, min_group: int) -> bytes:
    """Mean of a metric over the cells of two variables.

    Args:
        values: the metric, shape (n_cases,), indexed by case ID.
        rows: group of each case in the one variable, indexed by case ID.
        columns: group of each case in the other.
        metric: ``dsc`` or ``norm_hd``.
        min_group: cells with fewer cases are written in brackets.

    Returns:
        SVG.
    """
    keys = [rows.reindex(values.index), columns.reindex(values.index)]
    cells = values.groupby([key.to_numpy() for key in keys]).agg(["mean", "size"])
    mean, size = cells["mean"].unstack(), cells["size"].unstack()
    with mpl.rc_context({**STYLE, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure = Figure(figsize=(WIDTH, 0.9 + 0.42 * len(mean)))
        axes = figure.subplots()
        # Cividis runs from dark blue to yellow and reads the same with and without colour vision; dark is worse.
        colours = mpl.colormaps["cividis" if metric == "dsc" else "cividis_r"]
        # Cells of few cases take the nearest end of the scale: they decide nothing, not even the colours of the others.
        decide = mean.to_numpy()[size.to_numpy() >= min_group]
        scale = decide if len(decide) > 1 else mean.to_numpy()[np.isfinite(mean.to_numpy())]
        low, high = float(scale.min()), float(scale.max())
        normalise = mpl.colors.Normalize(low, high if high > low else low + 1e-9, clip=True)
        image = axes.imshow(
            np.ma.masked_invalid(mean.to_numpy(dtype=float)), cmap=colours, norm=normalise, aspect="auto"
        )
        for (i, j), value in np.ndenumerate(mean.to_numpy(dtype=float)):
            if np.isfinite(value):
                n = int(size.to_numpy()[i, j])
                text = f"{value:.2f}\nn={n}" if n >= min_group else f"({value:.2f})\nn={n}"
                red, green, blue, _ = colours(normalise(value))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color="white" if dark else "black")
        axes.set_xticks(range(mean.shape[1]), [short_name(str(name), LABEL // 2) for name in mean.columns])
        axes.set_yticks(range(mean.shape[0]), [short_name(str(name), LABEL) for name in mean.index])
        axes.tick_params(length=0)
        axes.set_xlabel(str(columns.name))
        axes.set_ylabel(str(rows.name))
        figure.colorbar(image, ax=axes, label=f"mean {METRIC_NAMES[metric]}")
    return to_svg(figure)


@never_fails
def class_figure(table: pd.DataFrame, classes: Sequence[str], *, column: str = "divergence") -> bytes:
    """Divergence, or another difference, of the mean DSC over the groups of one attribute and the classes.

    Args:
        table: rows of the tables of subgroups with kind ``group``, of one attribute, with the column ``class``.
        classes: the classes in their order.
        column: the column that is shown.

    Returns:
        SVG.
    """
    names = list(dict.fromkeys(table["subgroup"]))
    cells = table.pivot(index="subgroup", columns="class", values=column).reindex(index=names, columns=classes)
    decides = table.pivot(index="subgroup", columns="class", values="decides").reindex(index=names, columns=classes)
    values = cells.to_numpy(dtype=float)
    scale = max(float(np.nanmax(np.abs(values), initial=0.0)), 0.05)
    with mpl.rc_context({**STYLE, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure = Figure(figsize=(max(WIDTH, 1.8 + 0.55 * len(classes)), 1.3 + 0.36 * len(names)))
        axes = figure.subplots()
        colours = mpl.colormaps["PuOr"]  # orange, worse than the class, to violet: safe for the colour-blind
        normalise = mpl.colors.Normalize(-scale, scale)
        image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, norm=normalise, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                text = f"{value:+.2f}".replace("-", "−")
                ink = "white" if abs(value) > 0.7 * scale else "black"
                shown = text if decides.iloc[i, j] else f"({text})"
                axes.text(j, i, shown, ha="center", va="center", fontsize=7, color=ink)
        axes.set_xticks(
            range(len(classes)), [short_name(name, LABEL) for name in classes], rotation=40, ha="right", fontsize=8
        )
        axes.set_yticks(range(len(names)), [short_name(name.split("=", 1)[1], LABEL) for name in names])
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label=f"{column} of the mean DSC")
    return to_svg(figure)


@never_fails
def size_figure(cases: pd.DataFrame, *, failure_dsc: float) -> bytes:
    """DSC against the reference's volume, failures marked, with the running median.

    Args:
        cases: scored cases with ``dsc`` and ``volume_reference_mm3``.
        failure_dsc: DSC below which a case is a failure.

    Returns:
        SVG; the points are a raster inside it, so that 1500 of them stay small.
    """
    lesions = cases[cases["volume_reference_mm3"] > 0].sort_values("volume_reference_mm3")
    volume, dsc = lesions["volume_reference_mm3"].to_numpy() / 1000, lesions["dsc"].to_numpy(dtype=float)
    failed = (dsc == 0) | (dsc < failure_dsc)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.3))
        axes = figure.subplots()
        size = 26 if len(dsc) < 200 else 9
        axes.scatter(volume[~failed], dsc[~failed], s=size, color=BLUE, alpha=0.55, linewidths=0, rasterized=True)
        axes.scatter(
            volume[failed],
            dsc[failed],
            s=size * 1.6,
            color=VERMILION,
            marker="x",
            linewidths=1.2,
            label=f"failure (DSC 0 or < {failure_dsc:g}): {failed.sum()}",
            rasterized=True,
        )
        if len(dsc) >= 45:
            window = max(15, len(dsc) // 8)
            running = pd.Series(dsc).rolling(window, center=True, min_periods=window // 2).median()
            axes.plot(volume, running, color="black", linewidth=1.6, label=f"running median of {window} cases")
        axes.set_xscale("log")
        # 0.5, 20, 1,000: no powers of ten, which would be formulas
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(-0.04, 1.04)
        axes.grid()
        axes.set_xlabel("volume of the reference (mL)")
        axes.set_ylabel("DSC")
        figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
    return to_svg(figure)


@never_fails
def lambda_figure(performance: float, fairness: float, lambda_: float) -> bytes:
    """The ranking as a function of λ, from pure performance to pure fairness."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.2))
        axes = figure.subplots()
        axes.plot([0, 1], [performance, fairness], color=BLUE, linewidth=1.8)
        axes.plot(lambda_, (1 - lambda_) * performance + lambda_ * fairness, "o", color=VERMILION)
        axes.annotate(
            f"λ = {lambda_:g}",
            (lambda_, (1 - lambda_) * performance + lambda_ * fairness),
            textcoords="offset points",
            xytext=(6, -12),
        )
        axes.set_xlabel("λ: 0 performance only, 1 fairness only")
        axes.set_ylabel("ranking score")
        axes.grid()
    return to_svg(figure)


def short_name(name: str, most: int = 60) -> str:
    """A name cut to fit a legend or an axis."""
    return name if len(name) <= most else name[: most - 1] + "…"
