"""Processes: who is still running, workers that end with their parent, signals that end a command like Ctrl-C."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import multiprocessing
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl
_INTERRUPTING = ("SIGTERM", "SIGHUP")
_TIME_TO_TIDY = 0.5  # seconds a worker has to remove what it was writing, once its task was left
_TIME_TO_END = 5.0  # seconds all workers have to end, after which they are killed
_COMMANDS_TIME_TO_END = 10.0  # of a command that has workers of its own


@functools.cache
def machine() -> str:
    """A short text for this machine: process numbers mean something on it only."""
    return hashlib.sha256(platform.node().encode(errors="replace")).hexdigest()[:8]


def start_of(pid: int) -> str:
    """When a process started, as text that no later process with the same number shares; '' where it cannot be told."""
    try:
        # The fields after the name, which is in parentheses and may hold anything; the start is number 22 of all.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_running(pid: int, start: str) -> bool:
    """Whether the process of that number and start is still there.

    Args:
        pid: its number.
        start: what :func:`start_of` said of it; '' where it could not tell.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return start_of(pid) == start if start else True


class Ended(KeyboardInterrupt):
    """A signal asked the command to end.

    Args:
        number: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


_waits = 0  # blocks of signals_wait that the main thread is in
_came: list[int] = []  # signals that came meanwhile
_handled_by = 0  # the process that `_end` was installed in


def _usual(number: int) -> Any:
    """What Python does at a signal by itself."""
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def _end(number: int, _frame: FrameType | None) -> None:
    if os.getpid() != _handled_by:  # a forked process that had no time for `_forget_signals`
        signal.signal(number, _usual(number))
        signal.raise_signal(number)
    elif _waits:
        _came.append(number)
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        raise Ended(number)


def _forget_signals() -> None:
    """In a forked process signals mean what they always do: nnU-Net's pools end their idle workers by SIGTERM.

    A worker that left by an exception instead could do so with the pool's lock in its hands, and the pool would wait
    for it for ever.
    """
    global _waits
    _waits = 0
    _came.clear()
    for name in (*_INTERRUPTING, "SIGINT"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _end:
            signal.signal(number, _usual(number))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_signals)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does: what is half done is removed, worker processes end.

    A signal that is ignored already (``nohup``) stays ignored. Outside the main thread nothing changes, nor in
    processes that are forked meanwhile.
    """
    global _handled_by
    earlier: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            _handled_by = os.getpid()
            for name in (*_INTERRUPTING, "SIGINT"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) == _usual(number):
                    earlier[number] = _usual(number)
                    signal.signal(number, _end)
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """SIGTERM, SIGHUP and Ctrl-C wait until the block has ended, for steps that belong together and are short.

    Blocking them in the thread would not do: the system would hand them to another thread, and Python would still call
    their handlers in the main one.
    """
    global _waits, _handled_by
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers never interrupt another thread
        return
    before, replaced = _waits, False
    try:
        if not before:
            _came.clear()
        _waits, _handled_by = before + 1, os.getpid()
        # Outside of signals_interrupt, in a notebook or a training, Ctrl-C alone is an exception.
        replaced = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if replaced:
            signal.signal(signal.SIGINT, _end)
        yield
    finally:
        _waits = before  # first: as long as the handler is ours, nothing can come between
        if replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if _came and not before:
        number = _came[0]
        _came.clear()
        signal.raise_signal(number)


@contextlib.contextmanager
def undone(undo: Callable[[], None]) -> Iterator[None]:
    """Call ``undo`` when the block has ended, whatever ends it, a signal in the middle of undoing too.

    Args:
        undo: has to find out by itself what there is to undo, for it may be called twice.
    """
    try:
        try:
            yield
        finally:
            with signals_wait():
                undo()
    except (KeyboardInterrupt, SystemExit):
        with signals_wait():
            undo()  # the signal may have come before the first call began
        raise


def start_worker(prepare: Callable[[], None] | None = None) -> None:
    """Initialise a worker process: it ends when its parent is gone, and Ctrl-C is the parent's to handle.

    Args:
        prepare: what else the worker needs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_worker)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _end_with_parent()
    if prepare is not None:
        prepare()


def _end_worker(number: int, _frame: FrameType | None) -> None:
    """Leave the task by an exception, so that it removes what it has half written; the end follows in any case."""
    if _waits:
        _came.append(number)
        return
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _TIME_TO_TIDY)
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if platform.system() == "Linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent.pid and not is_running(parent.pid or 0, ""):
            os._exit(1)  # it went before it could be watched
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def worker_pool(
    n_processes: int, *, prepare: Callable[[], None] | None = None, start_method: str | None = "spawn"
) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that end with the block, at once where it ends by an exception, and with this process.

    Args:
        n_processes: how many.
        prepare: called in each worker at its start; has to be a function of a module.
        start_method: as of ``multiprocessing``; None for the system's default.

    Yields:
        The pool.
    """
    context = multiprocessing.get_context(start_method)
    pool = ProcessPoolExecutor(n_processes, mp_context=context, initializer=start_worker, initargs=(prepare,))
    try:
        yield pool
    except BaseException:
        # Leaving the executor's own block would wait for every task that was handed out.
        workers = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        end = time.monotonic() + _TIME_TO_END
        for worker in workers:
            worker.join(timeout=max(0.0, end - time.monotonic()))
            if worker.is_alive():
                worker.kill()
        raise
    pool.shutdown()


@contextlib.contextmanager
def running_command(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A command that ends with the block, and with it every process that it started.

    It is the leader of a group of its own, so that its workers can be reached where it does not end them itself: a
    training of nnU-Net that is ended by a signal leaves those that load its data.

    Args:
        command: the program and its arguments.
        environment: its whole environment.

    Yields:
        The process; its output and errors are its ``stdout``, as text. At the end of the block it has ended.
    """
    started: list[subprocess.Popen[str]] = []

    def end() -> None:
        for process in started:
            _end_group(process)

    with undone(end):
        with signals_wait():
            started.append(
                subprocess.Popen(
                    command,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            )
        yield started[0]
        started[0].wait()


def _end_group(process: subprocess.Popen[str]) -> None:
    """Ask a command and its workers to end; those that do not are killed."""
    if process.poll() is None:
        for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            with contextlib.suppress(ProcessLookupError):
                if hasattr(os, "killpg"):
                    os.killpg(process.pid, number)
                else:
                    process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_COMMANDS_TIME_TO_END)
    if process.stdout is not None:
        process.stdout.close()
