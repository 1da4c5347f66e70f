"""Boxes of voxels: clipping, margin, what surrounds a mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from nnunet_fair.errors import UserError
from nnunet_fair.masks.boxes import BoxError, as_slices, bounding_box, box_text, clip_box, fit_box, grow_box

BOX = ((1, 4), (10, 30), (5, 6))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (((0, 4), (2, 9), (3, 11)), ((0, 4), (2, 9), (3, 11))),
        (((-1, 5), (2, 11), (3, 13)), ((0, 4), (2, 10), (3, 12))),
    ],
)
def test_clipping(box: tuple, expected: tuple) -> None:
    assert clip_box(box, (4, 10, 12)) == expected


@pytest.mark.parametrize("axis", [(4, 6), (-3, 0), (3, 3), (3, 1)])
def test_a_box_without_a_voxel_is_refused(axis: tuple[int, int]) -> None:
    with pytest.raises(BoxError, match="no voxel inside"):
        clip_box((axis, (0, 5), (0, 5)), (4, 10, 12))


def test_margin_in_mm_is_rounded_up_to_voxels_and_clipped() -> None:
    # 3 mm: 2 voxels of 2 mm, 3 of 1 mm, 4 of 0.75 mm; axis 0 ends at 4
    assert grow_box(((1, 3), (5, 6), (5, 7)), 3, (2, 1, 0.75), (4, 20, 20)) == ((0, 4), (2, 9), (1, 11))


def test_a_spacing_off_by_rounding_takes_no_extra_voxel() -> None:
    assert grow_box(((5, 6),) * 3, 3, (0.99999999999,) * 3, (20,) * 3) == ((2, 9),) * 3


axes = st.tuples(st.integers(0, 20), st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(
    st.tuples(axes, axes, axes),
    st.floats(0, 50),
    st.tuples(*(st.floats(0.3, 5),) * 3),
    st.tuples(*(st.integers(41, 60),) * 3),
)
def test_a_grown_box_contains_the_margin_or_touches_the_border(box, margin, spacing, shape) -> None:
    grown = grow_box(box, margin, spacing, shape)
    for (start, stop), (low, high), size, n in zip(box, grown, spacing, shape, strict=True):
        assert 0 <= low <= start < stop <= high <= n
        assert low == 0 or (start - low) * size >= margin - 1e-6
        assert high == n or (high - stop) * size >= margin - 1e-6


@given(arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)))
def test_bounds_agree_with_scipy(mask):
    found = ndimage.find_objects(mask.astype(int))
    assert bounding_box(mask) == (found[0] if found else None)


def test_the_box_around_two_masks_with_a_margin_ends_where_the_image_ends():
    first, second = np.zeros((2, 6, 9), np.uint8)
    first[0, 3], second[4, 7] = 2, 1
    assert bounding_box(first, second) == (slice(0, 5), slice(3, 8))
    assert bounding_box(first, second, margin=1) == (slice(0, 6), slice(2, 9))
    assert bounding_box(np.zeros((2, 2)), margin=1) is None


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0, BOX),
        (2.5, ((0, 5), (6, 34), (1, 8))),  # 1 slice of 2.5 mm; ceil(2.5 / 0.7) = 4 rows and columns, 8 columns in all
        (0.7, ((0, 5), (9, 31), (4, 7))),
        (0.71, ((0, 5), (8, 32), (3, 8))),
    ],
)
def test_margin_covers_whole_voxels_inside_the_image(margin, expected):
    assert fit_box(BOX, margin, (2.5, 0.7, 0.7), (9, 40, 8)) == (expected, False)


def test_a_box_that_exceeds_the_image_is_clipped():
    assert fit_box(((-1, 3), (0, 9), (2, 5)), 0, (1, 1, 1), (3, 8, 5)) == (((0, 3), (0, 8), (2, 5)), True)
    with pytest.raises(UserError, match="no voxel inside the image"):
        fit_box(((3, 5), (0, 8), (0, 5)), 0, (1, 1, 1), (3, 8, 5))


def test_the_text_of_a_box_and_where_it_is_said():
    assert box_text(((0, 10), (4, 60), (3, 50))) == "[0:10, 4:60, 3:50]"
    with pytest.raises(BoxError, match=r"box \[0:4, 5:5, 0:4\] has no voxel inside the image of shape \(4, 4, 4\)$"):
        clip_box(((0, 4), (5, 5), (0, 4)), (4, 4, 4))
    with pytest.raises(BoxError, match="another grid or its axes are in another order"):
        fit_box(((4, 5), (0, 4), (0, 4)), 1, (1, 1, 1), (4, 4, 4))


@pytest.mark.parametrize("call", [clip_box, lambda box, shape: grow_box(box, 0, (1, 1, 1), shape)])
def test_an_image_of_other_dimensions_is_an_error(call):
    with pytest.raises(ValueError, match="zip"):
        call(BOX, (9, 40))
    with pytest.raises(ValueError, match="zip"):
        grow_box(BOX, 1, (1, 1), (9, 40))


def test_a_margin_of_a_rounding_error_more_takes_no_further_voxel():
    assert grow_box(((5, 6),) * 3, 3 + 1e-10, (1, 1, 1), (20,) * 3) == ((2, 9),) * 3
    assert grow_box(((5, 6),) * 3, 3.001, (1, 1, 1), (20,) * 3) == ((1, 10),) * 3


@given(arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)), st.integers(0, 3))
def test_what_is_cut_out_and_pasted_back_is_the_mask(mask, margin):
    box = bounding_box(mask, margin=margin)
    pasted = np.zeros_like(mask)
    if box is not None:
        pasted[box] = mask[box]
        inner = bounding_box(mask)
        assert [axis.start for axis in box] == [max(axis.start - margin, 0) for axis in inner]
        limits = tuple((axis.start, axis.stop) for axis in inner)
        grown = as_slices(grow_box(limits, margin, (1, 1, 1), mask.shape))
        assert mask[grown].shape == mask[box].shape and np.array_equal(mask[grown], mask[box])
    assert np.array_equal(pasted, mask)


def test_masks_of_any_type_and_of_two_dimensions():
    for dtype in (bool, np.uint8, np.int16, np.float32):
        mask = np.zeros((5, 7), dtype)
        mask[2, 3:5] = 2
        assert bounding_box(np.zeros_like(mask), mask) == (slice(2, 3), slice(3, 5))
