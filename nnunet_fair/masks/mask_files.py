"""Mask files: read with their geometry and header, written back with the same."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.masks.components import Window, foreground_windows

FILE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".bmp", ".tif")


@dataclass(frozen=True)
class Mask:
    """A segmentation with its geometry.

    Attributes:
        array: integer array of shape (slices, rows, columns); a 2D image has one slice.
        spacing: voxel size in mm, in array order (slice, row, column); 1 for the slice of a 2D image.
        header: an image without the voxels' meaning: spacing, origin, direction and the header's fields are taken from
            it when the mask is written.
        as_stored: whether the voxels are those of the file, in its own type.
    """

    array: np.ndarray
    spacing: tuple[float, float, float]
    header: sitk.Image
    as_stored: bool

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm³."""
        return float(np.prod(self.spacing))

    def foreground_labels(self) -> tuple[int, ...]:
        """The labels above 0 that occur, ascending."""
        windows = foreground_windows(self.array)
        return tuple(sorted({int(label) for window in windows for label in np.unique(self.array[window]) if label}))


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


def case_id_of(path: str | os.PathLike) -> str | None:
    """The case ID in the name of a mask file (its name without the file ending), None where it is not a mask file."""
    name = Path(path).name
    ending = next((ending for ending in FILE_ENDINGS if name.lower().endswith(ending)), None)
    return None if ending is None or name.startswith(".") else name[: -len(ending)]


def list_masks(folder: str | os.PathLike) -> dict[str, Path]:
    """The mask files of a folder by case ID, in the order of their names.

    Raises:
        UserError: no such folder, no mask in it, or two files of one case.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; -i takes the folder nnUNetv2_predict wrote")
    masks: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        case_id = case_id_of(file) if file.is_file() else None
        if case_id in masks:
            raise UserError(f"{folder} holds two masks of {case_id}: {masks[case_id].name} and {file.name}; keep one")
        if case_id:
            masks[case_id] = file
    if not masks:
        raise UserError(f"{folder} holds no masks (files ending in {', '.join(FILE_ENDINGS)})")
    return masks


def read_mask(path: str | os.PathLike) -> Mask:
    """Read a segmentation.

    Args:
        path: an image file SimpleITK reads, 2D or 3D, with whole-number values of 0 or more. Floating-point files with
            whole numbers are taken, as uint8 where they fit, else uint16.

    Raises:
        UserError: the file cannot be read (cut short, another format) or is no segmentation.
    """
    path = Path(path)
    try:
        image = sitk.ReadImage(str(path))
        complete = _is_complete(path, image)
    except RuntimeError:
        complete = False
    if not complete:
        raise UserError(f"{path} is cut short, damaged or no image; predict this case again or copy the file again")
    if image.GetDimension() not in (2, 3) or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(
            f"{path}: expected a 2D or 3D image with one value a voxel, found {image.GetDimension()} dimensions and "
            f"{image.GetNumberOfComponentsPerPixel()} values"
        )
    stored = sitk.GetArrayViewFromImage(image)
    array = _whole_numbers(stored, path)
    spacing = tuple(float(size) for size in reversed(image.GetSpacing()))
    if image.GetDimension() == 2:
        return Mask(array[None], (1.0, *spacing), image, array is stored)
    return Mask(array, spacing, image, array is stored)


def _is_complete(path: Path, image: sitk.Image) -> bool:
    """Whether a NIfTI file holds all its voxels: SimpleITK reads one that was cut short without a word."""
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        return True
    try:
        header = {key: float(image.GetMetaData(key)) for key in ("vox_offset", "bitpix")}
        expected = int(header["vox_offset"]) + image.GetNumberOfPixels() * int(header["bitpix"]) // 8
        if name.endswith(".nii"):
            return path.stat().st_size >= expected
        # A gzip stream ends with the number of bytes it holds (modulo 2**32). A file of several streams tells only the
        # last one's, so a number that does not fit is looked into before the file is called cut short.
        with path.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            stored = int.from_bytes(file.read(4), "little")
        return stored == expected % 2**32 or _holds_at_least(path, expected)
    except (OSError, EOFError, zlib.error):
        return False


def _holds_at_least(path: Path, n_bytes: int) -> bool:
    """Whether a gzip file decompresses to at least this many bytes, its checksums right."""
    found = 0
    with gzip.open(path) as file:
        while chunk := file.read(1 << 20):
            found += len(chunk)
    return found >= n_bytes


def _as_image(array: np.ndarray, header: sitk.Image) -> sitk.Image:
    image = sitk.GetImageFromArray(array[0] if header.GetDimension() == 2 else array)
    image.CopyInformation(header)
    for key in header.GetMetaDataKeys():
        image.SetMetaData(key, header.GetMetaData(key))
    return image


def _whole_numbers(array: np.ndarray, path: Path) -> np.ndarray:
    if np.issubdtype(array.dtype, np.integer):
        if np.issubdtype(array.dtype, np.signedinteger) and array.min() < 0:
            raise UserError(f"{path}: expected labels of 0 or more, found {array.min()}")
        return array
    if not np.isfinite(array).all() or array.min() < 0 or (array != np.rint(array)).any():
        raise UserError(f"{path}: expected a segmentation with whole numbers of 0 or more, found other values")
    return array.astype(np.uint8 if array.max() <= 255 else np.uint16)


def write_mask(mask: Mask, path: str | os.PathLike, patches: Sequence[Patch] = ()) -> None:
    """Write a segmentation with the geometry and header of the file it came from, compressed.

    Args:
        mask: the segmentation; where it is that of a file, its voxels are no more to be used afterwards.
        path: the file to write; not written atomically, so in a folder nobody reads yet.
        patches: parts to replace, in their order.
    """
    if mask.as_stored and mask.header.GetDimension() == 3:
        # The image read is still there: putting in what changed, in place, spares three copies of the whole volume.
        image = mask.header
        for patch in patches:
            image[tuple(reversed(patch.window))] = sitk.GetImageFromArray(patch.values)
    else:
        image = _as_image(apply_patches(mask.array, patches), mask.header)
    sitk.WriteImage(image, str(path), useCompression=True)
