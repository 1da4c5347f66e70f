"""What the commands of this room may write over, and one run at a time: their own tables and folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.files import remove_leftovers
from nnunet_fair.locks import folder_lock
from nnunet_fair.outputs import begins_with, is_record, refuse_foreign, refuse_inputs


def check_table(
    output: Path,
    *,
    overwrite: bool,
    beginning: str,
    keys: Collection[str],
    inputs: Iterable[str | os.PathLike | None] = (),
) -> None:
    """Refuse a table, and the record beside it (``.json``), that cannot be written.

    Args:
        output: the table.
        overwrite: whether one of an earlier run may be replaced.
        beginning: what a table of this command begins with.
        keys: what the record of such a table holds.
        inputs: files that are read; None for one that is not given.

    Raises:
        UserError: it is no ``.csv``, an input, somebody else's, or there and not to be replaced.
    """
    if output.suffix.lower() != ".csv":
        raise UserError(f"{output} does not end in .csv; `output` takes the name of the table")
    record = output.with_suffix(".json")
    remedy = "give another `output`"
    for path in (output, record):
        refuse_inputs(path, inputs, remedy=remedy)
    refuse_foreign(output, begins_with(output, beginning), remedy=f"move it away or {remedy}")
    refuse_foreign(record, is_record(record, keys), remedy=f"move it away or {remedy}")
    if output.exists() and not overwrite:
        raise UserError(f"{output} exists; `overwrite` replaces it")


@contextmanager
def table_lock(output: Path) -> Iterator[None]:
    """Keep other runs away from a table and its record while the block runs; leftovers of killed runs go first.

    Args:
        output: the table.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(output):
        for path in (output, output.with_suffix(".json")):
            remove_leftovers(output.parent, path.name)
        yield


def check_folder(
    output: Path,
    *,
    overwrite: bool,
    record: str,
    keys: Collection[str],
    is_own: Iterable[str],
    inputs: Iterable[str | os.PathLike | None] = (),
) -> None:
    """Refuse a folder that cannot be made or replaced as a whole.

    Args:
        output: the folder.
        overwrite: whether one of an earlier run may be replaced.
        record: the file every folder of this command holds.
        keys: what that record holds.
        is_own: patterns of the names of this command's files.
        inputs: files and folders that are read; None for one that is not given.

    Raises:
        UserError: an input lies in it, it holds something this command did not write, or it is there and not to be
            replaced.
    """
    refuse_inputs(output, inputs, replaced=True)
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file; `output` takes a folder")
    there = sorted(output.iterdir()) if output.is_dir() else []
    if not there:
        return
    patterns = tuple(is_own)
    for entry in there:
        refuse_foreign(entry, any(entry.match(pattern) for pattern in patterns))
    refuse_foreign(output, is_record(output / record, keys))
    if not overwrite:
        raise UserError(f"{output} is of an earlier run; `overwrite` replaces it")
