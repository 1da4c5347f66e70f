import json

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.masks.breast_boxes import Boxes
from nnunet_fair.postprocessing.postprocess_folder import TABLE_COLUMNS, postprocess_folder
from nnunet_fair.postprocessing.settings import PostprocessingSettings, read_settings

BOX = ((0, 6), (0, 12), (0, 8))


@pytest.fixture
def cohort(tmp_path, write_image):
    """Four predictions: two components in the box and one outside, empty, outside only, a file cut short."""
    folder = tmp_path / "pred"
    masks = {name: np.zeros((6, 12, 16), np.uint8) for name in ("A_01", "A_02", "A_03", "A_04")}
    masks["A_01"][1:4, 1:4, 1:4] = 1
    masks["A_01"][5, 10, 5] = 1
    masks["A_01"][2:4, 2:4, 12:14] = 1
    masks["A_03"][2, 2, 12:14] = 1
    masks["A_04"][2, 2, 2] = 1
    for name, array in masks.items():
        write_image(array, folder / f"{name}.nii.gz")
    cut = folder / "A_04.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-20])
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "tumor": 1}}))
    return folder


def boxes(*cases):
    return Boxes(dict.fromkeys(cases, BOX))


def test_box_then_largest_component(tmp_path, cohort, read_array):
    settings = PostprocessingSettings(box=True, keep=1)
    summary = postprocess_folder(cohort, tmp_path / "out", settings, boxes=boxes("A_01", "A_02", "A_03", "A_04"))
    expected = np.zeros((6, 12, 16), np.uint8)
    expected[1:4, 1:4, 1:4] = 1
    assert np.array_equal(read_array(tmp_path / "out" / "A_01.nii.gz"), expected)
    assert not read_array(tmp_path / "out" / "A_03.nii.gz").any()
    assert summary.empty == ("A_02", "A_03")
    assert list(summary.errors) == ["A_04"]
    assert not (tmp_path / "out" / "A_04.nii.gz").exists()

    table = pd.read_csv(tmp_path / "out" / "postprocessing.csv", keep_default_na=False).set_index("case_id")
    assert (*table.reset_index().columns,) == TABLE_COLUMNS
    assert table.loc["A_01", ["result", "done"]].tolist() == ["altered", "box; components"]
    counts = ["voxels_before", "voxels_after", "removed_by_box", "removed_by_components"]
    assert table.loc["A_01", counts].tolist() == ["36", "27", "8", "1"]
    assert table.loc["A_02", ["result", "note"]].tolist() == ["empty", "predicted empty"]
    assert table.loc["A_03", ["result", "note"]].tolist() == ["empty", "nothing inside the breast box"]
    assert table.loc["A_04", "result"] == "skipped"
    assert "cut short" in table.loc["A_04", "note"]

    record = json.loads((tmp_path / "out" / "postprocessing.json").read_text())
    assert record["counts"]["n_skipped"] == 1
    assert "A_0" not in json.dumps(record)
    assert read_settings(tmp_path / "out" / "postprocessing.json") == settings


def test_a_case_without_a_box_is_left_whole_or_refused(tmp_path, cohort, read_array):
    whole = postprocess_folder(cohort, tmp_path / "a", PostprocessingSettings(box=True), boxes=boxes("A_02"))
    assert whole.with_box("none") == ("A_01", "A_03")
    assert np.array_equal(read_array(tmp_path / "a" / "A_01.nii.gz"), read_array(cohort / "A_01.nii.gz"))
    settings = PostprocessingSettings(box=True, require_boxes=True)
    refused = postprocess_folder(cohort, tmp_path / "b", settings, boxes=boxes("A_02"))
    assert set(refused.errors) == {"A_01", "A_03", "A_04"}


def test_an_unaltered_mask_is_the_same_file(tmp_path, cohort):
    postprocess_folder(cohort, tmp_path / "out", PostprocessingSettings())
    assert (tmp_path / "out" / "A_01.nii.gz").read_bytes() == (cohort / "A_01.nii.gz").read_bytes()


@pytest.mark.parametrize("n_processes", [1, 2])
def test_processes_give_the_same(tmp_path, cohort, n_processes):
    settings = PostprocessingSettings(box=True, keep=1)
    kwargs = {"boxes": boxes("A_01", "A_03"), "n_processes": n_processes}
    summary = postprocess_folder(cohort, tmp_path / "out", settings, **kwargs)
    assert [outcome.case_id for outcome in summary.outcomes] == ["A_01", "A_02", "A_03", "A_04"]
    assert summary.counts() == {
        "n_cases": 4,
        "n_written": 3,
        "n_altered": 2,
        "n_empty": 2,
        "n_without_box": 1,
        "n_box_clipped": 0,
        "n_skipped": 1,
    }


def test_masks_are_replaced_only_when_asked(tmp_path, cohort):
    out = tmp_path / "out"
    out.mkdir()
    (out / "A_04.nii.gz").write_bytes(b"from an earlier run")
    (out / "postprocessing.json").write_text('{"settings": {}, "counts": {}}')  # without it they are nobody's to lose
    (out / "notes.txt").write_text("kept")
    with pytest.raises(UserError, match="`overwrite` replaces them"):
        postprocess_folder(cohort, out, PostprocessingSettings())
    assert sorted(file.name for file in out.iterdir()) == ["A_04.nii.gz", "notes.txt", "postprocessing.json"]
    postprocess_folder(cohort, out, PostprocessingSettings(), overwrite=True)
    assert not (out / "A_04.nii.gz").exists()  # a mask of an earlier run would pass for one of this run
    assert (out / "notes.txt").read_text() == "kept"
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PostprocessingSettings(box=True), "give the `boxes`"),
        (PostprocessingSettings(on_empty="lower-threshold"), "as `probabilities`"),
    ],
)
def test_what_the_settings_need_must_be_given(tmp_path, cohort, settings, message):
    with pytest.raises(UserError, match=message):
        postprocess_folder(cohort, tmp_path / "out", settings)


def test_input_and_output_must_differ(cohort):
    with pytest.raises(UserError, match="same folder"):
        postprocess_folder(cohort, cohort / ".." / "pred", PostprocessingSettings(), overwrite=True)


def test_command_line(tmp_path, cohort, capsys):
    boxes_file = tmp_path / "boxes.json"
    boxes_file.write_text(json.dumps({"boxes": {"a_01": [list(axis) for axis in BOX]}}))
    arguments = ["postprocess", "-i", str(cohort), "--boxes", str(boxes_file), "--largest"]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "skipped A_04: " in printed
    assert "1 masks are empty: A_02" in printed
    assert "2 cases have no breast box: A_02, A_03" in printed
    assert "wrote 3 masks" in printed
    (cohort / "A_04.nii.gz").unlink()
    again = ["postprocess", "-i", str(cohort), "--boxes", str(boxes_file), "-o", str(tmp_path / "again")]
    assert main([*again, "--settings", str(tmp_path / "out" / "postprocessing.json")]) == 0
    assert read_settings(tmp_path / "again" / "postprocessing.json").keep == 1
    assert main([*again, "--overwrite", "--settings", str(cohort / "dataset.json")]) == 1
    assert "is not a postprocessing.json" in capsys.readouterr().err


def test_a_mask_without_one_of_several_labels_is_not_called_empty(tmp_path, save_mask, capsys):
    mask = np.zeros((3, 6, 6), np.uint8)
    mask[1, 1:4, 1:4] = 1
    both, neither = mask.copy(), np.zeros_like(mask)
    both[1, 5, 5] = 2
    for name, array in (("a", mask), ("b", both), ("c", neither)):
        save_mask(array, tmp_path / "pred" / f"{name}.nii.gz")
    labels = {"background": 0, "liver": 1, "tumour": 2}
    (tmp_path / "pred" / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    assert main(["postprocess", "-i", str(tmp_path / "pred"), "-o", str(tmp_path / "out"), "-np", "1"]) == 0
    printed = capsys.readouterr().out
    assert "1 masks are empty: c\n" in printed and "1 masks have no label 2: a\n" in printed
    assert "label 1" not in printed and "0 altered, 1 empty, 0 skipped" in printed
