"""What an earlier run has done."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nnunet_fair.dataset_conversion import findings, journal
from nnunet_fair.dataset_conversion.case import CaseResult, CaseTask
from nnunet_fair.dataset_conversion.findings import Finding
from nnunet_fair.dataset_conversion.layout import CaseFiles
from nnunet_fair.dataset_conversion.recipes import RecipeSettings

DONE = CaseResult(
    case_id="A",
    split="Tr",
    converted=True,
    findings=(Finding(findings.BOX_CLIPPED, "[0:5] to [0:4]"),),
    box=((0, 4), (2, 9), (3, 11)),
    crop={"size": [12, 10, 4], "start": [0, 2, 3], "stop": [4, 9, 11]},
    tumor_volume_mm3=9.0,
)
SKIPPED = CaseResult(case_id="B", split="Tr", converted=False, findings=(Finding(findings.EMPTY_LABEL),))


def write(folder: Path, *entries: tuple[str, CaseResult]) -> None:
    with journal.open_journal(folder) as stream:
        for key, result in entries:
            journal.append(stream, key, result)


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path, ("k1", DONE), ("k2", SKIPPED))
    assert journal.read_journal(tmp_path) == {"A": ("k1", DONE), "B": ("k2", SKIPPED)}


def test_the_last_word_counts(tmp_path: Path) -> None:
    write(tmp_path, ("k1", replace(SKIPPED, case_id="A")))
    write(tmp_path, ("k2", DONE))
    assert journal.read_journal(tmp_path) == {"A": ("k2", DONE)}


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert journal.read_journal(tmp_path) == {}


@pytest.mark.parametrize("keep", [1, 20, 100])
def test_a_line_cut_short_is_passed_over_and_does_not_spoil_the_next(tmp_path: Path, keep: int) -> None:
    write(tmp_path, ("k2", SKIPPED), ("k1", DONE))
    path = tmp_path / journal.JOURNAL_FILE
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{second[:keep]}")
    assert journal.read_journal(tmp_path) == {"B": ("k2", SKIPPED)}
    write(tmp_path, ("k3", DONE))
    assert journal.read_journal(tmp_path) == {"B": ("k2", SKIPPED), "A": ("k3", DONE)}


def test_the_key_follows_everything_the_result_depends_on(tmp_path: Path) -> None:
    source = tmp_path / "a_0000.nii.gz"
    source.write_bytes(b"1")
    task = CaseTask(
        files=CaseFiles("A", {0: source}),
        split="Tr",
        settings=RecipeSettings(phases=(0,)),
        link="symlink",
        check="voxels",
        folder=tmp_path,
    )

    def key(**changes) -> str:
        return journal.task_key(replace(task, **changes), [source])

    keys = [
        key(),
        key(split="Ts"),
        key(link="copy"),
        key(check="headers"),
        key(settings=RecipeSettings(phases=(0,), crop_margin_mm=0.0)),
        key(files=CaseFiles("B", {0: source})),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    assert key(folder=tmp_path / "elsewhere") == keys[0]
    os.utime(source, ns=(0, 0))
    touched = key()
    source.write_bytes(b"12")
    os.utime(source, ns=(0, 0))
    assert len({keys[0], touched, key()}) == 3
