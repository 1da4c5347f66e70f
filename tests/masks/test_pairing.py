from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.pairing import pair_cases


def _touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_labels_are_found_by_ending(tmp_path):
    names = ("b.v2.nii.gz", "a.png", ".hidden.nii.gz", "dataset.json", "plans.json", "c.npz")
    found = list_masks(_touch(tmp_path, *names))
    assert list(found) == ["a", "b.v2"]


def test_two_files_of_one_case_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"case 'a' has two files"):
        list_masks(_touch(tmp_path, "a.nii.gz", "a.nrrd"))


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        list_masks(tmp_path / "nowhere")


def test_cases_are_paired_whatever_the_case_of_letters():
    references = {"DUKE_001": Path("r1"), "DUKE_002": Path("r2"), "DUKE_003": Path("r3")}
    predictions = {"duke_001": Path("p1"), "DUKE_003": Path("p3"), "DUKE_009": Path("p9.nii.gz")}
    pairing = pair_cases(references, predictions)
    assert [(pair.case_id, pair.prediction) for pair in pairing.pairs] == [
        ("DUKE_001", Path("p1")),
        ("DUKE_002", None),
        ("DUKE_003", Path("p3")),
    ]
    assert pairing.missing == ("DUKE_002",) and pairing.extra == ("p9.nii.gz",)


def test_missing_predictions_can_be_left_out():
    pairing = pair_cases({"a": Path("r"), "b": Path("r")}, {"a": Path("p")}, missing="skip")
    assert [pair.case_id for pair in pairing.pairs] == ["a"] and pairing.missing == ("b",)


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        ({}, {"a": Path("p")}, "no label image"),
        ({"a": Path("r")}, {}, "no prediction was found"),
        ({"a": Path("r")}, {"b": Path("p")}, "named like 'a', predictions like 'b'"),
        ({"a": Path("r")}, {"A": Path("p"), "b": Path("p")}, None),
    ],
    ids=["no reference", "no prediction", "nothing in common", "fine"],
)
def test_folders_that_do_not_fit(references, predictions, message):
    if message is None:
        assert pair_cases(references, predictions).missing == ()
    else:
        with pytest.raises(UserError, match=message):
            pair_cases(references, predictions)
