"""The volumes of one case that a reader looks at: the image, the reference and the predictions, on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.figures import ORANGE, SKY
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.evaluation.reports.slice_stack import SliceStack, slice_stack
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
    """One mask to draw.

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


@dataclass(frozen=True, repr=False)
class CaseVolumes:
    """A case as it is drawn.

    Attributes:
        contours: the reference's line, then the predictions'.
        masks: a bool array for each of them, of shape (slices, rows, columns).
        image: float array of the same shape; None where there is none.
        spacing: of slices, rows and columns in mm.
        is_3d: whether there are slices; a 2D image is one slice.
        grid: of the whole volumes, of which these may be a part.
    """

    contours: tuple[Contour, ...]
    masks: tuple[np.ndarray, ...]
    image: np.ndarray | None
    spacing: tuple[float, float, float]
    is_3d: bool
    grid: Grid

    @property
    def best_slice(self) -> int:
        """The slice with most of the reference, or of the first prediction that is there; the middle where none is."""
        chosen = next((mask for mask in self.masks if mask.any()), None)
        return self.masks[0].shape[0] // 2 if chosen is None else int(chosen.sum(axis=(1, 2)).argmax())

    def part(self, slices: slice, rows: slice = slice(None), columns: slice = slice(None)) -> CaseVolumes:
        """A part of the volumes."""
        where = (slices, rows, columns)
        image = None if self.image is None else self.image[where]
        return replace(self, masks=tuple(mask[where] for mask in self.masks), image=image)

    def around_masks(self) -> CaseVolumes:
        """The rows and columns around the masks with some context, as square as the volume allows."""
        occupied = np.argwhere(np.any([mask.any(axis=0) for mask in self.masks], axis=0))
        shape, spacing = self.masks[0].shape[1:], self.spacing[1:]
        if not len(occupied):
            return self
        low, high = occupied.min(axis=0), occupied.max(axis=0) + 1
        width = max(LEAST_WIDTH_MM, float(((high - low) * spacing).max()) + 2 * CONTEXT_MM)
        window = []
        for axis in range(2):
            n = min(shape[axis], int(np.ceil(width / spacing[axis])))
            start = int(np.clip((low[axis] + high[axis] - n) // 2, 0, shape[axis] - n))
            window.append(slice(start, start + n))
        return self.part(slice(None), *window)


def read_case_volumes(
    case_id: str,
    reference_path: Path,
    contours: Sequence[Contour],
    options: OverlayOptions,
    scoring: ScoringOptions,
) -> CaseVolumes:
    """Read a case.

    Args:
        case_id: the case, to find its image.
        reference_path: the reference label image.
        contours: the predictions.
        options: the image under the contours.
        scoring: how the masks are read.

    Returns:
        The volumes on the reference's grid.

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
    path = find_channel(case_id, options)
    image = None if path is None else _image_array(path, reference.grid)
    is_3d = masks[0].ndim == 3
    spacing = tuple(reversed(reference.grid.spacing))
    return CaseVolumes(
        (Contour("reference", reference_path, ORANGE, "solid"), *contours),
        tuple(mask if is_3d else mask[None] for mask in masks),
        image if is_3d or image is None else image[None],
        (spacing[-3] if is_3d else 1.0, spacing[-2], spacing[-1]),
        is_3d,
        reference.grid,
    )


def stack_of_slices(volumes: CaseVolumes) -> SliceStack | None:
    """The slices the masks are in, and a little before and after, around the masks.

    Args:
        volumes: the case.

    Returns:
        The stack; None where there is one slice only, or no mask.
    """
    there = np.flatnonzero(np.any([mask.any(axis=(1, 2)) for mask in volumes.masks], axis=0))
    n_all = volumes.masks[0].shape[0]
    if n_all < 2 or not len(there):
        return None
    context = int(np.ceil(CONTEXT_MM / volumes.spacing[0]))
    first, last = max(0, int(there[0]) - context), min(n_all, int(there[-1]) + 1 + context)
    shown = volumes.around_masks().part(slice(first, last))
    return slice_stack(
        shown.masks,
        [{"name": line.name, "colour": line.colour, "style": line.style} for line in shown.contours],
        shown.image,
        pixel_size=shown.spacing[1:],
        first=first,
        n_all=n_all,
        best=volumes.best_slice,
    )


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
