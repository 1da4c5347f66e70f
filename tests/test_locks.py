"""One run at a time in an output folder."""

import json
import os
import platform
import signal
import threading
import time

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


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(locks, "_RENEWED_EVERY", 0.05)


def test_a_renewed_lock_of_another_machine_is_taken_over_once_it_is_no_longer_renewed(tmp_path, quickly):
    """As a cluster starts a training again on another node."""
    lock = lock_of(tmp_path / "out", machine="node17", renewed_every=20)
    with folder_lock(tmp_path / "out", renewed=True):
        assert json.loads(lock.read_text())["process"] == os.getpid()
    assert names(tmp_path) == []


def test_a_renewed_lock_of_another_machine_keeps_others_out_while_it_is_renewed(tmp_path, quickly):
    lock = lock_of(tmp_path / "out", machine="node17", renewed_every=20)
    renewing = locks._renewing(lock)
    with renewing, pytest.raises(UserError, match="on node17"), folder_lock(tmp_path / "out"):
        pass
    assert names(tmp_path) == [lock.name]


def test_a_lock_is_renewed_as_long_as_the_block_runs(tmp_path, quickly):
    with folder_lock(tmp_path / "out", renewed=True):
        (lock,) = tmp_path.iterdir()
        os.utime(lock, (0, 0))
        end = time.monotonic() + 10
        while not lock.stat().st_mtime and time.monotonic() < end:
            time.sleep(0.01)
        assert lock.stat().st_mtime
        n_threads = threading.active_count()
    assert threading.active_count() == n_threads - 1


def test_a_lock_that_another_machine_took_over_is_left_to_it(tmp_path):
    with folder_lock(tmp_path / "out"):
        lock = lock_of(tmp_path / "out", machine="node17")
    assert names(tmp_path) == [lock.name]


def test_a_folder_that_may_not_be_written_to_is_named_and_not_the_lock(tmp_path, monkeypatch):
    def forbid(*arguments, **options):
        raise PermissionError(13, "Permission denied", "hidden")

    monkeypatch.setattr(locks.Path, "write_text", forbid)
    with pytest.raises(PermissionError) as caught, folder_lock(tmp_path / "out"):
        pass
    assert caught.value.filename == str(tmp_path / "out")
