import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from nnunet_fair.postprocessing.empty_masks import lower_threshold

# One row of voxels: a broad weak lesion on the left, a narrow strong one on the right.
ROW = np.array([0.0, 0.3, 0.35, 0.3, 0.0, 0.2, 0.45, 0.2, 0.15, 0.0]).reshape(1, 1, 10)


@pytest.mark.parametrize(
    ("min_voxels", "min_probability", "expected", "threshold"),
    [
        (1, 0.1, [6], 0.45),
        (2, 0.1, [5, 6, 7], 0.2),
        (3, 0.1, [5, 6, 7], 0.2),
        (4, 0.1, [5, 6, 7, 8], 0.15),
        (4, 0.2, [], None),
        (5, 0.1, [], None),
        (1, 0.46, [], None),
    ],
)
def test_the_component_of_the_peak_at_the_highest_threshold(min_voxels, min_probability, expected, threshold):
    found = lower_threshold(ROW, min_voxels=min_voxels, min_probability=min_probability)
    assert np.flatnonzero(found.mask).tolist() == expected
    assert found.threshold == threshold
    assert found.peak == 0.45


def test_the_threshold_is_never_above_one_half():
    certain = np.array([0.6, 0.55, 0.5, 0.49]).reshape(1, 1, 4)
    found = lower_threshold(certain, min_voxels=1)
    assert found.threshold == 0.5
    assert np.flatnonzero(found.mask).tolist() == [0, 1, 2]


def test_voxels_not_allowed_take_no_part():
    allowed = np.ones(ROW.shape, bool)
    allowed[..., 6] = False
    found = lower_threshold(ROW, min_voxels=2, allowed=allowed)
    assert np.flatnonzero(found.mask).tolist() == [1, 2, 3]
    assert found.threshold == 0.3
    nothing = lower_threshold(ROW, allowed=np.zeros(ROW.shape, bool))
    assert nothing.threshold is None
    assert nothing.peak == 0


def test_no_probability_at_all():
    found = lower_threshold(np.zeros((2, 3, 4)))
    assert (found.threshold, found.peak, found.mask.any()) == (None, 0.0, False)


@settings(max_examples=150, deadline=None)
@given(
    arrays(np.float32, st.tuples(*[st.integers(1, 4)] * 3), elements=st.sampled_from(np.float32(np.arange(11) / 10))),
    st.integers(1, 8),
    st.sampled_from([0.1, 0.2, 0.35]),
)
def test_agrees_with_trying_every_threshold(probability, min_voxels, min_probability):
    found = lower_threshold(probability, min_voxels=min_voxels, min_probability=min_probability)
    peak = np.unravel_index(np.argmax(probability), probability.shape)
    for threshold in sorted({0.5, *probability[probability <= 0.5].astype(float)}, reverse=True):
        labels, _ = ndimage.label(probability >= threshold, np.ones((3, 3, 3)))
        component = labels == labels[peak]
        if threshold >= min_probability and probability[peak] >= threshold and component.sum() >= min_voxels:
            assert found.threshold == pytest.approx(threshold)
            assert np.array_equal(found.mask, component)
            return
    assert found.threshold is None
    assert not found.mask.any()
