"""One run at a time in an output folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.files import remove_leftovers, temporary_name
from nnunet_fair.processes import is_running, signals_wait, start_of, undone

_LOCK = "nnunet_fair-lock"
_ATTEMPTS = 5
_RENEWED_EVERY = 20.0  # seconds
_MISSED = 3  # renewals that did not come, after which its owner counts as gone
_held: set[Path] = set()


@contextmanager
def folder_lock(folder: str | os.PathLike, *, renewed: bool = False) -> Iterator[None]:
    """Keep other runs out of an output folder while the block runs.

    The lock is a file beside the folder (in it, where its parent may not be written to) that names the process; that
    of a process which is gone is taken over.

    Args:
        folder: the output folder, or a file that is written; it need not exist yet.
        renewed: renew the file's time as long as the block runs, so that a run on another machine can tell when this
            one is gone: for what a cluster starts again elsewhere by itself.

    Raises:
        UserError: another run is writing there.
        OSError: the lock cannot be written.
    """
    path = _lock_file(Path(folder).resolve())
    if path in _held:  # by a step of this run that this one is part of
        yield
        return
    with undone(lambda: _release(path)):
        with _naming(folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            _take(path, Path(folder), renewed)
        with _renewing(path) if renewed else contextlib.nullcontext():
            yield


@contextmanager
def _naming(folder: str | os.PathLike) -> Iterator[None]:
    """Name the folder where the lock cannot be written: nobody knows the lock's hidden name."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = os.fspath(folder), None
        raise


@contextmanager
def _renewing(path: Path) -> Iterator[None]:
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(_RENEWED_EVERY):
            with contextlib.suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _release(path: Path) -> None:
    """Remove the lock file where it is this run's; where that is not possible, it goes with the process."""
    if path in _held:
        owner = _read(path)
        if owner is None or _is_mine(owner):  # else a machine took it that thought this one gone
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        _held.discard(path)


def _lock_file(folder: Path) -> Path:
    beside = folder.with_name(f".{folder.name}.{_LOCK}")
    writable = os.access(folder.parent, os.W_OK) or not folder.parent.exists()
    return beside if folder.name and (writable or not folder.is_dir()) else folder / f".{_LOCK}"


def _take(path: Path, folder: Path, renewed: bool) -> None:
    """Make the lock file, after that of a process that is gone was removed."""
    me = {"process": os.getpid(), "start": start_of(os.getpid()), "machine": platform.node(), "since": _now()}
    if renewed:
        me["renewed_every"] = _RENEWED_EVERY
    remove_leftovers(path.parent, path.name)
    own = temporary_name(path)
    with undone(lambda: own.unlink(missing_ok=True)):
        own.write_text(json.dumps(me), encoding="utf-8")
        for _ in range(_ATTEMPTS):
            with signals_wait():
                if _linked(own, path):
                    _held.add(path)
                    return
            owner = _read(path)
            if owner is not None and _holds(owner, path):
                raise UserError(
                    f"another run (process {owner['process']} on {owner['machine']}, since {owner['since']}) is "
                    f"writing to {folder}; wait until it has ended or give another folder. If it is gone, remove {path}"
                )
            with signals_wait():
                _move_away(path, owner)
    raise UserError(f"{path} cannot be taken: several runs want {folder} at once; start them one after the other")


def _linked(own: Path, path: Path) -> bool:
    """Give the lock its name, whole from the first moment; False where there is one."""
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        path.write_bytes(own.read_bytes())
    return True


def _move_away(path: Path, owner: dict | None) -> None:
    """Remove the lock of a process that is gone, and not one that another run took in its place meanwhile."""
    stale = temporary_name(path)
    stale = stale.with_name(f"{stale.name}2")
    try:
        path.rename(stale)
    except FileNotFoundError:
        return
    if _read(stale) != owner:
        with contextlib.suppress(FileExistsError):
            os.link(stale, path)
    stale.unlink()


def _read(path: Path) -> dict | None:
    """Who holds the lock; None where the file says nothing (cut short by a crash of the machine) or is gone."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        int(owner["process"]), str(owner["start"]), str(owner["machine"]), str(owner["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return owner


def _holds(owner: dict, path: Path) -> bool:
    """Whether that process is still there; on another machine only a lock that is renewed can tell.

    This process itself no longer holds it: it would not have asked.
    """
    if owner["machine"] != platform.node():
        every = owner.get("renewed_every")
        return not isinstance(every, (int, float)) or _is_renewed(path, every)
    return is_running(int(owner["process"]), str(owner["start"])) and not _is_mine(owner)


def _is_mine(owner: dict) -> bool:
    pid = os.getpid()
    return (owner["machine"], int(owner["process"]), str(owner["start"])) == (platform.node(), pid, start_of(pid))


def _is_renewed(path: Path, every: float) -> bool:
    """Watch a lock until it is renewed; False where that does not come. No two machines' clocks are compared."""
    end = time.monotonic() + _MISSED * min(every, _RENEWED_EVERY)
    try:
        before = path.stat().st_mtime_ns
        while time.monotonic() < end:
            time.sleep(min(every, _RENEWED_EVERY) / 20)
            if path.stat().st_mtime_ns != before:
                return True
    except FileNotFoundError:
        pass
    return False


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
