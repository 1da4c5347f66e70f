"""The one reader of mask and image files: whole, single-channel, whole numbers, with their grid, as nnU-Net reads them.

The message of a file that cannot be read names its cause: cut short, no image, several channels, not 2D or 3D, values
that are no labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.masks.claims import check_claim, check_picture, open_itk
from nnunet_fair.masks.complete import GIPL_HEADER, nifti_contents, picture_is_complete, stream_is_sound
from nnunet_fair.masks.components import foreground_windows
from nnunet_fair.masks.endings import file_ending
from nnunet_fair.masks.grid import Grid, grid_of, set_grid
from nnunet_fair.masks.headers import (
    DEFLATE,
    DamagedFileError,
    Storage,
    VoxelSizeError,
    check_grid,
    check_is_file,
    nifti_voxels,
    storage_of,
)
from nnunet_fair.masks.readers import NIBABEL, SIMPLE_ITK, nnunet_reader, reader_names

_LEFT_TO_ANOTHER = ("orthonormal", "If image has three dimensions")
"""What a reader says of a sound file that is another reader's: ITK of skewed axes, nnU-Net of a stack."""


class CaseProblemError(UserError):
    """What is wrong with one case's files; the run goes on without it."""


@dataclass(frozen=True)
class Mask:
    """A segmentation with its geometry.

    Attributes:
        array: integer array of shape (slices, rows, columns); a 2D image has one slice.
        grid: where its voxels lie, 2D for a 2D image.
        reader: the name of nnU-Net's reader it was read with, and is written with.
        as_stored: whether the voxels are those of the file, in its own type.
        image: the image as SimpleITK read it, with the header's fields, where that is the reader; else None.
        properties: what nnU-Net's other readers hand to their writer.
    """

    array: np.ndarray
    grid: Grid
    reader: str
    as_stored: bool
    image: sitk.Image | None = None
    properties: dict[str, Any] | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm, in array order (slice, row, column); 1 for the slice of a 2D image."""
        sizes = tuple(float(size) for size in reversed(self.grid.spacing))
        return sizes if len(sizes) == 3 else (1.0, *sizes)  # type: ignore[return-value]

    @property
    def values(self) -> np.ndarray:
        """The voxels in the image's own number of dimensions: (slices, rows, columns) or (rows, columns)."""
        return self.array if len(self.grid.size) == 3 else self.array[0]

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm³; area in mm² of a 2D image."""
        return float(np.prod(self.spacing))

    def foreground_labels(self) -> tuple[int, ...]:
        """The labels above 0 that occur, ascending."""
        windows = foreground_windows(self.array)
        return tuple(sorted({int(label) for window in windows for label in np.unique(self.array[window]) if label}))


def read_mask(path: str | Path) -> Mask:
    """Read a segmentation.

    Args:
        path: a 2D or 3D image with whole-number values of 0 or more. Floating-point files with whole numbers are taken,
            as uint8 where they fit, else uint16.

    Raises:
        CaseProblemError: the file cannot be read, is cut short, or is no segmentation; the message names it.
    """
    path = Path(path)
    loaded = _load(path, is_label=True)
    n_channels, n_dims = loaded.n_channels, len(loaded.grid.size)
    if n_channels != 1:
        raise CaseProblemError(
            f"{path} has {n_channels} channels where a label image has one; save the labels as single-channel integers"
        )
    if loaded.n_not_finite:
        raise CaseProblemError(f"{path} holds {loaded.n_not_finite} voxels that are NaN or infinite")
    array = _whole_numbers(loaded.array, path)
    is_stored = array is loaded.array or loaded.stored_as_integers
    return Mask(
        array[None] if n_dims == 2 else array, loaded.grid, loaded.reader, is_stored, loaded.image, loaded.properties
    )


def read_picture(path: str | Path) -> tuple[np.ndarray, Grid]:
    """Read one channel of a case's image, to look at it.

    Args:
        path: the image; colours are averaged.

    Returns:
        Float32 array of shape (slices, rows, columns) or (rows, columns), and its grid.

    Raises:
        CaseProblemError: the file cannot be read, or is a NIfTI file with NaN, which ITK makes 0.
    """
    loaded = _load(Path(path), is_label=False)
    if loaded.n_not_finite:
        raise CaseProblemError(f"{path} holds {loaded.n_not_finite} voxels that are NaN or infinite, read as 0")
    array = loaded.array.astype(np.float32)
    return (array.mean(axis=-1) if loaded.n_channels > 1 else array), loaded.grid


@dataclass(frozen=True)
class Channels:
    """What a file of an image holds.

    Attributes:
        grid: where its voxels lie.
        n_channels: how many channels it holds: one, or three or four of a colour picture.
        n_not_finite: voxels that are NaN or infinite.
    """

    grid: Grid
    n_channels: int
    n_not_finite: int


def read_channels(path: str | Path) -> Channels:
    """Read a file of a case's image whole, to know that nnU-Net can read it.

    Raises:
        CaseProblemError: the file cannot be read or is cut short.
    """
    path = Path(path)
    loaded = _load(path, is_label=False)
    n_not_finite = loaded.n_not_finite
    if not n_not_finite and np.issubdtype(loaded.array.dtype, np.floating):
        n_not_finite = loaded.array.size - int(np.count_nonzero(np.isfinite(loaded.array)))
    return Channels(loaded.grid, loaded.n_channels, n_not_finite)


def to_itk(array: np.ndarray, grid: Grid) -> sitk.Image:
    """An array at its place in space.

    Args:
        array: shape (slices, rows, columns), or (rows, columns); (1, rows, columns) for a 2D grid.
        grid: its grid.
    """
    image = sitk.GetImageFromArray(array[0] if array.ndim > len(grid.size) else array)
    set_grid(image, grid)
    return image


@dataclass(frozen=True)
class _Loaded:
    """What a reader gave: voxels of shape (slices, rows, columns) or (rows, columns), colour channels last.

    nnU-Net's readers give floating-point numbers, whatever the file holds: ``stored_as_integers`` tells. ITK makes NaN
    and infinity in a NIfTI file 0: ``n_not_finite`` counts them.
    """

    array: np.ndarray
    grid: Grid
    reader: str
    n_channels: int
    image: sitk.Image | None = None
    properties: dict[str, Any] | None = None
    stored_as_integers: bool = False
    n_not_finite: int = 0


def _load(path: Path, *, is_label: bool) -> _Loaded:
    try:
        check_is_file(path)
    except DamagedFileError as error:
        raise CaseProblemError(f"{path} cannot be read: {error}") from error
    reasons: list[Exception] = []
    try:
        storage = storage_of(path)
        names = reader_names(path)
    except VoxelSizeError as error:
        raise CaseProblemError(f"{path}: {error}") from error
    except DamagedFileError as error:
        reasons, names = [error], ()
    for name in names:
        try:
            loaded = _with_itk(path, storage) if name == SIMPLE_ITK else _with_nnunet(path, name, is_label)
        except (_NotReadableError, DamagedFileError) as error:
            reasons.append(error)
            continue
        try:
            check_grid(loaded.grid)
        except VoxelSizeError as error:
            raise CaseProblemError(f"{path}: {error}") from error
        return loaded
    # The reader nnU-Net prefers tells most, save where it only says that it leaves such files to another one.
    telling = [reason for reason in reasons if not any(words in str(reason) for words in _LEFT_TO_ANOTHER)] or reasons
    raise CaseProblemError(
        f"{path} cannot be read; the file is cut short, damaged or no image ({telling[0]})"
    ) from telling[0]


class _NotReadableError(Exception):
    """One reader cannot read the file; the message says why."""


def _with_itk(path: Path, storage: Storage) -> _Loaded:
    try:
        image = open_itk(path, storage.ratio).Execute()
    except RuntimeError as error:
        raise _NotReadableError(_last_line(error)) from error
    if image.GetDimension() not in (2, 3):
        raise CaseProblemError(f"{path} is {image.GetDimension()}-dimensional; images and masks are 2D or 3D")
    array, n_not_finite = sitk.GetArrayViewFromImage(image), 0
    if _is_nifti(path):
        n_not_finite = _check_nifti(path, array)
    elif storage.stream is not None and not stream_is_sound(path, storage, array):
        raise CaseProblemError(f"{path} is cut short or damaged: its checksum is wrong")
    elif (file_ending(path) or "").lower() == ".gipl":
        _check_complete(path, path.stat().st_size, GIPL_HEADER + array.nbytes)
    return _Loaded(
        array, grid_of(image), SIMPLE_ITK, image.GetNumberOfComponentsPerPixel(), image, n_not_finite=n_not_finite
    )


def _with_nnunet(path: Path, name: str, is_label: bool) -> _Loaded:
    """Read with one of nnU-Net's other readers."""
    stored_as_integers = True  # pictures and TIFF files; nnU-Net writes no others
    if name == NIBABEL:
        voxels = nifti_voxels(path)
        check_claim(path, voxels.shape, voxels.dtype.itemsize, DEFLATE if path.name.lower().endswith(".gz") else 1)
        _check_nifti(path)
        stored_as_integers = voxels.dtype.kind in "iu"
    elif not picture_is_complete(path):
        raise CaseProblemError(f"{path} is cut short or damaged: a part is missing, or a checksum is wrong")
    else:
        check_picture(path)
    reader = nnunet_reader(name)
    try:
        array, properties = reader.read_seg(str(path)) if is_label else reader.read_images((str(path),))
        spacing = tuple(float(size) for size in properties["spacing"])
    except Exception as error:  # they raise whatever the library below them does, assertions and SyntaxError included
        raise _NotReadableError(_last_line(error)) from error
    if not array.size:
        raise _NotReadableError("it holds no voxel")
    n_channels = len(array)  # (channels, slices, rows, columns); spacing in the order of the array
    if name == NIBABEL:
        grid = _nibabel_grid(array.shape[1:], spacing, properties["nibabel_stuff"]["original_affine"])
    else:
        n_dims = 2 if array.shape[1] == 1 and spacing[0] == 999 else 3
        size, steps = array.shape[1:][::-1][:n_dims], spacing[::-1][:n_dims]
        grid = Grid(size, steps, (0.0,) * n_dims, tuple(np.eye(n_dims).ravel().tolist()))
    planes = array[:, 0] if len(grid.size) == 2 else array
    values = planes[0] if n_channels == 1 else np.moveaxis(planes, 0, -1)
    return _Loaded(values, grid, name, n_channels, None, properties, stored_as_integers)


def _check_nifti(path: Path, array: np.ndarray | None = None) -> int:
    """Refuse a NIfTI file that is not whole; the number of its voxels that are NaN or infinite, 0 in ITK's array."""
    voxels = nifti_voxels(path)
    try:
        contents = nifti_contents(path, voxels, array)
    except DamagedFileError as error:
        raise CaseProblemError(f"{path} is cut short or damaged: {error}") from error
    _check_complete(path, contents.n_bytes, voxels.n_bytes)
    return contents.n_not_finite


def _check_complete(path: Path, found: int, n_bytes: int) -> None:
    if found < n_bytes:
        raise CaseProblemError(
            f"{path} is cut short: its header asks for {n_bytes} bytes, and it holds {found} (decompressed)"
        )


def _nibabel_grid(shape: tuple[int, ...], spacing: tuple[float, ...], affine: np.ndarray) -> Grid:
    """The grid behind a NIfTI affine, which counts from right to left and back to front where ITK does the reverse."""
    turned = np.diag([-1.0, -1.0, 1.0]) @ np.asarray(affine, dtype=float)[:3]
    sizes = spacing[::-1]
    direction = turned[:, :3] / np.array(sizes)
    return Grid(
        tuple(int(size) for size in shape[::-1]),
        sizes,
        tuple(turned[:, 3].tolist()),
        tuple(direction.ravel().tolist()),
    )


def _whole_numbers(array: np.ndarray, path: Path) -> np.ndarray:
    if np.issubdtype(array.dtype, np.integer):
        if np.issubdtype(array.dtype, np.signedinteger) and array.min() < 0:
            raise CaseProblemError(f"{path}: expected labels of 0 or more, found {array.min()}")
        return array
    if not np.isfinite(array).all() or array.min() < 0 or (array != np.rint(array)).any():
        raise CaseProblemError(f"{path}: expected a segmentation with whole numbers of 0 or more, found other values")
    return array.astype(np.uint8 if array.max() <= 255 else np.uint16)


def _is_nifti(path: Path) -> bool:
    return (file_ending(path) or "").lower() in (".nii", ".nii.gz")


def _last_line(error: BaseException) -> str:
    """The line of an error that says why: ITK puts it last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("sitk::ERROR:").strip() if lines else type(error).__name__
