"""Checks of one case's files: whole, readable, on one grid, finite, labelled 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.findings import CaseProblem
from nnunet_fair.masks.claims import open_itk
from nnunet_fair.masks.complete import scan_nifti, stated_length
from nnunet_fair.masks.grid import SAME_GRID, UNCHANGED, Grid, displacement, grid_of
from nnunet_fair.masks.headers import (
    DamagedFileError,
    VoxelSizeError,
    check_grid,
    check_is_file,
    nifti_voxels,
    storage_of,
)

_SPACING_RTOL = 1e-6  # nnU-Net's reader refuses phases whose spacing differs by more than 1e-5


def needs_repair(reference: Grid, other: Grid) -> bool:
    """Whether ``other`` differs from ``reference`` by rounding that has to be repaired.

    Args:
        reference: the grid of the first phase read.
        other: the grid of another phase or of the label.

    Returns:
        True if a voxel is displaced by more than ``UNCHANGED`` or nnU-Net would refuse the spacing.

    Raises:
        CaseProblem: the sizes differ, or a voxel is displaced by more than ``SAME_GRID``.
    """
    if reference.size != other.size:
        raise CaseProblem(findings.GRID_MISMATCH, f"size {_vector(other.size)} instead of {_vector(reference.size)}")
    distance = displacement(reference, other)
    if distance > SAME_GRID:
        parts = [
            f"{name} {_vector(getattr(other, name))} instead of {_vector(getattr(reference, name))}"
            for name in ("spacing", "origin", "direction")
            if not np.allclose(getattr(other, name), getattr(reference, name), rtol=1e-5, atol=1e-5)
        ]
        raise CaseProblem(findings.GRID_MISMATCH, f"{' and '.join(parts)}, off by {distance:.3g} voxels")
    return distance > UNCHANGED or not np.allclose(other.spacing, reference.spacing, rtol=_SPACING_RTOL, atol=0)


def read_grid(path: Path) -> Grid:
    """The grid of an image file, from its header alone.

    Raises:
        CaseProblem: the header cannot be read, claims more than the file can hold or a voxel size that is none, or the
            file is not a 3D scalar image.
    """
    reader = _open(path)
    if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
        raise CaseProblem(
            findings.NOT_3D,
            f"{path.name} has {reader.GetDimension()} dimensions and {reader.GetNumberOfComponents()} components",
        )
    grid = grid_of(reader)
    try:
        check_grid(grid)
    except VoxelSizeError as error:
        raise CaseProblem(findings.VOXEL_SIZE, f"{path.name}: {error}") from error
    return grid


def read_image(path: Path) -> sitk.Image:
    """A 3D image with its voxels.

    Raises:
        CaseProblem: it cannot be read.
    """
    try:
        return _open(path).Execute()
    except RuntimeError as error:
        raise CaseProblem(findings.UNREADABLE, f"{path.name} ({_itk_reason(error)})") from error


def _open(path: Path) -> sitk.ImageFileReader:
    """The reader of a file whose header is sound."""
    try:
        check_is_file(path)
        return open_itk(path, storage_of(path).ratio)
    except VoxelSizeError as error:
        raise CaseProblem(findings.VOXEL_SIZE, f"{path.name}: {error}") from error
    except DamagedFileError as error:
        raise CaseProblem(findings.UNREADABLE, f"{path.name} ({error})") from error
    except RuntimeError as error:
        raise CaseProblem(findings.UNREADABLE, f"{path.name} ({_itk_reason(error)})") from error


def check_file(path: Path, *, every_byte: bool) -> None:
    """Refuse a compressed NIfTI file that was cut short or damaged or that holds NaN or infinite voxels.

    ITK reads missing voxels, NaN and infinity as zeros without a word, so the bytes themselves are looked at.

    Args:
        path: a ``.nii.gz`` file.
        every_byte: decompress the whole file, check its checksum and every voxel; otherwise only the uncompressed
            length that the last four bytes state is compared with the header's (and the file decompressed if they
            differ, as in a file of several gzip members).

    Raises:
        CaseProblem: the file is incomplete or damaged, or a voxel is not finite.
    """
    try:
        check_is_file(path)
        voxels = nifti_voxels(path)
        if not every_byte and stated_length(path) == voxels.n_bytes % (1 << 32):
            return
        contents = scan_nifti(path, voxels)
    except (DamagedFileError, OSError) as error:
        raise CaseProblem(findings.UNREADABLE, f"{path.name} ({error})") from error
    if contents.n_bytes < voxels.n_bytes:
        raise CaseProblem(
            findings.UNREADABLE, f"{path.name} (holds {contents.n_bytes} bytes, its header asks for {voxels.n_bytes})"
        )
    if contents.n_not_finite:
        raise CaseProblem(findings.NOT_FINITE, f"{contents.n_not_finite} voxels of {path.name}")


def check_label(label: np.ndarray, *, allow_empty: bool = False, ignore_label: int | None = None) -> int:
    """Refuse a label with values that mean nothing, or, where it must not be empty, without a voxel of 1.

    Args:
        label: array of shape (slices, rows, columns), any real dtype.
        allow_empty: whether a label without a voxel of 1 is one of a healthy patient.
        ignore_label: value of voxels that nobody annotated, beside 0 and 1; None where every voxel is annotated.

    Returns:
        The number of voxels of 1.

    Raises:
        CaseProblem: another value, none of 1, or no annotated voxel.
    """
    ones, zeros = int(np.count_nonzero(label == 1)), int(np.count_nonzero(label == 0))
    ignored = 0 if ignore_label is None else int(np.count_nonzero(label == ignore_label))
    if ones + zeros + ignored < label.size:
        others = [value for value in np.unique(label) if value not in (0, 1, ignore_label)]
        raise CaseProblem(findings.LABEL_VALUES, f"found {', '.join(f'{value:g}' for value in others[:5])}")
    if ignored == label.size:
        raise CaseProblem(findings.EMPTY_LABEL, f"every voxel is {ignore_label}, which nobody annotated")
    if not ones and not allow_empty:
        raise CaseProblem(findings.EMPTY_LABEL)
    return ones


def _itk_reason(error: RuntimeError) -> str:
    """The last line of an ITK error, which says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("sitk::ERROR:").strip() if lines else "unknown reason"


def _vector(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
