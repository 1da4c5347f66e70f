"""The output folder of an evaluation: no input and nobody else's file is overwritten, and one run at a time writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import remove_leftovers, write_csv
from nnunet_fair.locks import folder_lock

CASES, SCORES, SUBGROUPS, REPORT = "cases.csv", "scores.json", "subgroups.csv", "report.html"
FALSE_POSITIVES = "false_positives.csv"
COMPARISON, LEVELLING = "comparison.json", "levelling.csv"
_BEGINNINGS = {
    CASES: ("case_id,dsc", "class,case_id,dsc", "case_id,pcr,prediction"),
    SUBGROUPS: ("subgroup,attributes,", "class,subgroup,attributes,", "variable,group,n,"),
    FALSE_POSITIVES: ("subgroup,attributes,", "class,subgroup,attributes,"),
    LEVELLING: ("variable,", "attribute,"),
}
_KEYS = {SCORES: {"ranking", "intervals"}, COMPARISON: {"statistics", "levelling_down"}}
_GENERATOR = '<meta name="generator" content="nnunet-fair'


@contextmanager
def output_folder(folder: Path, names: Sequence[str], inputs: Iterable[Path | None]) -> Iterator[None]:
    """Make an output folder and keep other runs out of it while the block runs.

    Args:
        folder: the folder; made where it does not exist.
        names: the files the command writes into it; those of an earlier run are replaced.
        inputs: files and folders the command reads; None for one that is not given.

    Raises:
        UserError: the folder cannot be made, is an input or would overwrite one, holds a file of one of these names
            that no run of this package wrote, or another run is writing there.
    """
    check_outputs(folder, names, inputs)
    with folder_lock(folder):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        yield


def check_outputs(folder: Path, names: Sequence[str], inputs: Iterable[Path | None]) -> None:
    """Refuse an output folder in which something would be lost.

    Args:
        folder: see :func:`output_folder`.
        names: see :func:`output_folder`.
        inputs: see :func:`output_folder`.

    Raises:
        UserError: see :func:`output_folder`.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; `output` takes a folder")
    place = folder.resolve()
    written = {place / name for name in names}
    for given in inputs:
        if given is None:
            continue
        path = given.resolve()
        if path == place and path.is_dir():
            raise UserError(f"{given} is read, and results would be written into it; give another `output` folder")
        if path in written:
            raise UserError(f"{given} is read, and the results would overwrite it; give another `output` folder")
    for name in names:
        path = folder / name
        if path.is_dir() or (path.is_file() and not _is_own(path)):
            raise UserError(
                f"{path} was not written by this command and would be overwritten; move it away or give another "
                "`output` folder"
            )


def _is_own(path: Path) -> bool:
    """Whether a file of this name is one that this package writes; an empty one is nobody's loss."""
    text = path.read_bytes()[:4_000_000].decode(encoding="utf-8", errors="replace")
    if not text.strip():
        return True
    if path.name in _BEGINNINGS:
        return text.startswith(_BEGINNINGS[path.name])
    if path.name in _KEYS:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return False
        return isinstance(content, dict) and _KEYS[path.name] <= content.keys()
    return _GENERATOR in text


def write_optional_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table that has rows; one of an earlier run is removed where it has none now.

    Args:
        table: the table.
        path: its file.
    """
    if len(table):
        write_csv(table, path)
    else:
        path.unlink(missing_ok=True)
