"""The dataset folder and its folds."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from nnunet_fair.dataset_conversion.dataset import DatasetFolder, write_folds
from nnunet_fair.errors import UserError

NAME = "Dataset950_TEST"
IDENTITY = {"root": "/data", "segmentations": "expert", "recipe": {"recipe": "phases", "phases": [0, 1, 2]}}


def open_folder(overwrite: bool = False, **changes) -> DatasetFolder:
    return DatasetFolder.open(NAME, {**IDENTITY, **changes}, overwrite=overwrite)


CONTENT = "conversion_report.csv"
"""A file of the command's own: a folder with anybody else's is not replaced."""


def finished(content: str) -> Path:
    folder = open_folder(overwrite=True)
    (folder.working / CONTENT).write_text(content)
    return folder.finish()


def test_a_new_dataset_is_hidden_from_nnunet_until_it_is_whole(nnunet: Path) -> None:
    from nnunetv2.utilities.dataset_name_id_conversion import find_candidate_datasets

    folder = open_folder()
    assert list(find_candidate_datasets(950)) == []
    folder.finish()
    assert list(find_candidate_datasets(950)) == [NAME]
    assert [path.name for path in (nnunet / "nnUNet_raw").iterdir()] == [NAME]


def test_a_half_made_dataset_is_continued_only_with_the_same_settings(nnunet: Path) -> None:
    (open_folder().working / CONTENT).write_text("half")
    assert (open_folder().working / CONTENT).exists()
    assert not (open_folder(root="/elsewhere").working / CONTENT).exists()


def test_the_old_dataset_stays_until_the_new_one_is_whole(nnunet: Path) -> None:
    final = finished("old")
    folder = open_folder(overwrite=True, root="/elsewhere")
    assert folder.working != final
    assert (final / CONTENT).read_text() == "old"
    (folder.working / CONTENT).write_text("new")
    folder.finish()
    assert (final / CONTENT).read_text() == "new"
    assert [path.name for path in final.parent.iterdir()] == [NAME]


def test_a_swap_that_broke_in_the_middle_is_finished(nnunet: Path) -> None:
    final = finished("old")
    folder = open_folder(overwrite=True)
    (folder.working / CONTENT).write_text("new")
    final.rename(final.with_name(f".{NAME}.replaced"))  # where finish was when the machine went down
    open_folder().finish()
    assert (final / CONTENT).read_text() == "new"
    assert [path.name for path in final.parent.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "/elsewhere"}, "with root /data and not /elsewhere"),
        ({"segmentations": "automatic"}, "with segmentations expert and not automatic"),
        ({"recipe": {"recipe": "phases", "phases": [0, 1]}}, r"with phases \[0, 1, 2\] and not \[0, 1\]"),
    ],
    ids=["root", "segmentations", "phases"],
)
def test_what_differs_is_named(nnunet: Path, changes: dict, message: str) -> None:
    finished("old")
    with pytest.raises(UserError, match=message):
        open_folder(**changes)


@pytest.mark.parametrize("variable", ["nnUNet_raw", "nnUNet_preprocessed"])
def test_an_unset_variable_is_named(nnunet: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(UserError, match=variable):
        open_folder()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a second file system at a known place")
def test_hard_links_across_file_systems_are_refused_before_any_work(nnunet: Path) -> None:
    with pytest.raises(UserError, match="different file systems"):
        open_folder().check_same_file_system(Path("/proc"))


@pytest.mark.parametrize("found", ["not json", "[]", '{"train": []}'])
def test_folds_that_cannot_be_read_are_moved_aside_not_lost(nnunet: Path, found: str) -> None:
    folder = nnunet / "nnUNet_preprocessed" / NAME
    folder.mkdir()
    (folder / "splits_final.json").write_text(found)
    groups = pd.DataFrame({"age": ["a", "b"] * 3}, index=list("ABCDEF"))
    folds = write_folds(NAME, groups, n_folds=2, seed=0, overwrite=False)
    assert folds.written
    assert folds.previous.read_text() == found
    assert [len(fold["val"]) for fold in json.loads(folds.path.read_text())] == [3, 3]
    assert folds.balance.loc[("age", "a")].sum() == 3
