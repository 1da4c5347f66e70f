"""Signals end a command like Ctrl-C, and workers end with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_fair.processes import Ended, is_running, signals_interrupt, start_of


@pytest.fixture(autouse=True)
def hangups_end_a_process():
    """As they do unless the tests were started by ``nohup``, whose children ignore them, too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_process_is_known_by_number_and_start():
    assert is_running(os.getpid(), start_of(os.getpid()))
    assert not is_running(os.getpid(), "1")
    assert not is_running(4194999, "")
    assert start_of(4194999) == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_interrupt_and_are_put_back(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as caught, signals_interrupt():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert caught.type is Ended
    assert caught.value.number == number
    assert signal.getsignal(number) == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


FORKING = """
import multiprocessing
from nnunet_fair.processes import signals_interrupt
with signals_interrupt(), multiprocessing.get_context("fork").Pool(4) as pool:
    print(sum(pool.map(abs, range(-100, 0))))
"""


@pytest.mark.slow
def test_pools_of_other_libraries_end_their_forked_workers():
    """As nnU-Net's planner does in ``nnunet_fair plans install``: it forks a pool and terminates it."""
    for _ in range(5):
        result = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stdout, result.stderr) == (0, "5050\n", "")


EARLY = """
import os, signal, time
from nnunet_fair import processes
with processes.signals_interrupt():
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.{name}, processes._end)  # as it stands until the fork's callbacks have run
            os.kill(os.getpid(), signal.{name})
            time.sleep(5)
        except KeyboardInterrupt as error:
            os._exit(10 + isinstance(error, processes.Ended))
        finally:
            os._exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", -15), ("SIGHUP", -1), ("SIGINT", 10)])
def test_a_forked_process_ends_by_a_signal_however_early_it_comes(name, status):
    """It may come before the fork's callbacks have run, or while they do: an exception there would be lost."""
    result = subprocess.run([sys.executable, "-c", EARLY.format(name=name)], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == (f"{status}\n", "")


PARENT = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from workload import work
from nnunet_fair.processes import signals_interrupt, worker_pool
if __name__ == "__main__":
    with signals_interrupt(), worker_pool(2, start_method={method!r}) as pool:
        for _ in pool.map(work, range(40)):
            pass
"""
WORKLOAD = """
import os, time
from pathlib import Path
def work(number):
    Path({folder!r}, f"worker-{{os.getpid()}}").touch()
    time.sleep(30)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(tmp_path, number, method):
    (tmp_path / "workload.py").write_text(WORKLOAD.format(folder=str(tmp_path)))
    (tmp_path / "parent.py").write_text(PARENT.format(folder=str(tmp_path), method=method))
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], stderr=subprocess.DEVNULL)
    until(lambda: len(workers(tmp_path)) == 2)
    started = time.monotonic()
    parent.send_signal(number)
    parent.wait(timeout=15)
    until(lambda: not any(is_running(pid, "") for pid in workers(tmp_path)))
    assert time.monotonic() - started < 10


def workers(folder: Path) -> list[int]:
    return [int(path.name.split("-")[1]) for path in folder.glob("worker-*")]


def until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
