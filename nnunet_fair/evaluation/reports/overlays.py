"""Pictures of single cases: the image with the contours of reference and prediction."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.case_volumes import CaseVolumes, Contour, read_case_volumes, stack_of_slices
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.evaluation.reports.slice_stack import SliceStack
from nnunet_fair.masks.reading import CaseProblemError


@dataclass(frozen=True)
class Overlay:
    """A case as a page shows it.

    Attributes:
        png: the slice with most of the reference, with its contours.
        addition: what the caption has to add; "" where there is nothing.
        slices: all slices; None where there is one, or they were not asked for.
    """

    png: bytes
    addition: str
    slices: SliceStack | None


def overlay_picture(volumes: CaseVolumes) -> bytes:
    """Draw the slice with most of the reference (of the first prediction where the reference is empty).

    Args:
        volumes: the case.

    Returns:
        A PNG file: the part of the slice around the masks, the reference's contour solid.
    """
    best, n_slices = volumes.best_slice, volumes.masks[0].shape[0]
    shown = volumes.part(slice(best, best + 1)).around_masks()
    return _draw(
        [(line, mask[0]) for line, mask in zip(shown.contours, shown.masks, strict=True)],
        None if shown.image is None else shown.image[0],
        shown.spacing[1:],
        f"slice {best} of 0–{n_slices - 1}" if volumes.is_3d else "",
    )


def overlay_or_plain(
    case_id: str,
    reference_path: Path,
    contours: Sequence[Contour],
    options: OverlayOptions,
    scoring: ScoringOptions,
    *,
    with_slices: bool = False,
) -> Overlay:
    """A case's picture, on a plain ground where the case's image cannot be drawn.

    Args:
        case_id: see :func:`~nnunet_fair.evaluation.reports.case_volumes.read_case_volumes`.
        reference_path: see there.
        contours: see there.
        options: see there.
        scoring: see there.
        with_slices: whether to add all slices.

    Returns:
        The picture.

    Raises:
        CaseProblemError: the masks themselves cannot be drawn.
    """
    addition = ""
    try:
        volumes = read_case_volumes(case_id, reference_path, contours, options, scoring)
    except CaseProblemError:
        volumes = read_case_volumes(case_id, reference_path, contours, OverlayOptions(), scoring)
        addition = " (its image could not be drawn)"
    return Overlay(overlay_picture(volumes), addition, stack_of_slices(volumes) if with_slices else None)


def overlay_or_nothing(
    case_id: str,
    reference_path: Path,
    contours: Sequence[Contour],
    options: OverlayOptions,
    scoring: ScoringOptions,
    *,
    name: str = "",
    with_slices: bool = False,
) -> Overlay | None:
    """As :func:`overlay_or_plain`; None, and a line in the log, where nothing can be drawn.

    Args:
        case_id: see :func:`overlay_or_plain`.
        reference_path: see :func:`overlay_or_plain`.
        contours: see :func:`overlay_or_plain`.
        options: see :func:`overlay_or_plain`.
        scoring: see :func:`overlay_or_plain`.
        name: the name the line gives the case.
        with_slices: see :func:`overlay_or_plain`.
    """
    try:
        return overlay_or_plain(case_id, reference_path, contours, options, scoring, with_slices=with_slices)
    except Exception as error:  # a picture is an extra: the scores are there already
        print(f"nnunet_fair: no picture of {name or case_id} ({type(error).__name__})", file=sys.stderr)
        return None


def _draw(
    lines: list[tuple[Contour, np.ndarray]], image: np.ndarray | None, spacing: tuple[float, ...], title: str
) -> bytes:
    """The picture as PNG."""
    shape, aspect = lines[0][1].shape, spacing[0] / spacing[1]
    height = float(np.clip(3.0 * shape[0] * aspect / shape[1], 1.2, 5.0))
    buffer = io.BytesIO()
    with mpl.rc_context({"font.size": 8, "text.parse_math": False}):
        figure = Figure(figsize=(3.0, height + 0.55))
        axes = figure.add_axes((0, 0.32 / (height + 0.55), 1, height / (height + 0.55)))
        axes.set_axis_off()
        if image is None:
            axes.imshow(np.full(shape, 0.12), cmap="gray", vmin=0, vmax=1, aspect=aspect)
        else:
            low, high = np.percentile(image, (1, 99.5))
            axes.imshow(image, cmap="gray", vmin=low, vmax=high if high > low else low + 1, aspect=aspect)
        rows, columns = np.arange(-1, shape[0] + 1), np.arange(-1, shape[1] + 1)
        for line, mask in lines:
            if mask.any():
                # A rim of background closes contours at the window's edge.
                framed = np.pad(mask, 1).astype(float)
                axes.contour(
                    columns, rows, framed, levels=[0.5], colors=[line.colour], linestyles=[line.style], linewidths=1.4
                )
        axes.set_xlim(-0.5, shape[1] - 0.5)
        axes.set_ylim(shape[0] - 0.5, -0.5)
        axes.set_title(title, fontsize=8.5, pad=3)
        handles = [Line2D([], [], color=line.colour, linestyle=line.style) for line, _ in lines]
        short = [line.name if len(line.name) <= 14 else f"{line.name[:13]}…" for line, _ in lines]
        names = [name if mask.any() else f"{name} (none here)" for name, (_, mask) in zip(short, lines, strict=True)]
        figure.legend(
            handles,
            names,
            loc="lower center",
            ncols=3,
            frameon=False,
            borderaxespad=0.2,
            fontsize=8.5,
            columnspacing=0.8,
            handlelength=1.4,
        )
        figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
