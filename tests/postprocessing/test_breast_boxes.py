import json

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.postprocessing.breast_boxes import Boxes, fit_box, read_boxes

BOX = ((1, 4), (10, 30), (5, 6))


def test_reads_the_file_convert_writes(tmp_path):
    path = tmp_path / "breast_boxes.json"
    path.write_text(json.dumps({"axes": "array", "boxes": {"DUKE_001": [[1, 4], [10, 30], [5, 6]]}}))
    assert read_boxes(path).of("DUKE_001") == BOX
    assert read_boxes(path).of("duke_001") == BOX
    assert read_boxes(path).of("DUKE_002") is None


def test_patient_info_names_array_axes_x_y_z(tmp_path):
    coordinates = {"x_min": 1, "x_max": 4, "y_min": 10, "y_max": 30, "z_min": 5, "z_max": 6}
    (tmp_path / "duke_001.json").write_text(json.dumps({"primary_lesion": {"breast_coordinates": coordinates}}))
    (tmp_path / "duke_002.json").write_text(json.dumps({"primary_lesion": {}}))
    (tmp_path / "duke_003.json").write_text("{")
    boxes = read_boxes(tmp_path)
    assert boxes.of("DUKE_001") == BOX
    assert boxes.of("DUKE_002") is None
    with pytest.raises(UserError, match=r"duke_003\.json cannot be read"):
        boxes.of("DUKE_003")


@pytest.mark.parametrize(
    "entry",
    [
        [[0, 1], [0, 1]],
        [[1, 1], [0, 1], [0, 1]],
        [[3, 2], [0, 1], [0, 1]],
        [["a", 1], [0, 1], [0, 1]],
        None,
        [[0.5, 2], [0, 1], [0, 1]],
    ],
    ids=["two-axes", "empty-axis", "reversed", "text", "null", "half"],
)
def test_one_bad_box_does_not_hide_the_others(tmp_path, entry):
    path = tmp_path / "breast_boxes.json"
    path.write_text(json.dumps({"boxes": {"A": entry, "B": [[0, 1], [0, 1], [0, 1]]}}))
    boxes = read_boxes(path)
    assert boxes.of("B") == ((0, 1), (0, 1), (0, 1))
    with pytest.raises(UserError, match="the box of A"):
        boxes.of("A")


@pytest.mark.parametrize("content", ["{", "[]", '{"DUKE_001": [[0, 1], [0, 1], [0, 1]]}'], ids=["cut", "list", "flat"])
def test_a_file_that_is_no_boxes_file_is_refused(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_text(content)
    with pytest.raises(UserError, match="not a boxes file"):
        read_boxes(path)


def test_missing_file_and_empty_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="no boxes at"):
        read_boxes(tmp_path / "nothing.json")
    with pytest.raises(UserError, match="no JSON files"):
        read_boxes(tmp_path)


def test_two_ids_that_differ_in_case_only_are_ambiguous():
    boxes = Boxes({"Case_A": BOX, "CASE_A": BOX})
    assert boxes.of("CASE_A") == BOX
    with pytest.raises(UserError, match="more than one box"):
        boxes.of("case_a")


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
