"""Connected components of a mask: keep the largest ones and those large enough.

Masks are nearly empty volumes, so the work is done on a few small windows around the foreground and never on the whole
volume.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np

from nnunet_fair.masks.boxes import bounding_box

Window = tuple[slice, ...]
Connectivity = Literal[6, 18, 26]

# Voxels along each side of the blocks that foreground is looked for in; eight bools are one 64-bit number.
_BLOCK = 8
# With more windows than this the foreground is noise, and one window around all of it is the faster way.
_MANY_WINDOWS = 64


@dataclass(frozen=True)
class Piece:
    """A part of a mask.

    Attributes:
        window: where it lies in the volume.
        mask: bool array of the window's shape.
    """

    window: Window
    mask: np.ndarray


def foreground_windows(mask: np.ndarray) -> list[Window]:
    """Windows that hold all of the foreground, so far apart that no voxel of one touches a voxel of another.

    Args:
        mask: array of shape (slices, rows, columns), integer or bool.

    Returns:
        Disjoint windows, none for an empty mask.
    """
    # Rows first: the pass over the whole volume then runs along contiguous memory.
    coarse = _blockwise_or(_blockwise_or(mask, 1), 0) != 0
    padded = np.pad(coarse, ((0, 0), (0, 0), (0, -mask.shape[2] % _BLOCK)))
    occupied = padded.view(np.uint64) != 0  # eight bools at a time
    # Touching voxels lie in one block or in touching blocks, so a component never leaves its component of blocks.
    labels, count = label_components(occupied, 26)
    if not count:
        return []
    if count > _MANY_WINDOWS:
        around = bounding_box(mask)
        return [around] if around else []
    boxes = cc3d.statistics(labels)["bounding_boxes"][1 : count + 1]
    limits = [
        [(axis.start * _BLOCK, min(axis.stop * _BLOCK, size)) for axis, size in zip(box, mask.shape, strict=True)]
        for box in boxes
    ]
    return [tuple(slice(*axis) for axis in box) for box in _disjoint(limits)]


def _blockwise_or(array: np.ndarray, axis: int) -> np.ndarray:
    """Bitwise or over blocks along an axis, the last block perhaps shorter (``reduceat`` does this 30 times slower)."""
    size = array.shape[axis]
    whole = size // _BLOCK * _BLOCK
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    parts = []
    if whole:
        blocks = array[(slice(None),) * axis + (slice(whole),)].reshape(*before, whole // _BLOCK, _BLOCK, *after)
        parts.append(np.bitwise_or.reduce(blocks, axis=axis + 1))
    if whole < size:
        rest = array[(slice(None),) * axis + (slice(whole, None),)]
        parts.append(np.bitwise_or.reduce(rest, axis=axis, keepdims=True))
    return np.concatenate(parts, axis=axis)


def _disjoint(boxes: list[list[tuple[int, int]]]) -> list[list[tuple[int, int]]]:
    """The boxes with overlapping ones joined into the box around them, until none overlap."""
    apart: list[list[tuple[int, int]]] = []
    waiting = list(boxes)
    while waiting:
        box = waiting.pop()
        overlapping = next((other for other in apart if _overlap(box, other)), None)
        if overlapping is None:
            apart.append(box)
        else:
            apart.remove(overlapping)
            waiting.append(
                [(min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(box, overlapping, strict=True)],
            )
    return apart


def _overlap(box: list[tuple[int, int]], other: list[tuple[int, int]]) -> bool:
    return all(a[0] < b[1] and b[0] < a[1] for a, b in zip(box, other, strict=True))


def voxels_for_volume(volume_mm3: float, voxel_mm3: float) -> int:
    """The smallest number of voxels with at least this volume, never below 1.

    Args:
        volume_mm3: volume in mm³.
        voxel_mm3: volume of one voxel in mm³.
    """
    # The small slack keeps a volume of exactly k voxels at k voxels in floating point.
    return max(1, math.ceil(volume_mm3 / voxel_mm3 - 1e-6))


def label_components(mask: np.ndarray, connectivity: Connectivity) -> tuple[np.ndarray, int]:
    """Number the connected components of a mask.

    Args:
        mask: bool array of shape (slices, rows, columns).
        connectivity: 6 (faces), 18 (and edges) or 26 (and corners).

    Returns:
        Integer array of the same shape, 0 background and 1 … n the components, and n.
    """
    # On a line of voxels all connectivities are the same; connected-components-3d 4.1 fails there with 26.
    on_a_line = sum(size > 1 for size in mask.shape) <= 1
    return cc3d.connected_components(mask, connectivity=6 if on_a_line else connectivity, return_N=True)


def filter_components(
    pieces: Sequence[Piece],
    shape: tuple[int, ...],
    *,
    connectivity: Connectivity = 26,
    keep: int | None = None,
    min_voxels: int = 1,
) -> list[Piece]:
    """Keep the largest connected components of a mask.

    Args:
        pieces: the mask in pieces that do not touch, in disjoint windows (see :func:`foreground_windows`).
        shape: the volume's shape.
        connectivity: 6 (faces), 18 (and edges) or 26 (and corners).
        keep: how many components to keep at most, largest first; None keeps all. Of equally large components the one
            whose first voxel comes first in the volume is kept.
        min_voxels: smallest size of a component in voxels.

    Returns:
        The pieces, in their order, with what is kept of each.
    """
    if keep is None and min_voxels <= 1:
        return list(pieces)
    labelled = [label_components(piece.mask, connectivity) for piece in pieces]
    found = []  # (size, piece, component)
    for index, (labels, count) in enumerate(labelled):
        sizes = cc3d.statistics(labels, no_slice_conversion=True)["voxel_counts"] if count else ()
        found += [(int(sizes[k]), index, k) for k in range(1, count + 1) if sizes[k] >= min_voxels]
    if keep is not None and len(found) > keep:
        smallest = sorted((size for size, _, _ in found), reverse=True)[keep - 1]
        larger = [entry for entry in found if entry[0] > smallest]
        equal = [entry for entry in found if entry[0] == smallest]
        if len(larger) + len(equal) > keep:
            equal.sort(key=lambda entry: _first_voxel(pieces[entry[1]].window, labelled[entry[1]][0], entry[2], shape))
        found = larger + equal[: keep - len(larger)]
    kept = []
    for index, (piece, (labels, count)) in enumerate(zip(pieces, labelled, strict=True)):
        selected = np.zeros(count + 1, dtype=bool)
        selected[[component for _, where, component in found if where == index]] = True
        kept.append(Piece(piece.window, selected[labels]))
    return kept


def _first_voxel(window: Window, labels: np.ndarray, component: int, shape: tuple[int, ...]) -> int:
    """The place of a component's first voxel in the flattened volume."""
    inside = np.unravel_index(int(np.argmax(labels == component)), labels.shape)
    return int(np.ravel_multi_index([axis.start + k for axis, k in zip(window, inside, strict=True)], shape))
