"""How far the voxels of two sets lie from the other set, both ways, in voxels and in mm, by one search.

Surfaces that are compared mostly lie a few voxels apart. So the search goes row by row: a table holds for every voxel
how many voxels away along its own row the next target is, which is the same target in voxels and in mm, and the rows
around a voxel are looked up in the order of their distance until none that is left can be nearer. What lies farther
away, where that would take longer than a tree, is asked of a KD-tree. Both give the exact distance; it is computed from
differences of voxel indices, so that it does not depend on where in the image the voxels lie.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from nnunet_fair.masks.boxes import bounding_box

REACH = 15  # voxels; the table looks so far along a row, and so many rows away
NONE_NEAR = 100  # the table's entry where no target is within reach; its square and two rows' fit 16 bits
# What is worth its time, measured, in units of one voxel looking into the table once (some 2 ns).
STEP_COST = 2000  # of one step of the search for all voxels, beside their looking
TREE_BUILD_COST = 40  # a target
TREE_ANSWER_COST = 500  # a voxel asked
TABLE_COST = 10  # a voxel of the window, for both tables
N_STEPS = 200  # of a search that finds most voxels

Window = tuple[slice, ...]


def nearest_distances(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The distances between two sets of voxels.

    Args:
        first: bool array of any number of dimensions with one voxel or more.
        second: bool array of the same shape with one voxel or more.
        spacing: voxel size in mm along each array axis.

    Returns:
        For the voxels that are in the first set only, then for those in the second only, each in the order of
        ``np.argwhere``: the distances to the nearest voxel of the other set in voxels and in mm, two float arrays of
        shape (n_voxels,).
    """
    asked = [_indices(own & ~other) for own, other in ((first, second), (second, first))]
    targets = [second, first]
    n_asked = sum(map(len, asked))
    sizes = np.ones(first.ndim), np.asarray(spacing, dtype=float)
    found = [np.full((len(sizes), len(points)), np.nan) for points in asked]
    window = _window(first, second)
    if window is not None and TABLE_COST * _volume(window) + N_STEPS * STEP_COST < TREE_ANSWER_COST * n_asked:
        starts, stops = (np.array([getattr(part, end) for part in window]) for end in ("start", "stop"))
        inside = [np.flatnonzero(((points >= starts) & (points < stops)).all(axis=1)) for points in asked]
        near = _Rows([mask[window] for mask in targets], [p[i] - starts for p, i in zip(asked, inside, strict=True)])
        ends = np.cumsum([0, *map(len, inside)])
        for kind, scale in enumerate(sizes):
            distances = near.distances(scale)
            for way, where in enumerate(inside):
                found[way][kind, where] = distances[ends[way] : ends[way + 1]]
    for points, mask, distances in zip(asked, targets, found, strict=True):
        _ask_trees(points, mask, sizes, distances)
    return (found[0][0], found[0][1]), (found[1][0], found[1][1])


def _window(first: np.ndarray, second: np.ndarray) -> Window | None:
    """The part of the array where voxels of both sets may be within reach of each other; None where there is none."""
    boxes = [bounding_box(mask, margin=REACH) or () for mask in (first, second)]
    window = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop, size)) for a, b, size in zip(*boxes, first.shape, strict=True)
    )
    return window if all(part.start < part.stop for part in window) else None


def _indices(mask: np.ndarray) -> np.ndarray:
    """What ``np.argwhere`` gives, several times faster where few voxels are true: shape (n_voxels, n_dimensions)."""
    return np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), axis=1)


def _volume(window: Window) -> int:
    return int(np.prod([part.stop - part.start for part in window]))


def _ask_trees(points: np.ndarray, targets: np.ndarray, sizes: Sequence[np.ndarray], distances: np.ndarray) -> None:
    """Fill in the distances that are not known yet, NaN, of shape (n_sizes, n_points)."""
    if not np.isnan(distances).any():
        return
    indices = _indices(targets)
    for scale, row in zip(sizes, distances, strict=True):
        left = np.flatnonzero(np.isnan(row))
        if len(left):
            # The tree is asked about as often as it has points: building it quickly matters more than a perfect shape,
            # and larger leaves answer faster than deeper trees.
            tree = cKDTree(indices * scale, leafsize=32, balanced_tree=False, compact_nodes=False)
            nearest = indices[tree.query(points[left] * scale)[1]]
            row[left] = np.sqrt((((points[left] - nearest) * scale) ** 2).sum(axis=1))


class _Rows:
    """The tables of distances along rows, and the voxels that look into them.

    Args:
        targets: bool arrays of one shape, the targets of each table.
        points: int arrays of shape (n_points, n_dimensions), the voxels that look into it.
    """

    def __init__(self, targets: Sequence[np.ndarray], points: Sequence[np.ndarray]) -> None:
        shape, n_row_axes = targets[0].shape, targets[0].ndim - 1
        # A rim of rows without targets, so that no look-up leaves its table.
        tables = np.full(
            (len(targets), *(size + 2 * REACH for size in shape[:-1]), shape[-1]), NONE_NEAR**2, dtype=np.int16
        )
        strides = np.array(tables.strides) // tables.itemsize
        for table, mask in zip(tables, targets, strict=True):
            # With a gap after each row a shift of the whole array is a shift of every row.
            gapped = np.full((*shape[:-1], shape[-1] + REACH), NONE_NEAR - REACH, dtype=np.uint8)
            rows, along = gapped[..., : shape[-1]], gapped.ravel()
            rows[mask] = 0
            for step in (1, 2, 4, 8):  # after each turn it looks twice as far, and one voxel more
                for here, there in ((along[step:], along[:-step]), (along[:-step], along[step:])):
                    np.minimum(here, there + np.uint8(step), out=here)
            np.multiply(rows, rows, out=table[(slice(REACH, -REACH),) * n_row_axes], dtype=np.int16)
        self._squares = tables.ravel()
        self._strides = strides[1:-1]
        self._rim = int(REACH * self._strides.sum())
        self._positions = np.concatenate([p @ strides[1:] + i * strides[0] for i, p in enumerate(points)])
        self._n_targets = int(sum(map(np.count_nonzero, targets)))

    def distances(self, sizes: np.ndarray) -> np.ndarray:
        """The distance of each voxel to the nearest target of its table.

        Args:
            sizes: voxel size along each axis.

        Returns:
            Float array of shape (n_voxels,), the voxels of all tables one after the other; NaN where a tree has to be
            asked.
        """
        distances = np.full(len(self._positions), np.nan)
        left, positions = np.arange(len(distances)), self._positions
        # Squares of whole voxels are whole numbers: quicker, and as exact.
        in_voxels = bool((sizes == 1).all())
        kind = np.dtype(np.int16 if in_voxels else float)
        best = np.full(len(left), np.iinfo(np.int16).max if in_voxels else np.inf, dtype=kind)
        spent = 0
        tree_cost = self._tree_cost(len(left))
        for offsets, squares, nearest_later in _rings(tuple(sizes.tolist())):
            cost = len(offsets) * (len(left) + STEP_COST)
            if not len(left) or cost > self._tree_cost(len(left)) / 3 or spent > tree_cost / 2:
                break
            spent += cost
            along = np.empty(len(left), np.int16)
            found = along if in_voxels else np.empty(len(left))
            for shift, square in zip(self._rim + offsets @ self._strides, squares.astype(kind), strict=True):
                np.take(self._squares[shift:], positions, out=along, mode="clip")
                if not in_voxels:
                    np.multiply(along, sizes[-1] ** 2, out=found)
                found += square
                np.minimum(best, found, out=best)
            final = best <= nearest_later
            distances[left[final]] = np.sqrt(best[final], dtype=float)
            left, positions, best = left[~final], positions[~final], best[~final]
        return distances

    def _tree_cost(self, n_points: int) -> int:
        return TREE_BUILD_COST * self._n_targets + TREE_ANSWER_COST * n_points


@functools.lru_cache(maxsize=64)
def _rings(sizes: tuple[float, ...]) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """The rows around a voxel in the order of their distance, in rings.

    Args:
        sizes: voxel size along each axis, the rows' own last.

    Returns:
        A ring's offsets in voxels, int array of shape (n_rows, n_axes), their squared distances, float array of shape
        (n_rows,), and the squared distance that no target of later rings is nearer than.
    """
    across = np.array(sizes[:-1])
    limit = (min(sizes) * (REACH + 1)) ** 2  # beyond it there may be targets that the table does not hold
    steps = itertools.product(range(-REACH, REACH + 1), repeat=len(across))
    offsets = np.array(list(steps), dtype=int)
    squares = ((offsets * across) ** 2).sum(axis=1)
    order = np.argsort(squares, kind="stable")[: np.count_nonzero(squares < limit)]
    offsets, squares = offsets[order], squares[order]
    ring = np.ceil(np.sqrt(squares) / min(sizes) - 1e-9).astype(int)
    ends = [*(np.flatnonzero(np.diff(ring)) + 1), len(ring)]
    later = [*squares[ends[:-1]], limit]
    return [(offsets[a:b], squares[a:b], float(end)) for a, b, end in zip([0, *ends], ends, later, strict=False)]
