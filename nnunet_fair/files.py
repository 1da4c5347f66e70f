"""Atomic writes: a reader finds the old file or folder or the whole new one, never half of it.

What is being written lies beside its place under a hidden name that tells who writes it
(``.report.html.nnunet_fair-new.<machine>.<process>.<its start>.<random>``), so that the next run can tell the leftovers
of a run that was killed from the work of one that is still going on.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_fair.errors import UserError
from nnunet_fair.processes import is_running, machine, signals_wait, start_of, undone

if TYPE_CHECKING:
    import pandas as pd

_NEW, _OLD = "nnunet_fair-new", "nnunet_fair-old"
_LEFTOVER = re.compile(
    rf"\.(?P<name>.+)\.(?P<kind>{_NEW}|{_OLD})\.(?P<machine>\w+)\.(?P<pid>\d+)\.(?P<start>\w*)\.\w+", re.DOTALL
)
_SHOWN = 120  # bytes of the name that are repeated in the hidden one: names have a limit
_OF_ANOTHER_MACHINE = 2 * 24 * 3600  # seconds after which its files count as left over: nobody can ask whether it runs
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux's renameat2


def _shown(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_SHOWN])


@functools.cache
def _writer(pid: int) -> str:
    return f"{machine()}.{pid}.{start_of(pid)}"


def _hidden_prefix(path: Path, kind: str) -> str:
    return f".{_shown(path.name)}.{kind}.{_writer(os.getpid())}."


def temporary_name(path: Path) -> Path:
    """A hidden name beside ``path`` for what is made in one step, such as a link, before it gets its own name."""
    return path.with_name(_hidden_prefix(path, _NEW) + "link")


def _unused_name(path: Path, kind: str) -> Path:
    return path.with_name(_hidden_prefix(path, kind) + secrets.token_hex(8))


@contextmanager
def _hidden_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside ``path`` that goes with the block; named before it is made, so that a signal finds it."""
    folder = _unused_name(path, _NEW)
    with undone(lambda: remove_tree(folder)):
        folder.mkdir(mode=stat.S_IRWXU)
        yield folder


@contextmanager
def atomic_link(path: Path) -> Iterator[Path]:
    """Yield a hidden name beside ``path`` for a link, which is renamed to ``path`` when the block ends.

    A link is one call: :func:`atomic_path`, with its folder, would be most of the time of linking a cohort.
    """
    temporary = temporary_name(path)
    temporary.unlink(missing_ok=True)
    with undone(lambda: temporary.unlink(missing_ok=True)):  # renaming a link to the very same file does nothing
        yield temporary
        temporary.replace(path)


@contextmanager
def staging_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` and remove it at the end; leftovers of killed runs are removed first.

    Args:
        path: the file or folder that is made in it; its parent must exist.
    """
    path = Path(path)
    remove_leftovers(path.parent, path.name)
    with _hidden_folder(path) as folder:
        yield folder


def remove_leftovers(folder: str | os.PathLike, name: str | None = None) -> None:
    """Remove what runs that were killed left half done in a folder; an earlier result they had moved is put back.

    Args:
        folder: where to look; nothing below it.
        name: the file or folder they were making; None for any.
    """
    folder = Path(folder)
    for entry in list(folder.iterdir()) if folder.is_dir() else []:
        match = _LEFTOVER.fullmatch(entry.name)
        if match is None or (name is not None and match["name"] != _shown(name)) or _in_use(entry, match):
            continue
        if match["kind"] == _OLD and name is not None and not (folder / name).exists():
            entry.rename(folder / name)
        elif match["kind"] == _NEW or (name is not None and (folder / name).exists()):
            remove_tree(entry)


def _in_use(entry: Path, match: re.Match[str]) -> bool:
    """Whether whoever writes it may still be there."""
    if match["machine"] == machine():
        return is_running(int(match["pid"]), match["start"])
    return time.time() - entry.lstat().st_mtime < _OF_ANOTHER_MACHINE


def remove_tree(path: Path) -> None:
    """Remove a folder or file, or nothing where there is none; a link goes, and not what it points at."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:  # a folder that was copied from one that may not be written to
        path.chmod(stat.S_IRWXU)
        for folder, inner, _ in os.walk(path):
            for entry in (Path(folder, name) for name in inner):
                if not entry.is_symlink():
                    entry.chmod(stat.S_IRWXU)
        shutil.rmtree(path)


@contextmanager
def atomic_path(path: str | os.PathLike, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it to ``path`` when the block ends without an exception.

    The temporary file keeps the whole suffix of ``path`` (``.nii.gz``), because image writers choose the format by it.

    Args:
        path: the file to write; its folder must exist.
        durable: have the disk confirm the file and its name, so that it survives a power cut.

    Yields:
        The path to write to; it does not exist yet.

    Raises:
        OSError: no space was left: image writers may not say so.
    """
    path = Path(path)
    with _hidden_folder(path) as folder:
        temporary = folder / path.name
        try:
            yield temporary
            check_space(temporary, path)
            if durable:
                sync(temporary)
            temporary.replace(path)
        except OSError as error:  # a full disk does not say which file it was, or names the hidden one
            if error.errno is not None and (error.filename is None or str(error.filename) == str(temporary)):
                error.filename = str(path)
            raise
    if durable:
        sync(path.parent)


def check_space(written: Path, path: Path) -> None:
    """Refuse a file whose end did not find room.

    Args:
        written: the file, under the name it has while it is written.
        path: the name it is to get.

    Raises:
        OSError: the file system has no block left.
    """
    if not hasattr(os, "statvfs"):
        return
    left = os.statvfs(written)
    if left.f_blocks and not left.f_bavail:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def sync(path: str | os.PathLike) -> None:
    """Have the disk confirm a file's content, or a folder's names."""
    if Path(path).is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without it
            raise
    finally:
        os.close(handle)


def replace_folder(new: Path, target: Path) -> None:
    """Put a finished folder in its place, whole: a reader finds the old or the new one, never a mixture.

    Args:
        new: the finished folder, on the same file system.
        target: its place; what is there is removed afterwards. A link is followed.
    """
    target = target.resolve()
    with signals_wait():
        if not target.exists():
            new.rename(target)
        elif _exchange(new, target):
            remove_tree(new)
        else:
            _replace_in_two_steps(new, target)


def _replace_in_two_steps(new: Path, target: Path) -> None:
    """Between the two there is no folder: after a kill the next run finds the old one by its name and puts it back."""
    old = _unused_name(target, _OLD)
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    remove_tree(old)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here = -100  # AT_FDCWD
    return rename is not None and rename(here, os.fsencode(first), here, os.fsencode(second), _EXCHANGE) == 0


def write_text(text: str, path: str | os.PathLike, *, durable: bool = False) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically; what UTF-8 cannot hold (half a surrogate pair) as ``?``."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def write_json(content: Any, path: str | os.PathLike, *, durable: bool = False) -> None:
    """Write ``content`` to ``path`` as indented JSON, atomically; NaN and infinity are refused (not valid JSON)."""
    write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", path, durable=durable)


def is_utf8(path: str | os.PathLike) -> bool:
    """Whether a file's name is UTF-8; ITK ends the whole process where it is not."""
    return os.fspath(path).isprintable() or not any("\ud800" <= sign <= "\udfff" for sign in os.fspath(path))


def read_json(path: str | os.PathLike, *, kind: type = dict, remedy: str = "restore it or make it again") -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        kind: what it has to hold: ``dict`` or ``list``.
        remedy: what to do where it cannot be read.

    Raises:
        UserError: it is no JSON, holds something else, or is nested too deeply.
        OSError: it cannot be opened.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        raise UserError(f"{path} is not valid JSON (nested too deeply); {remedy}") from error
    except ValueError as error:  # no UTF-8, no JSON, a number of thousands of digits
        raise UserError(f"{path} is not valid JSON ({error}); {remedy}") from error
    if not isinstance(content, kind):
        expected = "an object" if kind is dict else "a list"
        raise UserError(f"{path} is not {expected} in JSON, but {type(content).__name__}; {remedy}")
    return content


def write_csv(frame: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write ``frame`` to ``path`` as CSV without its index, atomically; a missing value is an empty cell.

    Texts that a spreadsheet would run as a formula are written as :func:`no_formula` gives them.
    """
    with atomic_path(path) as temporary:
        without_formulas(frame).to_csv(temporary, index=False, errors="replace")


def no_formula(value: Any) -> Any:
    """A text that begins as a formula does in a spreadsheet (``=``, ``+``, ``-``, ``@``) with a ``'`` before it.

    Numbers stay as they are. :func:`with_formula` takes the sign away again.
    """
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def with_formula(value: Any) -> Any:
    """The text that :func:`no_formula` was given."""
    return value[1:] if isinstance(value, str) and value.startswith("'") and _FORMULA.match(value) else value


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with every text, column names too, as :func:`no_formula` gives it."""
    texts = {name: frame[name].map(no_formula) for name in frame.columns if not _is_number(frame[name])}
    return frame.assign(**texts).rename(columns=no_formula)


def _is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "biufcmM"


def plain(value: Any) -> Any:
    """The value as JSON can hold it: NumPy scalars as Python's, NaN and infinity as None."""
    import numpy as np

    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
