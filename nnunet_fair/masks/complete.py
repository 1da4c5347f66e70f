"""Whether a file is whole.

The libraries read NIfTI and GIPL files that were cut short as if the missing voxels were zero, a cut stack of TIFF
pictures as its first picture, and a PNG without its end.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

GIPL_HEADER = 256
"""Bytes before the voxels of a ``.gipl`` file."""

_CHUNK = 1 << 20


class DamagedFileError(Exception):
    """A header or a compressed stream that cannot be read; the message says why."""


@dataclass(frozen=True)
class NiftiVoxels:
    """Where the voxels of a NIfTI file lie, by its header.

    Attributes:
        offset: bytes before the first voxel, decompressed.
        n_bytes: bytes to the end of the last voxel, decompressed.
        dtype: the type they are stored in.
    """

    offset: int
    n_bytes: int
    dtype: np.dtype


def nifti_voxels(path: Path) -> NiftiVoxels:
    """Read the header of a ``.nii`` or ``.nii.gz`` file.

    Raises:
        DamagedFileError: it is none, or cannot be read.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image: Any = nibabel.load(path)
        proxy = image.dataobj
        n_voxels = int(np.prod(proxy.shape, dtype=np.int64))
        return NiftiVoxels(
            int(proxy.offset), int(proxy.offset) + n_voxels * proxy.dtype.itemsize, np.dtype(proxy.dtype)
        )
    except (OSError, EOFError, OverflowError, ValueError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise DamagedFileError(str(error)) from error


def is_complete(path: Path, n_bytes: int) -> bool:
    """Whether a file holds at least so many bytes, a ``.gz`` file when decompressed.

    Args:
        path: the file.
        n_bytes: header and voxels together.

    Raises:
        OSError: the file cannot be opened.
    """
    if not path.name.lower().endswith(".gz"):
        return path.stat().st_size >= n_bytes
    # A gzip stream ends with the number of bytes it holds (modulo 2**32). A file of several streams tells only the last
    # one's, so a number that does not fit is looked into before the file is called cut short.
    return stated_length(path) == n_bytes % (1 << 32) or _holds_at_least(path, n_bytes)


def stated_length(path: Path) -> int | None:
    """The uncompressed length modulo 2**32 that a gzip file's last four bytes state; None where it has fewer bytes."""
    if path.stat().st_size < 4:
        return None
    with path.open("rb") as stream:
        stream.seek(-4, os.SEEK_END)
        return int.from_bytes(stream.read(4), "little")


def _holds_at_least(path: Path, n_bytes: int) -> bool:
    """Whether a gzip file decompresses to at least this many bytes, its checksums right."""
    found = 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK):
                found += len(chunk)
    except (OSError, EOFError, zlib.error):
        return False
    return found >= n_bytes


def picture_is_complete(path: Path) -> bool:
    """Whether a ``.png`` has its last chunk and a ``.tif`` all its pages; True for other formats.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(8)
        size = path.stat().st_size
        try:
            if start == b"\x89PNG\r\n\x1a\n":
                return _png_ends(file, size)
            if start[:4] in (b"II*\0", b"MM\0*"):
                return _tiff_ends(file, "<" if start[:2] == b"II" else ">", size)
        except struct.error:  # fewer bytes than one entry takes
            return False
    return True


def _png_ends(file: BinaryIO, size: int) -> bool:
    """Whether the chain of chunks (length, name, content, checksum) comes to IEND inside the file."""
    while True:
        length, name = struct.unpack(">I4s", file.read(8))
        end = file.seek(length + 4, os.SEEK_CUR)
        if end > size:
            return False
        if name == b"IEND":
            return True


def _tiff_ends(file: BinaryIO, order: str, size: int) -> bool:
    """Whether the chain of page directories ends inside the file; classic TIFF, which stays below 4 GiB."""
    file.seek(4)
    (offset,) = struct.unpack(f"{order}I", file.read(4))
    seen = set()
    while offset and offset not in seen:
        seen.add(offset)
        file.seek(offset)
        (n_entries,) = struct.unpack(f"{order}H", file.read(2))
        file.seek(12 * n_entries, os.SEEK_CUR)
        (offset,) = struct.unpack(f"{order}I", file.read(4))
        if offset >= size:
            return False
    return True
