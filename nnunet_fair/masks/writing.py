"""Writing masks: changed parts put in, geometry and header as nnU-Net's writer of the file leaves them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_fair.masks.components import Window
from nnunet_fair.masks.endings import file_ending
from nnunet_fair.masks.grid import Grid, set_grid
from nnunet_fair.masks.readers import SIMPLE_ITK, TIFF_3D, nnunet_reader
from nnunet_fair.masks.reading import Mask, to_itk


@dataclass(frozen=True)
class Patch:
    """New labels for a part of a segmentation.

    Attributes:
        window: where it lies in the volume.
        values: labels, of the window's shape and the segmentation's type.
    """

    window: Window
    values: np.ndarray


def apply_patches(array: np.ndarray, patches: Sequence[Patch]) -> np.ndarray:
    """A copy of a segmentation with the patches put in, in their order; the array itself where there is none."""
    if not patches:
        return array
    result = array.copy()
    for patch in patches:
        result[patch.window] = patch.values
    return result


def new_mask(array: np.ndarray, grid: Grid) -> Mask:
    """A mask that was read from no file.

    Args:
        array: integer labels of shape (slices, rows, columns).
        grid: its 3D grid.
    """
    return Mask(array, grid, SIMPLE_ITK, as_stored=False, image=to_itk(array, grid))


def write_mask(mask: Mask, path: str | os.PathLike, patches: Sequence[Patch] = ()) -> None:
    """Write a segmentation with the geometry of the file it came from, compressed where the format is.

    SimpleITK keeps the header's other fields too (nnU-Net's ``SimpleITKIO`` does not); of a NIfTI file whose sform and
    qform differ both write the one ITK reads, twice. The other formats are written by nnU-Net's own writers.

    Args:
        mask: the segmentation; where it is that of a file, its voxels are no more to be used afterwards.
        path: the file to write; not written atomically, so in a folder nobody reads yet. A 3D ``.tif`` gets its
            ``CASE.json`` with the spacing.
        patches: parts to replace, in their order.
    """
    if mask.image is None:
        labels = apply_patches(mask.array, patches)
        nnunet_reader(mask.reader).write_seg(labels, str(path), dict(mask.properties or {}))
        return
    if mask.as_stored and mask.image.GetDimension() == 3:
        # The image read is still there: putting in what changed, in place, spares three copies of the whole volume.
        image = mask.image
        for patch in patches:
            image[tuple(reversed(patch.window))] = sitk.GetImageFromArray(patch.values)
    else:
        array = apply_patches(mask.array, patches)
        image = sitk.GetImageFromArray(array[0] if mask.image.GetDimension() == 2 else array)
        set_grid(image, mask.grid)
        for key in mask.image.GetMetaDataKeys():
            image.SetMetaData(key, mask.image.GetMetaData(key))
    sitk.WriteImage(image, str(path), useCompression=True)


def copy_mask(mask: Mask, source: Path, target: Path) -> None:
    """Copy the file of a mask that is to stay as it is, with the ``CASE.json`` of a 3D ``.tif``."""
    shutil.copyfile(source, target)
    beside = spacing_file(source)
    if mask.reader == TIFF_3D and beside.is_file():
        shutil.copyfile(beside, spacing_file(target))


def spacing_file(path: Path) -> Path:
    """``CASE.json``, where nnU-Net keeps the spacing of a 3D ``.tif`` mask."""
    return path.with_name(path.name.removesuffix(file_ending(path) or "") + ".json")
