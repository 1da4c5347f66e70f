"""Whether a file is whole.

The libraries read NIfTI and GIPL files that were cut short as if the missing voxels were zero, a cut stack of TIFF
pictures as its first picture, and a PNG without its end. They read compressed files to the last voxel and no further,
so that they never see the checksum behind it: of 300 masks with one bit changed 219 were read with other voxels.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nnunet_fair.masks.checksums import crc32
from nnunet_fair.masks.headers import DamagedFileError, NiftiVoxels, Storage

GIPL_HEADER = 256
"""Bytes before the voxels of a ``.gipl`` file."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Contents:
    """What reading a file to its end found.

    Attributes:
        n_bytes: its bytes, decompressed.
        n_not_finite: voxels that are NaN or infinite; 0 for integers.
    """

    n_bytes: int
    n_not_finite: int


def scan_nifti(path: Path, voxels: NiftiVoxels) -> Contents:
    """Read a NIfTI file to its end, a block at a time, a compressed one with its checksums.

    Args:
        path: the file.
        voxels: where its voxels lie.

    Raises:
        DamagedFileError: it is damaged, or no gzip file although its name says so.
    """
    n_not_finite = 0
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            position = len(stream.read(voxels.offset))
            while block := stream.read(_BLOCK):
                if voxels.dtype.kind == "f":
                    n_values = min(len(block), max(0, voxels.n_bytes - position)) // voxels.dtype.itemsize
                    values = np.frombuffer(block, voxels.dtype, n_values)
                    n_not_finite += n_values - int(np.count_nonzero(np.isfinite(values)))
                position += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedFileError(str(error)) from error
    return Contents(position, n_not_finite)


def nifti_contents(path: Path, voxels: NiftiVoxels, array: np.ndarray | None = None) -> Contents:
    """What a NIfTI file holds, looked at no more closely than is needed to know that it is whole.

    Args:
        path: the file.
        voxels: where its voxels lie.
        array: what a reader made of it. A gzip file ends with a checksum of its content: where that of header and
            array together is the same, the array is the content, and the file need not be decompressed once more.

    Raises:
        DamagedFileError: it is damaged.
    """
    if not path.name.lower().endswith(".gz"):
        return scan_nifti(path, voxels) if voxels.dtype.kind == "f" else Contents(path.stat().st_size, 0)
    if array is not None and array.dtype == voxels.dtype.newbyteorder("=") and array.flags.c_contiguous:
        with gzip.open(path) as stream:
            start = stream.read(voxels.offset)
        if _trailer(path) == (crc32(array, zlib.crc32(start)), (len(start) + array.nbytes) % (1 << 32)):
            return Contents(len(start) + array.nbytes, 0)
    return scan_nifti(path, voxels)


def stated_length(path: Path) -> int | None:
    """The uncompressed length modulo 2**32 that a gzip file's last four bytes state; None where it has fewer bytes."""
    trailer = _trailer(path)
    return None if trailer is None else trailer[1]


def _trailer(path: Path) -> tuple[int, int] | None:
    """Checksum and length modulo 2**32 at the end of a gzip file."""
    if path.stat().st_size < 8:
        return None
    with path.open("rb") as stream:
        stream.seek(-8, os.SEEK_END)
        checksum, length = struct.unpack("<2I", stream.read(8))
    return checksum, length


def stream_is_sound(path: Path, storage: Storage, array: np.ndarray) -> bool:
    """Whether the compressed voxels behind a ``.mha`` or ``.nrrd`` header are whole, by their checksum.

    Args:
        path: the file.
        storage: how it keeps them.
        array: what a reader made of them; see :func:`nifti_contents`.
    """
    with path.open("rb") as file:
        file.seek(-min(8, path.stat().st_size), os.SEEK_END)
        end = file.read()
        if storage.stream == "zlib":
            same = end[-4:] == zlib.adler32(array.data).to_bytes(4, "big")
        else:
            same = end == struct.pack("<2I", crc32(array), array.nbytes % (1 << 32))
        if same:
            return True
        file.seek(storage.start)
        found = _checksum_of(file, is_gzip=storage.stream == "gzip")
    # A header that is damaged makes readers take other bytes for the voxels; numbers may be stored in the other order.
    return found in {(zlib.adler32(part.data), part.nbytes) for part in (array, array.byteswap())}


def _checksum_of(file: BinaryIO, *, is_gzip: bool) -> tuple[int, int] | None:
    """Checksum and length of a stream's content, decompressed a block at a time; None where it is not whole."""
    decompressor = zlib.decompressobj(31 if is_gzip else 15)
    checksum, length = 1, 0
    try:
        while not decompressor.eof and (block := decompressor.unconsumed_tail or file.read(_BLOCK)):
            content = decompressor.decompress(block, _BLOCK)
            checksum, length = zlib.adler32(content, checksum), length + len(content)
    except zlib.error:
        return None
    return (checksum, length) if decompressor.eof else None


def picture_is_complete(path: Path) -> bool:
    """Whether a ``.png`` has all its chunks, unchanged, and a ``.tif`` all its pages; True for other formats.

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
    """Whether the chain of chunks (length, name, content, checksum) comes to IEND, each with its checksum right."""
    while True:
        length, name = struct.unpack(">I4s", file.read(8))
        if file.tell() + length + 4 > size:
            return False
        if zlib.crc32(name + file.read(length)) != struct.unpack(">I", file.read(4))[0]:
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
