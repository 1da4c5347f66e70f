"""Atomic files and folders, and what a killed run leaves behind."""

import os
from pathlib import Path

import pandas as pd
import pytest

from nnunet_fair import files
from nnunet_fair.files import (
    atomic_link,
    atomic_path,
    no_formula,
    remove_leftovers,
    replace_folder,
    staging_folder,
    temporary_name,
    with_formula,
    write_csv,
    write_json,
    write_text,
)
from nnunet_fair.processes import machine
from tests.faults.signals import names, signal_at_every_step


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def left_over(folder: Path, name: str, *, kind: str = "new", where: str | None = None) -> Path:
    """A folder as a process that is gone leaves it."""
    path = folder / f".{name}.nnunet_fair-{kind}.{where or machine()}.4194999.12345.abcdefgh"
    path.mkdir()
    (path / "patient.nii.gz").write_text("image")
    return path


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    write_text("old", tmp_path / "a.txt")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.name == "a.txt"
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert hidden(tmp_path) == []


def test_a_durable_file_and_its_folder_are_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", lambda path: synced.append((Path(path).name, (tmp_path / "a.json").exists())))
    write_json({}, tmp_path / "a.json", durable=True)
    assert synced == [("a.json", False), (tmp_path.name, True)]
    write_json({}, tmp_path / "b.json")
    assert len(synced) == 2


def test_a_disk_without_a_block_left_is_noticed(tmp_path, monkeypatch):
    write_text("old", tmp_path / "a.txt")
    full = type("Full", (), {"f_blocks": 100, "f_bavail": 0})
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text("new", tmp_path / "a.txt")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_leftovers_of_this_target_are_removed_and_others_stay(tmp_path):
    left_over(tmp_path, "out")
    other = left_over(tmp_path, "other")
    elsewhere = left_over(tmp_path, "out", where="deadbeef")
    (tmp_path / ".out.note").write_text("a user's")
    with staging_folder(tmp_path / "out") as mine:
        remove_leftovers(tmp_path)  # that of a process that runs stays
        assert mine.is_dir()
        assert not other.exists()
    assert hidden(tmp_path) == [elsewhere.name, ".out.note"]
    os.utime(elsewhere, (0, 0))  # of another machine: nobody can ask whether it runs, but not for days
    remove_leftovers(tmp_path, "out")
    assert hidden(tmp_path) == [".out.note"]


def test_links_on_their_way_are_recognised(tmp_path):
    assert files._LEFTOVER.fullmatch(temporary_name(tmp_path / "DUKE_001.nii.gz").name)["name"] == "DUKE_001.nii.gz"


@pytest.mark.parametrize("name", ["a" * 200, "ä" * 100, "x\ny"])
def test_long_and_odd_names(tmp_path, name):
    write_text("text", tmp_path / name)
    left_over(tmp_path, files._shown(name))
    remove_leftovers(tmp_path, name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_whole(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    for name in ("target", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of {name}").touch()
    replace_folder(tmp_path / "new", tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["of new"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_link_to_the_folder_stays_a_link(tmp_path):
    for name in ("elsewhere", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    replace_folder(tmp_path / "new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "file").exists()


def test_a_swap_killed_between_its_two_steps_is_undone_by_the_next_run(tmp_path):
    left_over(tmp_path, "out", kind="old")
    with staging_folder(tmp_path / "out"):
        assert (tmp_path / "out" / "patient.nii.gz").read_text() == "image"
    left_over(tmp_path, "out", kind="old")
    remove_leftovers(tmp_path, "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_signal_at_any_step_leaves_a_file_whole_and_nothing_hidden(tmp_path):
    def write():
        (tmp_path / "a.txt").write_text("old")
        write_text("new", tmp_path / "a.txt")

    def whole(step):
        assert names(tmp_path) == ["a.txt"], step
        assert (tmp_path / "a.txt").read_text() in ("old", "new"), step

    assert signal_at_every_step(write, whole) > 20


def test_a_signal_at_any_step_leaves_no_link_half_way(tmp_path):
    (tmp_path / "source").touch()

    def link():
        (tmp_path / "link").unlink(missing_ok=True)
        with atomic_link(tmp_path / "link") as temporary:
            temporary.symlink_to(tmp_path / "source")

    signal_at_every_step(
        link, lambda step: None if {"link", "source"} >= {*names(tmp_path)} else pytest.fail(str(step))
    )


@pytest.mark.parametrize("exchange", [True, False])
def test_a_signal_at_any_step_of_a_swap_leaves_the_old_or_the_new_folder(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)

    def swap():
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "mask").write_text("old")
        with staging_folder(tmp_path / "out") as scratch:
            (scratch / "finished").mkdir()
            (scratch / "finished" / "mask").write_text("new")
            replace_folder(scratch / "finished", tmp_path / "out")

    def old_or_new(step):
        assert names(tmp_path) == ["out"], step
        assert (tmp_path / "out" / "mask").read_text() in ("old", "new"), step

    assert signal_at_every_step(swap, old_or_new) > 30


def test_a_second_rename_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    (tmp_path / "out").mkdir()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "out")
    assert names(tmp_path) == ["out"]


def test_linking_a_file_to_where_it_is_linked_already(tmp_path):
    (tmp_path / "source").touch()
    for _ in range(2):  # renaming one name of a file to another of the same does nothing
        with atomic_link(tmp_path / "link") as temporary:
            os.link(tmp_path / "source", temporary)
    assert names(tmp_path) == ["link", "source"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_to_is_removed_all_the_same(tmp_path):
    (tmp_path / "out" / "inner").mkdir(parents=True)
    (tmp_path / "out" / "inner" / "file").touch()
    for folder in ("out/inner", "out"):
        (tmp_path / folder).chmod(0o500)
    files.remove_tree(tmp_path / "out")
    assert names(tmp_path) == []


def test_half_a_surrogate_pair_is_written_as_a_question_mark(tmp_path):
    write_text("a\ud800b", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "a?b"


@pytest.mark.slow
def test_on_a_full_disk_nothing_earlier_is_lost(small_disk):
    disk = small_disk.folder
    write_text("old", disk / "a.txt")
    with pytest.raises(OSError, match="No space left"):
        write_text("x" * 500_000, disk / "a.txt")
    assert (disk / "a.txt").read_text() == "old"
    assert hidden(disk) == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+", "'+"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("'=1", "''=1"),
        ("-1.5e3", "-1.5e3"),
        ("-inf", "-inf"),
        ("a=b", "a=b"),
        ("'tis", "'tis"),
        (">40 to 60", ">40 to 60"),
    ],
)
def test_formulas_are_written_as_text_and_read_back(text, written):
    assert no_formula(text) == written
    assert with_formula(written) == text


def test_no_cell_and_no_column_of_a_table_is_a_formula(tmp_path):
    frame = pd.DataFrame({"case_id": ["=A1", "-2", "b"], "=site": ["+", None, "x"], "dsc": [-0.5, 1.0, 0.0]})
    write_csv(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines() == ["case_id,'=site,dsc", "'=A1,'+,-0.5", "-2,,1.0", "b,x,0.0"]
