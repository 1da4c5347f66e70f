import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from nnunet_fair.masks.components import Piece, foreground_windows, voxels_for_volume
from nnunet_fair.masks.components import filter_components as filter_pieces

MASKS = arrays(bool, st.tuples(*[st.integers(1, 6)] * 3))
RANK = {6: 1, 18: 2, 26: 3}


def filter_components(mask, **kwargs):
    """The whole mask instead of its pieces."""
    kept = np.zeros_like(mask)
    pieces = [Piece(window, mask[window]) for window in foreground_windows(mask)]
    for piece in filter_pieces(pieces, mask.shape, **kwargs):
        kept[piece.window] = piece.mask
    return kept


def reference(mask, connectivity, keep, min_voxels):
    """The same with SciPy's labelling of the whole volume."""
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(3, RANK[connectivity]))
    sizes = [(-int((labels == k).sum()), k) for k in range(1, count + 1)]
    chosen = [k for size, k in sorted(sizes)[:keep] if -size >= min_voxels]
    return np.isin(labels, chosen)


@settings(max_examples=150, deadline=None)
@given(MASKS, st.sampled_from([6, 18, 26]), st.sampled_from([None, 1, 2, 3]), st.integers(1, 5))
def test_agrees_with_labelling_the_whole_volume(mask, connectivity, keep, min_voxels):
    found = filter_components(mask, connectivity=connectivity, keep=keep, min_voxels=min_voxels)
    expected = reference(mask, connectivity, keep, min_voxels)
    # Which of several equally large components stays is the only freedom, so compare what must be equal in any case.
    assert found.sum() == expected.sum()
    assert not (found & ~mask).any()
    labels, _ = ndimage.label(mask, ndimage.generate_binary_structure(3, RANK[connectivity]))
    assert not set(np.unique(labels[found])) & set(np.unique(labels[mask & ~found]))


@pytest.mark.parametrize(("connectivity", "expected"), [(6, 2), (18, 3), (26, 4)])
def test_connectivity(connectivity, expected):
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[0, 0, 1] = True  # a face
    mask[0, 1, 2] = True  # joined by an edge
    mask[1, 2, 1] = True  # joined to (0, 1, 2) by a corner
    assert filter_components(mask, connectivity=connectivity, keep=1).sum() == expected


def test_of_equal_components_the_first_in_the_array_stays():
    mask = np.zeros((1, 1, 5), bool)
    mask[0, 0, [0, 2, 4]] = True
    assert filter_components(mask, keep=1)[0, 0].tolist() == [True, False, False, False, False]
    assert filter_components(mask, keep=2)[0, 0].tolist() == [True, False, True, False, False]


def test_a_whole_volume_and_none():
    assert filter_components(np.ones((2, 3, 4), bool), keep=1).all()
    assert not filter_components(np.zeros((2, 3, 4), bool), keep=1).any()


@pytest.mark.parametrize(
    ("volume", "voxel", "expected"), [(0, 1.4, 1), (1.4, 1.4, 1), (4.2, 1.4, 3), (4.21, 1.4, 4), (0.3, 0.1, 3)]
)
def test_voxels_for_volume(volume, voxel, expected):
    assert voxels_for_volume(volume, voxel) == expected


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("keep", "min_voxels"), [(1, 1), (3, 1), (None, 20), (5, 4)])
def test_large_sparse_volumes_agree_with_labelling_the_whole(seed, keep, min_voxels):
    rng = np.random.default_rng(seed)
    mask = np.zeros((37, 61, 70), bool)
    for _ in range(rng.integers(1, 14)):
        centre, radius = [rng.integers(0, size) for size in mask.shape], rng.uniform(0.5, 6)
        grid = np.ogrid[tuple(slice(size) for size in mask.shape)]
        mask |= sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2
    sizes = np.bincount(ndimage.label(mask, np.ones((3, 3, 3)))[0].ravel())[1:]
    found = filter_components(mask, keep=keep, min_voxels=min_voxels)
    expected = reference(mask, 26, keep, min_voxels)
    # SciPy numbers components in the order of their first voxel, so ties fall the same way.
    assert np.array_equal(found, expected), sizes


@pytest.mark.parametrize("density", [0.0005, 0.02])
def test_windows_hold_everything_and_do_not_touch(density):
    mask = np.random.default_rng(3).random((40, 50, 61)) < density
    windows = foreground_windows(mask)
    covered = np.zeros(mask.shape, int)
    for window in windows:
        covered[window] += 1
    assert covered.max() == 1
    assert not mask[covered == 0].any()
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert sum(len(np.unique(labels[window])) - 1 for window in windows) == count


def test_of_equal_components_far_apart_the_first_in_the_array_stays():
    mask = np.zeros((30, 60, 60), bool)
    mask[3, 50, 2] = mask[3, 10, 40] = mask[20, 0, 0] = True
    assert [axis.tolist() for axis in np.nonzero(filter_components(mask, keep=1))] == [[3], [10], [40]]
    assert [axis.tolist() for axis in np.nonzero(filter_components(mask, keep=2))] == [[3, 3], [10, 50], [40, 2]]


def test_of_equal_components_of_several_voxels_the_first_in_the_array_stays():
    # one window; the column through three slices comes first and ends last
    mask = np.zeros((3, 7, 7), bool)
    mask[1, 2, 4:7] = mask[1, 4:7, 0] = mask[0:3, 0, 2] = True
    assert np.array_equal(filter_components(mask, keep=1), _only(mask, (0, 0, 2)))
    assert np.array_equal(filter_components(mask, keep=2), mask & ~_only(mask, (1, 4, 0)))
    # each in its own window: the window that comes first holds the component that comes last; a larger one stays
    far = np.zeros((40, 60, 60), bool)
    far[0:5, 30:34, 30:34] = far[12, 2, 50:54] = far[9, 50, 2:6] = far[30:34, 0, 0] = True
    assert np.array_equal(filter_components(far, keep=2), _only(far, (0, 30, 30)) | _only(far, (9, 50, 2)))


def _only(mask, voxel):
    """The component that holds a voxel."""
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    return labels == labels[voxel]
