"""Pictures of single cases: the image with the contours of reference and prediction."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.figures import ORANGE, SKY
from nnunet_fair.evaluation.masks import CaseProblemError, corner_distance, foreground, read_image, same_grid
from nnunet_fair.evaluation.pairing import FILE_ENDINGS, CasePair
from nnunet_fair.evaluation.score_cases import ScoringOptions

CONTEXT_MM = 25.0  # of image around the masks
LEAST_WIDTH_MM = 80.0


@dataclass(frozen=True)
class OverlayOptions:
    """Which image lies under the contours.

    Attributes:
        images: folder of images named as nnU-Net's (``CASE_0000.nii.gz``); None draws the contours on plain ground.
        channel: the channel to show; None takes 1, the first post-contrast phase, where there is one, else 0.
    """

    images: Path | None = None
    channel: int | None = None


def check_overlay_options(options: OverlayOptions) -> None:
    """Refuse a folder without images before any case is scored.

    Raises:
        UserError: no such folder, or no image in it is named as nnU-Net's.
    """
    if options.images is None:
        return
    if not options.images.is_dir():
        raise UserError(f"there is no folder of images {options.images}")
    if not any(_channel_of(path) is not None for path in options.images.iterdir()):
        raise UserError(f"{options.images} holds no image named as nnU-Net's (CASE_0000.nii.gz)")


def find_channel(case_id: str, options: OverlayOptions) -> Path | None:
    """The image of a case to draw; None where there is no folder or no such image."""
    if options.images is None:
        return None
    channels: dict[int, Path] = {}
    for ending in FILE_ENDINGS:
        for path in options.images.glob(f"{_escape(case_id)}_[0-9][0-9][0-9][0-9]{ending}"):
            channels[int(path.name[len(case_id) + 1 : len(case_id) + 5])] = path
    if options.channel is not None:
        return channels.get(options.channel)
    return channels.get(1, channels.get(0))


def overlay_picture(pair: CasePair, options: OverlayOptions, scoring: ScoringOptions, *, title: str = "") -> bytes:
    """Draw the slice with most of the reference (of the prediction where the reference is empty).

    Args:
        pair: the case's files.
        options: the image under the contours.
        scoring: how the masks are read.
        title: a line above the picture.

    Returns:
        A PNG file: the part of the slice around both masks, the reference's contour solid, the prediction's dashed.

    Raises:
        CaseProblemError: a file cannot be read.
    """
    reference = read_image(pair.reference)
    masks = [foreground(sitk.GetArrayFromImage(reference), scoring.labels, pair.reference)]
    if pair.prediction is None:
        masks.append(np.zeros_like(masks[0]))
    else:
        prediction = same_grid(reference, read_image(pair.prediction), pair.prediction, resample=scoring.resample)
        masks.append(foreground(sitk.GetArrayFromImage(prediction), scoring.labels, pair.prediction))
    spacing = tuple(reversed(reference.GetSpacing()))
    path = find_channel(pair.case_id, options)
    image = None if path is None else _image_array(path, reference)
    if masks[0].ndim == 3:
        chosen = masks[0] if masks[0].any() else masks[1]
        best = int(chosen.sum(axis=(1, 2)).argmax()) if chosen.any() else masks[0].shape[0] // 2
        title = f"{title} · slice {best}" if title else f"slice {best}"
        masks = [mask[best] for mask in masks]
        image = None if image is None else image[best]
        spacing = spacing[1:]
    window = _window(masks, spacing)
    return _draw([mask[window] for mask in masks], None if image is None else image[window], spacing, title)


def _channel_of(path: Path) -> int | None:
    """The channel number in a file's name as nnU-Net writes it."""
    stem = next((path.name[: -len(e)] for e in FILE_ENDINGS if path.name.lower().endswith(e)), None)
    digits = stem[-4:] if stem and len(stem) > 5 and stem[-5] == "_" else ""
    return int(digits) if len(digits) == 4 and digits.isdecimal() else None


def _escape(text: str) -> str:
    """Text that ``glob`` takes literally."""
    import glob

    return glob.escape(text)


def _image_array(path: Path, reference: sitk.Image) -> np.ndarray:
    """The image on the reference's grid as a grey array; colour is averaged."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise CaseProblemError(f"{path} cannot be read as an image") from error
    if image.GetSize() != reference.GetSize() or corner_distance(reference, image) > 0.5:
        if image.GetDimension() != reference.GetDimension() or image.GetNumberOfComponentsPerPixel() > 1:
            raise CaseProblemError(f"{path} is not on the grid of its labels")
        image = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    return array.mean(axis=-1) if image.GetNumberOfComponentsPerPixel() > 1 else array


def _window(masks: list[np.ndarray], spacing: tuple[float, ...]) -> tuple[slice, slice]:
    """A square-ish window around both masks with some context, inside the slice."""
    occupied = np.argwhere(masks[0] | masks[1])
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


def _draw(masks: list[np.ndarray], image: np.ndarray | None, spacing: tuple[float, ...], title: str) -> bytes:
    """The picture as PNG."""
    aspect = spacing[0] / spacing[1]
    height = 3.0 * masks[0].shape[0] * aspect / masks[0].shape[1]
    buffer = io.BytesIO()
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(3.0, float(np.clip(height, 1.2, 5.0)) + 0.45))
        axes = figure.add_axes((0, 0.1, 1, 0.8))
        axes.set_axis_off()
        if image is None:
            axes.imshow(np.full(masks[0].shape, 0.12), cmap="gray", vmin=0, vmax=1, aspect=aspect)
        else:
            low, high = np.percentile(image, (1, 99.5))
            axes.imshow(image, cmap="gray", vmin=low, vmax=high if high > low else low + 1, aspect=aspect)
        for mask, colour, style in ((masks[0], ORANGE, "solid"), (masks[1], SKY, "dashed")):
            if mask.any():
                # A rim of background closes contours at the window's edge.
                framed = np.pad(mask, 1).astype(float)
                rows, columns = np.arange(-1, mask.shape[0] + 1), np.arange(-1, mask.shape[1] + 1)
                axes.contour(columns, rows, framed, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.4)
        axes.set_xlim(-0.5, masks[0].shape[1] - 0.5)
        axes.set_ylim(masks[0].shape[0] - 0.5, -0.5)
        axes.set_title(title, fontsize=8, pad=3)
        lines = [Line2D([], [], color=ORANGE), Line2D([], [], color=SKY, linestyle="dashed")]
        names = [
            "reference" if masks[0].any() else "reference (empty here)",
            "prediction" if masks[1].any() else "prediction (empty here)",
        ]
        figure.legend(lines, names, loc="lower center", ncols=2, frameon=False, borderaxespad=0.1, fontsize=7.5)
        figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
