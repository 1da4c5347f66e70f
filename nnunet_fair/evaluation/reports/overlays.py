"""Pictures of single cases: the image with the contours of reference and prediction."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.figures import ORANGE, SKY
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.masks.endings import list_images
from nnunet_fair.masks.grid import SAME_PLACE, Grid, displacement
from nnunet_fair.masks.paired_masks import foreground, same_grid
from nnunet_fair.masks.reading import CaseProblemError, read_mask, read_picture, to_itk

CONTEXT_MM = 15.0  # of image around the masks
LEAST_WIDTH_MM = 50.0


def check_overlay_options(options: OverlayOptions) -> None:
    """Refuse a folder without images before any case is scored.

    Raises:
        UserError: no such folder, or no image in it is named as nnU-Net's.
    """
    if options.images is None:
        return
    if not options.images.is_dir():
        raise UserError(f"there is no folder of images {options.images}")
    if not list_images(options.images):
        raise UserError(f"{options.images} holds no image named as nnU-Net's (CASE_0000.nii.gz)")


def find_channel(case_id: str, options: OverlayOptions) -> Path | None:
    """The image of a case to draw; None where there is no folder or no such image."""
    if options.images is None:
        return None
    channels = list_images(options.images).get(case_id, {})
    if options.channel is not None:
        return channels.get(options.channel)
    return channels.get(1, channels.get(0))


@dataclass(frozen=True)
class Contour:
    """One predicted mask to draw.

    Attributes:
        name: its name in the legend.
        path: the label image; None for a missing prediction.
        colour: a Matplotlib colour.
        style: a Matplotlib line style.
    """

    name: str
    path: Path | None
    colour: str = SKY
    style: Literal["solid", "dashed", "dotted"] = "dashed"


def overlay_picture(
    case_id: str,
    reference_path: Path,
    contours: Sequence[Contour],
    options: OverlayOptions,
    scoring: ScoringOptions,
) -> bytes:
    """Draw the slice with most of the reference (of the first prediction where the reference is empty).

    Args:
        case_id: the case, to find its image.
        reference_path: the reference label image.
        contours: the predictions.
        options: the image under the contours.
        scoring: how the masks are read.

    Returns:
        A PNG file: the part of the slice around the masks, the reference's contour solid.

    Raises:
        CaseProblemError: a file cannot be read.
    """
    reference = read_mask(reference_path)
    masks = [foreground(reference, scoring.labels, reference_path)]
    for contour in contours:
        if contour.path is None:
            masks.append(np.zeros_like(masks[0]))
        else:
            prediction = same_grid(reference, read_mask(contour.path), contour.path, resample=scoring.resample)
            masks.append(foreground(prediction, scoring.labels, contour.path))
    spacing = tuple(reversed(reference.grid.spacing))
    path = find_channel(case_id, options)
    image = None if path is None else _image_array(path, reference.grid)
    title = ""
    if masks[0].ndim == 3:
        chosen = next((mask for mask in masks if mask.any()), masks[0])
        best = int(chosen.sum(axis=(1, 2)).argmax()) if chosen.any() else masks[0].shape[0] // 2
        title = f"slice {best} of 0–{masks[0].shape[0] - 1}"
        masks = [mask[best] for mask in masks]
        image = None if image is None else image[best]
        spacing = spacing[1:]
    window = _window(masks, spacing)
    lines = [Contour("reference", reference_path, ORANGE, "solid"), *contours]
    return _draw(
        [(line, mask[window]) for line, mask in zip(lines, masks, strict=True)],
        None if image is None else image[window],
        spacing,
        title,
    )


def overlay_or_plain(
    case_id: str,
    reference_path: Path,
    contours: Sequence[Contour],
    options: OverlayOptions,
    scoring: ScoringOptions,
) -> tuple[bytes, str]:
    """As :func:`overlay_picture`, on a plain ground where the case's image cannot be drawn.

    Returns:
        The PNG file's content, and what the caption has to add ("" where the image is there).

    Raises:
        CaseProblemError: the masks themselves cannot be drawn.
    """
    try:
        return overlay_picture(case_id, reference_path, contours, options, scoring), ""
    except CaseProblemError:
        picture = overlay_picture(case_id, reference_path, contours, OverlayOptions(), scoring)
        return picture, " (its image could not be drawn)"


def overlay_or_nothing(
    case_id: str,
    reference_path: Path,
    contours: Sequence[Contour],
    options: OverlayOptions,
    scoring: ScoringOptions,
    *,
    name: str = "",
) -> tuple[bytes, str] | None:
    """As :func:`overlay_or_plain`; None, and a line in the log, where nothing can be drawn.

    Args:
        case_id: see :func:`overlay_picture`.
        reference_path: see :func:`overlay_picture`.
        contours: see :func:`overlay_picture`.
        options: see :func:`overlay_picture`.
        scoring: see :func:`overlay_picture`.
        name: the name the line gives the case.
    """
    try:
        return overlay_or_plain(case_id, reference_path, contours, options, scoring)
    except Exception as error:  # a picture is an extra: the scores are there already
        print(f"nnunet_fair: no picture of {name or case_id} ({type(error).__name__})", file=sys.stderr)
        return None


def _image_array(path: Path, grid: Grid) -> np.ndarray:
    """The image on the grid of the masks, as a grey float32 array."""
    array, found = read_picture(path)
    if found.size == grid.size and displacement(grid, found) <= SAME_PLACE:
        return array
    if len(found.size) != len(grid.size):
        raise CaseProblemError(f"{path} is not on the grid of its labels")
    target = to_itk(np.zeros(grid.shape, np.uint8), grid)
    moved = sitk.Resample(to_itk(array, found), target, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(moved)


def _window(masks: list[np.ndarray], spacing: tuple[float, ...]) -> tuple[slice, slice]:
    """A window around the masks with some context, as square as the slice allows."""
    occupied = np.argwhere(np.any(masks, axis=0))
    shape = masks[0].shape
    if not len(occupied):
        return slice(0, shape[0]), slice(0, shape[1])
    low, high = occupied.min(axis=0), occupied.max(axis=0) + 1
    width = max(LEAST_WIDTH_MM, float(((high - low) * spacing).max()) + 2 * CONTEXT_MM)
    window = []
    for axis in range(2):
        n = min(shape[axis], int(np.ceil(width / spacing[axis])))
        start = int(np.clip((low[axis] + high[axis] - n) // 2, 0, shape[axis] - n))
        window.append(slice(start, start + n))
    return window[0], window[1]


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
