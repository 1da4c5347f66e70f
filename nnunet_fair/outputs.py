"""What a command may write over: never what it reads, never a file that it did not write."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from nnunet_fair.errors import UserError

ANOTHER = "give another `output` folder"
AWAY = f"move it away or {ANOTHER}"
_GENERATOR = '<meta name="generator" content="nnunet-fair'
_MAKER = "/Creator (nnunet-fair "
_MOST_READ = 4_000_000  # bytes of a file that are looked at


def refuse_inputs(
    output: str | os.PathLike,
    inputs: Iterable[str | os.PathLike | None],
    *,
    names: Sequence[str] = (),
    replaced: bool = False,
    remedy: str = ANOTHER,
) -> None:
    """Refuse an output that is an input or would overwrite one.

    Args:
        output: the file or folder that is written.
        inputs: files and folders that are read; None for one that is not given.
        names: files that are written into the folder.
        replaced: the folder is replaced as a whole, so that nothing in it stays.
        remedy: what to do.

    Raises:
        UserError: it is; the message names the input.
    """
    place = Path(output).resolve()
    written = {place, *(place / name for name in names)}
    for given in inputs:
        if given is None:
            continue
        path = Path(given).resolve()
        if path == place and path.is_dir():
            raise UserError(f"{given} is read, and results would be written into it; {remedy}")
        if path in written:
            raise UserError(f"{given} is read, and the results would overwrite it; {remedy}")
        if replaced and place in path.parents:
            raise UserError(f"{given} is read and lies in {output}, which would be replaced; {remedy}")


def refuse_among_inputs(
    output: str | os.PathLike, folders: Iterable[str | os.PathLike], *, remedy: str = ANOTHER
) -> None:
    """Refuse an output that lies where it would be taken for an input.

    Args:
        output: the file or folder that is written.
        folders: the folders in which everything counts as input.
        remedy: what to do.

    Raises:
        UserError: it does; the message names the folder.
    """
    place = Path(output).resolve()
    for folder in folders:
        inside = Path(folder).resolve()
        if inside == place or inside in place.parents:
            raise UserError(f"{output} lies in {folder}, where it would be taken for input; {remedy}")


def refuse_foreign(path: str | os.PathLike, own: bool, *, remedy: str = AWAY) -> None:
    """Refuse to overwrite or remove a file or folder that the command did not write.

    Args:
        path: what would be lost; it need not exist.
        own: whether the command wrote it, where it exists.
        remedy: what to do.

    Raises:
        UserError: it exists and is somebody else's.
    """
    if os.path.lexists(path) and not own:
        raise UserError(f"{path} was not written by this command and would be lost; {remedy}")


def begins_with(path: Path, beginnings: str | tuple[str, ...]) -> bool:
    """Whether a file is one of ours: it begins like them. One that is empty is nobody's loss."""
    text = _beginning(path)
    return text is not None and (not text.strip() or text.startswith(beginnings))


def is_record(path: Path, keys: Collection[str]) -> bool:
    """Whether a file is a JSON object of ours: it has these keys. One that is empty is nobody's loss."""
    text = _beginning(path)
    if text is None or not text.strip():
        return text is not None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= set(keys)


def is_page(path: Path) -> bool:
    """Whether a file is a page of ours: it says so. One that is empty is nobody's loss."""
    text = _beginning(path)
    return text is not None and (not text.strip() or _GENERATOR in text)


def is_pdf(path: Path) -> bool:
    """Whether a file is a PDF of ours: it names its maker. One that is empty is nobody's loss."""
    text = _beginning(path)
    return text is not None and (not text.strip() or (text.startswith("%PDF-") and _MAKER in text))


def _beginning(path: Path) -> str | None:
    """The text a file begins with; None for what is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return stream.read(_MOST_READ).decode(encoding="utf-8", errors="replace")
