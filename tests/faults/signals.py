"""A signal at every step of a function, one after the other, instead of at a moment that luck chooses."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from nnunet_fair import files, locks, processes

TRACED = {module.__file__ for module in (contextlib, files, locks, processes)}


class Count:
    """Steps taken: lines of the modules that write, lock and handle signals."""

    def __init__(self, signal_at: int, number: int) -> None:
        self.steps, self.signal_at, self.number = 0, signal_at, number

    def __call__(self, frame, event, _argument):
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            self.steps += 1
            if self.steps == self.signal_at:
                os.kill(os.getpid(), self.number)
        return self


def run_with_signal(call: Callable[[], None], signal_at: int, number: int = signal.SIGTERM) -> tuple[int, bool]:
    """Run a function with a signal before its n-th line.

    Args:
        call: the function.
        signal_at: when; 0 for never.
        number: the signal; SIGINT comes as to a notebook or a training, outside of a command.

    Returns:
        The lines it took, and whether it was ended.
    """
    ended = False
    count = Count(signal_at, number)
    before = sys.gettrace()
    try:
        with processes.signals_interrupt() if number != signal.SIGINT else contextlib.nullcontext():
            sys.settrace(count)
            try:
                call()
            finally:
                sys.settrace(before)
    except KeyboardInterrupt:
        ended = True
    return count.steps, ended


def signal_at_every_step(call: Callable[[], None], check: Callable[[int], None], number: int = signal.SIGTERM) -> int:
    """Run a function once for each of its lines, with the signal there; how many there were.

    Args:
        call: the function.
        check: looks at what is left after each, given which it was.
        number: the signal.
    """
    n_steps, _ = run_with_signal(call, 0)
    for step in range(1, n_steps + 1):
        _, ended = run_with_signal(call, step, number)
        assert ended, step
        check(step)
    return n_steps


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(entry.name for entry in folder.iterdir())
