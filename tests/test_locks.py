"""One run at a time in an output folder."""

import json
import os
import platform
import signal

import pytest

from nnunet_fair import locks
from nnunet_fair.errors import UserError
from nnunet_fair.locks import folder_lock
from nnunet_fair.processes import start_of
from tests.faults.signals import names, signal_at_every_step


def lock_of(folder, **owner):
    path = folder.with_name(f".{folder.name}.nnunet_fair-lock")
    known = {"process": os.getppid(), "start": start_of(os.getppid()), "machine": platform.node(), "since": "noon"}
    path.write_text(json.dumps(known | owner))
    return path


def test_the_lock_is_beside_the_folder_and_goes_with_the_block(tmp_path):
    with folder_lock(tmp_path / "out"):
        (lock,) = tmp_path.iterdir()
        assert json.loads(lock.read_text())["process"] == os.getpid()
        with folder_lock(tmp_path / "out"):  # a step of the same run
            pass
        assert lock.exists()
        with folder_lock(tmp_path / "other"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_another_run_is_kept_out(tmp_path):
    lock = lock_of(tmp_path / "out")
    with pytest.raises(UserError, match=f"process {os.getppid()} on .*, since noon"), folder_lock(tmp_path / "out"):
        pass
    assert lock.exists()
    assert list(tmp_path.iterdir()) == [lock]


@pytest.mark.parametrize("owner", [{"process": 4194999}, {"start": "1"}], ids=["gone", "number taken by a later one"])
def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path, owner):
    lock_of(tmp_path / "out", **owner)
    with folder_lock(tmp_path / "out"):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"process": "x"}', "\x00"])
def test_a_damaged_lock_is_taken_over(tmp_path, content):
    lock_of(tmp_path / "out").write_text(content)
    with folder_lock(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_machine_is_left_to_the_user(tmp_path):
    lock = lock_of(tmp_path / "out", machine="node17", process=4194999)
    with pytest.raises(UserError, match=f"on node17.*remove {lock}"), folder_lock(tmp_path / "out"):
        pass


def test_without_hard_links(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(locks.os, "link", refuse)
    with folder_lock(tmp_path / "out"):
        assert len(list(tmp_path.iterdir())) == 1
    lock_of(tmp_path / "out")
    with pytest.raises(UserError, match="another run"), folder_lock(tmp_path / "out"):
        pass


def test_in_the_folder_where_its_parent_may_not_be_written(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(locks.os, "access", lambda path, mode: False)
    with folder_lock(tmp_path / "out"):
        assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_step_leaves_no_lock(tmp_path, number):
    def take_and_release():
        with folder_lock(tmp_path / "out"):
            pass

    def nothing_is_left(step):
        assert names(tmp_path) == [], step
        assert not locks._held, step

    assert signal_at_every_step(take_and_release, nothing_is_left, number) > 50


def test_a_signal_while_a_stale_lock_is_taken_over_leaves_none_of_ours(tmp_path):
    def take_over():
        lock_of(tmp_path / "out", process=4194999)
        with folder_lock(tmp_path / "out"):
            pass

    def none_of_ours(step):
        for name in names(tmp_path):
            assert json.loads((tmp_path / name).read_text())["process"] == 4194999, step
            (tmp_path / name).unlink()

    signal_at_every_step(take_over, none_of_ours)


def test_a_lock_that_this_process_lost_sight_of_is_its_own(tmp_path):
    lock_of(tmp_path / "out", process=os.getpid(), start=start_of(os.getpid()))
    with folder_lock(tmp_path / "out"):
        pass
    assert names(tmp_path) == []
