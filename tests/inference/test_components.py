import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from nnunet_fair.inference.components import filter_components, foreground_bounds, voxels_for_volume

MASKS = arrays(bool, st.tuples(*[st.integers(1, 6)] * 3))
RANK = {6: 1, 18: 2, 26: 3}


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


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_bounds_agree_with_scipy(mask):
    found = ndimage.find_objects(mask.astype(int))
    assert foreground_bounds(mask) == (found[0] if found else None)


@pytest.mark.parametrize(
    ("volume", "voxel", "expected"), [(0, 1.4, 1), (1.4, 1.4, 1), (4.2, 1.4, 3), (4.21, 1.4, 4), (0.3, 0.1, 3)]
)
def test_voxels_for_volume(volume, voxel, expected):
    assert voxels_for_volume(volume, voxel) == expected
