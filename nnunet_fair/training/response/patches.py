"""The patch around a lesion: of the size the network is trained with, its middle that of the largest component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnunet_fair.masks.boxes import bounding_box
from nnunet_fair.masks.components import Piece, filter_components, foreground_windows


def lesion_voxels(labels: np.ndarray, ignore_label: int | None) -> np.ndarray:
    """The voxels of the lesion, every label above 0.

    Args:
        labels: integer array of shape (1, slices, rows, columns), preprocessed.
        ignore_label: the label that says nothing about a voxel; None where there is none.

    Returns:
        Bool array of shape (slices, rows, columns).
    """
    lesion = labels[0] > 0
    return lesion if ignore_label is None else lesion & (labels[0] != ignore_label)


def lesion_middle(lesion: np.ndarray) -> list[int] | None:
    """The middle of the box around the largest component (26 neighbours).

    Args:
        lesion: bool array of shape (slices, rows, columns).

    Returns:
        Its voxel in array order; None where there is no lesion.
    """
    pieces = [Piece(window, lesion[window]) for window in foreground_windows(lesion)]
    for piece in filter_components(pieces, lesion.shape, keep=1):
        box = bounding_box(piece.mask)
        if box is not None:
            starts = [axis.start for axis in piece.window]
            return [start + (axis.start + axis.stop) // 2 for start, axis in zip(starts, box, strict=True)]
    return None


def lesion_patch(image: Any, lesion: np.ndarray, patch_size: Sequence[int]) -> np.ndarray | None:
    """The patch around the largest component of a lesion.

    Args:
        image: preprocessed, array of shape (channels, slices, rows, columns), in memory or as nnU-Net stores it.
        lesion: bool array of shape (slices, rows, columns).
        patch_size: size of the patch in voxels.

    Returns:
        Float32 array of shape (channels, *patch_size), 0 outside the image, as nnU-Net pads; None without a lesion.
    """
    from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd

    middle = lesion_middle(lesion)
    if middle is None:
        return None
    window = [[m - size // 2, m - size // 2 + size] for m, size in zip(middle, patch_size, strict=True)]
    return np.ascontiguousarray(crop_and_pad_nd(image, window, 0), dtype=np.float32)
