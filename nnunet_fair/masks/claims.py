"""What the header of an image claims, held against what its file can hold before a voxel is read.

Readers allocate what a header asks for: 184 bytes that claim 1200×1200×900 voxels took 2.8 GB. So the claim is compared
with the bytes that are there, times the most that the file's compression can make of a byte, and with a limit
(``MAX_IMAGE_BYTES``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import file_ending
from nnunet_fair.masks.grid import size_text
from nnunet_fair.masks.headers import DEFLATE, DamagedFileError

MAX_IMAGE_VARIABLE = "NNUNET_FAIR_MAX_IMAGE_GIB"
"""Environment variable with another limit, in GiB."""

MAX_IMAGE_BYTES = 8 * 2**30
"""The most an image may take in memory: 1,024 slices of 1024×1024 voxels of 8 bytes, or 2048³ of one byte."""

_LZW = 2560  # twelve bits stand for 3,838 bytes at most: the table has 4,094 entries, each a byte longer than another
_PACKBITS = 64  # two bytes stand for 128
_TIFF_RATIOS = {1: 1, 5: _LZW, 8: DEFLATE, 32946: DEFLATE, 32773: _PACKBITS}


def check_claim(path: Path, shape: Sequence[int], n_bytes_each: int, ratio: int | None) -> None:
    """Refuse a header that claims more than its file can hold, or than is read at all.

    Args:
        path: the file.
        shape: voxels along each axis, and channels, as the header claims them.
        n_bytes_each: bytes of a value.
        ratio: the most bytes that a byte of the file can become; None where there is no bound.

    Raises:
        DamagedFileError: it does.
    """
    claimed, size = math.prod(shape) * n_bytes_each, path.stat().st_size
    claim = f"its header claims {size_text(shape)} values of {n_bytes_each} bytes"
    if ratio is not None and claimed > ratio * size:
        raise DamagedFileError(f"{claim}, more than its {size:,} bytes can hold")
    limit = max_image_bytes()
    if claimed > limit:
        raise DamagedFileError(
            f"{claim}, more than the {limit / 2**30:g} GiB that are read; if that is its size, set {MAX_IMAGE_VARIABLE}"
        )


def open_itk(path: Path, ratio: int | None) -> sitk.ImageFileReader:
    """SimpleITK's reader of a file, its header read and held against the file, its voxels not yet read.

    Args:
        path: the file.
        ratio: see :func:`check_claim`.

    Raises:
        DamagedFileError: the header claims too much.
        RuntimeError: SimpleITK cannot read it.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    n_channels = reader.GetNumberOfComponents()
    value = sitk.Image([1, 1], reader.GetPixelID(), n_channels)
    shape = (*reader.GetSize(), *((n_channels,) if n_channels > 1 else ()))
    check_claim(path, shape, value.GetSizeOfPixelComponent(), ratio)
    return reader


def check_picture(path: Path) -> None:
    """Hold the header of a ``.png``, ``.bmp`` or ``.tif`` against its file.

    Raises:
        DamagedFileError: it is none, cannot be read, or claims too much.
    """
    ending = (file_ending(path) or "").lower()
    try:
        shape, n_bytes, ratio = _tiff_claim(path) if ending in (".tif", ".tiff") else _picture_claim(path)
    except Exception as error:  # these libraries raise whatever a damaged file leads them to
        raise DamagedFileError(str(error) or type(error).__name__) from error
    check_claim(path, shape, n_bytes, ratio)


def max_image_bytes() -> float:
    """The most bytes an image may take, ``MAX_IMAGE_BYTES`` or what the environment says.

    Raises:
        UserError: that is no number.
    """
    text = os.environ.get(MAX_IMAGE_VARIABLE, "")
    try:
        return float(text) * 2**30 if text else MAX_IMAGE_BYTES
    except ValueError:
        raise UserError(f"{MAX_IMAGE_VARIABLE} is {text!r}; expected a number of GiB") from None


def _tiff_claim(path: Path) -> tuple[tuple[int, ...], int, int | None]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        return series.shape, series.dtype.itemsize, _TIFF_RATIOS.get(int(series.keyframe.compression))


def _picture_claim(path: Path) -> tuple[tuple[int, ...], int, int | None]:
    from PIL import Image

    with Image.open(path) as picture:
        # A bit takes a byte once it is read; eight of them came from one byte of the file.
        n_bytes = {"I": 4, "F": 4, "I;16": 2, "I;16B": 2}.get(picture.mode, 1)
        shape = (*picture.size, len(picture.getbands()))
        if picture.format == "PNG":
            return shape, n_bytes, 8 * DEFLATE
        return shape, n_bytes, 8 if picture.format == "BMP" and picture.info.get("compression") in (0, 3) else None
