"""One run at a time in an output folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.files import remove_leftovers, temporary_name
from nnunet_fair.processes import is_running, signals_wait, start_of, undone

_LOCK = "nnunet_fair-lock"
_ATTEMPTS = 5
_held: set[Path] = set()


@contextmanager
def folder_lock(folder: str | os.PathLike) -> Iterator[None]:
    """Keep other runs out of an output folder while the block runs.

    The lock is a file beside the folder (in it, where its parent may not be written to) that names the process; that
    of a process which is gone is taken over.

    Args:
        folder: the output folder; it need not exist yet.

    Raises:
        UserError: another run is writing there.
    """
    path = _lock_file(Path(folder).resolve())
    if path in _held:  # by a step of this run that this one is part of
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with undone(lambda: _release(path)):
        with signals_wait():
            _take(path, Path(folder))
        yield


def _release(path: Path) -> None:
    """Remove the lock file where it is this run's; where that is not possible, it goes with the process."""
    if path in _held:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        _held.discard(path)


def _lock_file(folder: Path) -> Path:
    beside = folder.with_name(f".{folder.name}.{_LOCK}")
    writable = os.access(folder.parent, os.W_OK) or not folder.parent.exists()
    return beside if folder.name and (writable or not folder.is_dir()) else folder / f".{_LOCK}"


def _take(path: Path, folder: Path) -> None:
    """Make the lock file, after that of a process that is gone was removed."""
    me = {"process": os.getpid(), "start": start_of(os.getpid()), "machine": platform.node(), "since": _now()}
    remove_leftovers(path.parent, path.name)
    own = temporary_name(path)
    try:
        own.write_text(json.dumps(me), encoding="utf-8")
        for _ in range(_ATTEMPTS):
            try:
                os.link(own, path)  # whole from the first moment, and refused where there is one
                _held.add(path)
                return
            except FileExistsError:
                pass
            except OSError:  # a file system without hard links
                if not path.exists():
                    _held.add(path)
                    path.write_text(json.dumps(me), encoding="utf-8")
                    return
            owner = _read(path)
            if owner is not None and _holds(owner):
                raise UserError(
                    f"another run (process {owner['process']} on {owner['machine']}, since {owner['since']}) is "
                    f"writing to {folder}; wait until it has ended or give another folder. If it is gone, remove {path}"
                )
            _move_away(path, owner)
    finally:
        own.unlink(missing_ok=True)
    raise UserError(f"{path} cannot be taken: several runs want {folder} at once; start them one after the other")


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


def _holds(owner: dict) -> bool:
    """Whether that process is still there; on another machine nobody can tell, so it counts as there.

    This process itself no longer holds it: it would not have asked.
    """
    if (int(owner["process"]), owner["start"], owner["machine"]) == (
        os.getpid(),
        start_of(os.getpid()),
        platform.node(),
    ):
        return False
    return owner["machine"] != platform.node() or is_running(int(owner["process"]), str(owner["start"]))


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
