import json
from pathlib import Path

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.masks.boxes import BoxError
from nnunet_fair.masks.breast_boxes import Boxes, boxes_document, read_box, read_boxes

BOX = ((1, 4), (10, 30), (5, 6))
COORDINATES = {"x_min": 1, "x_max": 2, "y_min": 3, "y_max": 40, "z_min": 5, "z_max": 600}


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


def test_the_document_sorts_cases_and_names_its_axes() -> None:
    document = boxes_document({"B": ((0, 1), (2, 3), (4, 5)), "A": ((6, 7), (8, 9), (10, 11))})
    assert list(document["boxes"].items()) == [("A", [[6, 7], [8, 9], [10, 11]]), ("B", [[0, 1], [2, 3], [4, 5]])]
    assert document["axes"] == "array (slice, row, column) of SimpleITK.GetArrayFromImage, half-open"
