"""The patch around a lesion."""

import numpy as np
import pytest

from nnunet_fair.training.response.patches import lesion_middle, lesion_patch, lesion_voxels


def test_every_label_is_lesion_but_the_one_to_ignore():
    labels = np.array([[[[-1, 0, 1, 2, 3]]]])
    assert lesion_voxels(labels, None).tolist() == [[[False, False, True, True, True]]]
    assert lesion_voxels(labels, 3).tolist() == [[[False, False, True, True, False]]]


def test_the_middle_is_that_of_the_largest_component():
    lesion = np.zeros((20, 40, 40), dtype=bool)
    assert lesion_middle(lesion) is None
    lesion[2:5, 30:33, 3] = True  # 9 voxels, far away
    lesion[10:14, 6:9, 20:27] = True  # 84 voxels
    assert lesion_middle(lesion) == [12, 7, 23]
    lesion[10:14, 9:12, 20:27] = True  # grown to [10, 14) × [6, 12) × [20, 27)
    assert lesion_middle(lesion) == [12, 9, 23]


@pytest.mark.parametrize("patch_size", [(3, 4, 4), (9, 4, 6)])
def test_the_patch_is_cut_around_it_and_padded_with_zeros(patch_size):
    rng = np.random.default_rng(0)
    image = rng.integers(1, 9, (2, 6, 8, 8)).astype(np.float32)
    lesion = np.zeros((6, 8, 8), dtype=bool)
    lesion[0:2, 3:5, 6:8] = True  # its middle is (1, 4, 7), near two edges
    padded = np.pad(image, ((0, 0), (8, 8), (8, 8), (8, 8)))
    window = tuple(slice(8 + m - s // 2, 8 + m - s // 2 + s) for m, s in zip((1, 4, 7), patch_size, strict=True))
    patch = lesion_patch(image, lesion, patch_size)
    assert patch.dtype == np.float32
    assert np.array_equal(patch, padded[(slice(None), *window)])
    assert lesion_patch(image, np.zeros_like(lesion), patch_size) is None
