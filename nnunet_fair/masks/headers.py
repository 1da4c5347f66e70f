"""What the header of an image says: how its voxels are kept, and their size, before any of them is read.

A voxel size is checked as it stands there, because readers make 1 mm of a 0 and a positive number of a negative one.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_fair.files import is_utf8
from nnunet_fair.masks.endings import file_ending
from nnunet_fair.masks.grid import Grid, size_text

SMALLEST_MM, LARGEST_MM = 1e-3, 1e3
"""Voxel sizes beyond these are mistakes of a unit: metres taken for mm, or the number of an empty field."""

DEFLATE = 1032
"""The most bytes a byte of gzip, zlib and PNG can become: 258 bytes from two bits (zlib's documentation)."""

_ASCII = 8  # a digit and a space stand for a number of 8 bytes
_TEXT_HEADER = 1 << 16
_LARGEST_OFFSET = 1 << 26  # bytes of a NIfTI file's extensions, which readers take into memory
_GIPL_SPACING = 10  # bytes before the four voxel sizes


class DamagedFileError(Exception):
    """A header or a compressed stream that cannot be read, or that cannot be true; the message says why."""


class VoxelSizeError(ValueError):
    """A voxel size that is no size; the message names it."""


@dataclass(frozen=True)
class Storage:
    """How a file keeps its voxels.

    Attributes:
        ratio: the most bytes that a byte of the file can become; None where its compression has no bound.
        stream: ``gzip`` or ``zlib`` where the voxels are such a stream, whose checksum tells whether it is whole.
        start: where that stream begins, in bytes.
        spacing: the voxel size the header states, along x, y and z; None where it states none.
    """

    ratio: int | None
    stream: str | None = None
    start: int = 0
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True)
class NiftiVoxels:
    """Where the voxels of a NIfTI file lie, by its header.

    Attributes:
        offset: bytes before the first voxel, decompressed.
        n_bytes: bytes to the end of the last voxel, decompressed.
        dtype: the type they are stored in.
        shape: voxels along x, y, z and further axes.
        spacing: the voxel size along x, y and z as it is written there.
    """

    offset: int
    n_bytes: int
    dtype: np.dtype
    shape: tuple[int, ...]
    spacing: tuple[float, ...]


def nifti_voxels(path: Path) -> NiftiVoxels:
    """Read the header of a ``.nii`` or ``.nii.gz`` file, and nothing behind it.

    Raises:
        DamagedFileError: it is none, or cannot be read.
    """
    import nibabel
    from nibabel.spatialimages import HeaderDataError

    is_gz = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path) if is_gz else path.open("rb") as file:
            block = file.read(540)
        kind: Any = nibabel.Nifti1Header
        if block[:4] in (struct.pack("<i", 540), struct.pack(">i", 540)):
            kind = nibabel.Nifti2Header
        n_bytes = kind.template_dtype.itemsize
        if len(block) < n_bytes:
            raise DamagedFileError(f"it has {len(block)} bytes, fewer than a NIfTI header")
        header = kind(block[:n_bytes], check=False)
        if bytes(header["magic"]).rstrip(b"\0") not in (b"n+1", b"n+2\0\r\n\x1a\n", b"n+2"):
            raise DamagedFileError("it has no NIfTI header")
        shape = tuple(int(size) for size in header.get_data_shape())
        dtype = np.dtype(header.get_data_dtype())
        offset = max(int(header["vox_offset"]), n_bytes)
    except (OSError, EOFError, OverflowError, ValueError, KeyError, zlib.error, HeaderDataError) as error:
        raise DamagedFileError(str(error)) from error
    if not shape or min(shape) < 1:
        raise DamagedFileError(f"its header states {size_text(shape) or 'no'} voxels")
    if offset > _LARGEST_OFFSET:
        raise DamagedFileError(f"its header puts the voxels behind {offset:,} bytes")
    spacing = tuple(float(size) for size in header["pixdim"][1 : 1 + min(len(shape), 3)])
    return NiftiVoxels(offset, offset + math.prod(shape) * dtype.itemsize, dtype, shape, spacing)


def check_is_file(path: Path) -> None:
    """Refuse what is no file that can be opened.

    Raises:
        DamagedFileError: it is none; the message says what it is.
    """
    if not is_utf8(path):
        raise DamagedFileError("its name is not UTF-8; rename it")
    if path.is_dir():
        raise DamagedFileError("it is a folder")
    if not path.is_file():
        raise DamagedFileError("it is a link that leads to no file" if path.is_symlink() else "there is no such file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise DamagedFileError(f"the system refuses it: {error.strerror or error}") from error


def storage_of(path: Path) -> Storage:
    """How a file of one of nnU-Net's formats keeps its voxels.

    Raises:
        DamagedFileError: its header is not that of the format, or points at other files.
        VoxelSizeError: the voxel size stated there is none.
    """
    ending = (file_ending(path) or "").lower()
    try:
        if ending in (".nii", ".nii.gz"):
            voxels = nifti_voxels(path)
            is_gz = ending == ".nii.gz"
            found = Storage(DEFLATE if is_gz else 1, "gzip" if is_gz else None, spacing=voxels.spacing)
        else:
            with path.open("rb") as file:
                head = file.read(_TEXT_HEADER)
            parse = {".mha": _meta_image, ".nrrd": _nrrd, ".gipl": _gipl}.get(ending)
            found = parse(head) if parse else Storage(None)
    except (ValueError, struct.error) as error:
        raise DamagedFileError(f"its header cannot be read: {error}") from error
    if found.spacing is not None:
        check_voxel_size(found.spacing)
    return found


def check_voxel_size(spacing: Sequence[float]) -> None:
    """Refuse voxel sizes that are none.

    Args:
        spacing: in mm.

    Raises:
        VoxelSizeError: one is not a number from ``SMALLEST_MM`` to ``LARGEST_MM``.
    """
    if not all(SMALLEST_MM <= size <= LARGEST_MM for size in spacing):
        raise VoxelSizeError(
            f"its voxel size is {' × '.join(f'{size:.6g}' for size in spacing)} mm, and distances and volumes need "
            f"sizes from {SMALLEST_MM:g} to {LARGEST_MM:g} mm; mend its header"
        )


def check_grid(grid: Grid) -> None:
    """Refuse grids that put voxels nowhere, whatever reader they are from.

    Raises:
        VoxelSizeError: a voxel size, in the header or by the axes, is none, or a place is no number.
    """
    check_voxel_size(grid.spacing)
    if not np.isfinite([*grid.origin, *grid.direction]).all():
        raise VoxelSizeError("its origin or direction is no number; mend its header")
    check_voxel_size(np.linalg.norm(grid.axes(), axis=0).tolist())


def _meta_image(head: bytes) -> Storage:
    """A ``.mha``: lines ``Key = Value``, the last one ElementDataFile, then the voxels."""
    end = re.search(rb"^ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n", head, re.MULTILINE)
    if end is None:
        raise DamagedFileError("it has no MetaImage header")
    _check_lines(head[: end.start()], rb"[\w .|:\[\]-]{1,200}= ?[^\0-\x08\x0a-\x1f]{0,2000}")
    _refuse_detached(end[1], b"LOCAL")
    fields = dict(re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", head[: end.start()].decode("latin-1"), re.MULTILINE))
    spacing = fields.get("ElementSpacing", fields.get("ElementSize"))
    stated = None if spacing is None else tuple(float(size) for size in spacing.split())
    if fields.get("CompressedData", "").lower()[:1] == "t":
        return Storage(DEFLATE, "zlib", end.end(), stated)
    return Storage(1 if fields.get("BinaryData", "").lower()[:1] == "t" else _ASCII, spacing=stated)


def _nrrd(head: bytes) -> Storage:
    """A ``.nrrd``: lines ``key: value`` to an empty line, then the voxels."""
    end = re.search(rb"\r?\n\r?\n", head)
    if not head.startswith(b"NRRD") or end is None:
        raise DamagedFileError("it has no NRRD header")
    _check_lines(head[: end.start()], rb"NRRD\d{4}|#.*|[\w ]{1,40}: ?[^\0-\x08\x0a-\x1f]{0,400}|[^:]{1,400}:=.*")
    text = head[: end.start()].decode("latin-1")
    fields = {key.lower(): value.strip() for key, value in re.findall(r"^([\w ]+?): ?(.*?)\r?$", text, re.MULTILINE)}
    _refuse_detached(fields.get("data file", fields.get("datafile", "")).encode("latin-1"), b"")
    spacing = fields.get("spacings")
    stated = None if spacing is None else tuple(float(size) for size in spacing.split())
    encoding = fields.get("encoding", "").lower()
    if encoding in ("gz", "gzip"):
        return Storage(DEFLATE, "gzip", end.end(), stated)
    return Storage({"raw": 1, "hex": 1}.get(encoding, _ASCII), spacing=stated)


def _gipl(head: bytes) -> Storage:
    """A ``.gipl``: 256 bytes, then the voxels."""
    size = struct.unpack_from(">4H", head)
    n_dims = 2 if size[2] <= 1 else 3
    return Storage(1, spacing=struct.unpack_from(f">{n_dims}f", head, _GIPL_SPACING))


def _check_lines(header: bytes, expected: bytes) -> None:
    """Refuse a header of other lines than its format has: ITK ends the whole process at some overlong ones."""
    for number, line in enumerate(header.splitlines(), start=1):
        if not re.fullmatch(expected, line):
            raise DamagedFileError(f"line {number} of its header is none of the format's")


def _refuse_detached(name: bytes, here: bytes) -> None:
    """Voxels are in the file itself: copied and checked files are whole, and no header makes us read other files."""
    if name.strip() != here:
        raise DamagedFileError(
            f"its voxels are in another file ({name.decode('latin-1').strip()[:80]}); save header and voxels as one"
        )
