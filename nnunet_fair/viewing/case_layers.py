"""A case as NiiVue shows it: image and masks as NIfTI files in memory, at their place in space."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

from nnunet_fair.evaluation.reports.case_volumes import CaseVolumes
from nnunet_fair.masks.grid import Grid


@dataclass(frozen=True, repr=False)
class CaseLayers:
    """The files of a case.

    Attributes:
        image: a NIfTI file; all zero where there is no image.
        masks: a NIfTI file of 0 and 1 for each mask.
        outlines: the same of each mask's rim in its slices.
        has_image: whether there is an image.
        crosshair: where to begin, in mm to the right, front and top as NIfTI counts them.
    """

    image: bytes
    masks: tuple[bytes, ...]
    outlines: tuple[bytes, ...]
    has_image: bool
    crosshair: tuple[float, float, float]


def case_layers(volumes: CaseVolumes) -> CaseLayers:
    """Turn a case's volumes into files.

    Args:
        volumes: the case.

    Returns:
        The files, in the full resolution of the masks.
    """
    shape = volumes.masks[0].shape
    image = np.zeros(shape, np.uint8) if volumes.image is None else _smallest(volumes.image)
    best = volumes.best_slice
    plane = next((mask[best] for mask in volumes.masks if mask[best].any()), np.ones(shape[1:], bool))
    row, column = np.argwhere(plane).mean(axis=0)
    x, y, z, _ = (float(mm) for mm in nifti_affine(volumes.grid) @ (column, row, best, 1))
    return CaseLayers(
        nifti_file(image, volumes.grid),
        tuple(nifti_file(mask.astype(np.uint8), volumes.grid) for mask in volumes.masks),
        tuple(nifti_file(rim(mask).astype(np.uint8), volumes.grid) for mask in volumes.masks),
        volumes.image is not None,
        (x, y, z),
    )


def rim(mask: np.ndarray) -> np.ndarray:
    """The voxels of a mask that have a neighbour outside it in their slice.

    Args:
        mask: bool array of shape (slices, rows, columns).

    Returns:
        Bool array of the same shape.
    """
    in_plane = ndimage.generate_binary_structure(2, 1)[None]
    return mask & ~ndimage.binary_erosion(mask, in_plane)


def nifti_file(array: np.ndarray, grid: Grid) -> bytes:
    """A NIfTI-1 file in memory.

    Args:
        array: of shape (slices, rows, columns).
        grid: its grid; a 2D one lies in the plane z = 0.

    Returns:
        The file, not packed.
    """
    return nib.Nifti1Image(array.T, nifti_affine(grid)).to_bytes()


def nifti_affine(grid: Grid) -> np.ndarray:
    """Where NIfTI puts the voxel (column, row, slice, 1), in mm, shape (4, 4)."""
    n_dims = len(grid.size)
    affine = np.eye(4)
    affine[:n_dims, :n_dims] = grid.axes()
    affine[:n_dims, 3] = grid.origin
    affine[:2] *= -1  # ITK's axes point left and back, NIfTI's right and front
    return affine


def _smallest(image: np.ndarray) -> np.ndarray:
    """The image as int16 where that loses nothing, else as float32."""
    whole = image.astype(np.int16) if np.abs(image).max(initial=0) < 2**15 else None
    return whole if whole is not None and np.array_equal(whole, image) else image.astype(np.float32)
