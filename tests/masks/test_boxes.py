"""The breast box: its axes, clipping and margin."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.masks.boxes import BoxError, boxes_document, clip_box, grow_box, read_box

COORDINATES = {"x_min": 1, "x_max": 2, "y_min": 3, "y_max": 40, "z_min": 5, "z_max": 600}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_x_is_the_slice_axis_of_the_array(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", {"primary_lesion": {"breast_coordinates": COORDINATES}})
    assert read_box(path) == ((1, 2), (3, 40), (5, 600))


def test_whole_numbers_written_as_floats_are_accepted(tmp_path: Path) -> None:
    floats = {key: float(value) for key, value in COORDINATES.items()}
    path = write(tmp_path / "a.json", {"primary_lesion": {"breast_coordinates": floats}})
    assert read_box(path) == ((1, 2), (3, 40), (5, 600))


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        {},
        {"primary_lesion": None},
        {"primary_lesion": {"breast_coordinates": {**COORDINATES, "x_min": None}}},
        {"primary_lesion": {"breast_coordinates": {**COORDINATES, "x_min": 1.5}}},
        {"primary_lesion": {"breast_coordinates": {**COORDINATES, "x_min": float("nan")}}},
        {"primary_lesion": {"breast_coordinates": {**COORDINATES, "x_max": float("inf")}}},
        [COORDINATES],
        {"primary_lesion": {"breast_coordinates": {k: v for k, v in COORDINATES.items() if k != "z_max"}}},
    ],
    ids=["no json", "empty", "null", "missing value", "fraction", "NaN", "infinity", "list", "missing key"],
)
def test_an_unusable_box_says_so(tmp_path: Path, content: object) -> None:
    with pytest.raises(BoxError, match=r"a\.json"):
        read_box(write(tmp_path / "a.json", content))


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


def test_the_document_sorts_cases_and_names_its_axes() -> None:
    document = boxes_document({"B": ((0, 1), (2, 3), (4, 5)), "A": ((6, 7), (8, 9), (10, 11))})
    assert list(document["boxes"].items()) == [("A", [[6, 7], [8, 9], [10, 11]]), ("B", [[0, 1], [2, 3], [4, 5]])]
    assert document["axes"] == "array (slice, row, column) of SimpleITK.GetArrayFromImage, half-open"
