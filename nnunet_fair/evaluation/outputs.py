"""The output folder of an evaluation: no input and nobody else's file is overwritten, and one run at a time writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import atomic_path, remove_leftovers, write_csv
from nnunet_fair.locks import folder_lock
from nnunet_fair.outputs import begins_with, is_page, is_pdf, is_record, refuse_foreign, refuse_inputs

CASES, SCORES, SUBGROUPS, REPORT = "cases.csv", "scores.json", "subgroups.csv", "report.html"
FALSE_POSITIVES = "false_positives.csv"
NET_BENEFIT = "net_benefit.csv"
CALIBRATION, RELIABILITY = "calibration.csv", "reliability.csv"
EQUITY, EQUIVALENCE, SIZE_NEUTRAL = "equity.csv", "equivalence.csv", "size_neutral.csv"
VOLUME, LESION_GROUPS, LESIONS = "volume.csv", "lesion_groups.csv", "lesions.csv"
MEASURES = {
    "equity": EQUITY,
    "equivalence": EQUIVALENCE,
    "size_neutral": SIZE_NEUTRAL,
    "volume": VOLUME,
    "lesions": LESION_GROUPS,
}
"""The file of each table of ``scores.measures.Measures``."""
READERS, READER_GAPS = "readers.csv", "reader_gaps.csv"
SUMMARY = "summary.pdf"
CLUSTERS, HIDDEN_GROUPS, HIDDEN_RECORD = "clusters.csv", "hidden_groups.csv", "hidden_groups.json"
COMPARISON, LEVELLING = "comparison.json", "levelling.csv"
_BEGINNINGS = {
    CASES: ("case_id,dsc", "class,case_id,dsc", "case_id,pcr,prediction"),
    SUBGROUPS: ("subgroup,attributes,", "class,subgroup,attributes,", "variable,group,n,"),
    FALSE_POSITIVES: ("subgroup,attributes,", "class,subgroup,attributes,"),
    CALIBRATION: ("subgroup,attributes,", "class,subgroup,attributes,"),
    RELIABILITY: ("subgroup,attributes,", "class,subgroup,attributes,", "low_probability,"),
    NET_BENEFIT: ("threshold,model,",),
    EQUITY: ("attributes,metric,", "class,attributes,metric,"),
    EQUIVALENCE: ("subgroup,attributes,kind,n,n_others,", "class,subgroup,attributes,kind,n,n_others,"),
    SIZE_NEUTRAL: ("attributes,n_cases,", "class,attributes,n_cases,"),
    VOLUME: ("subgroup,attributes,kind,n,relative_error,", "class,subgroup,attributes,kind,n,relative_error,"),
    LESION_GROUPS: ("subgroup,attributes,kind,size,", "class,subgroup,attributes,kind,size,"),
    LESIONS: ("case_id,kind,lesion,", "class,case_id,kind,lesion,"),
    READERS: ("subgroup,attributes,", "class,subgroup,attributes,"),
    READER_GAPS: ("attributes,n_cases,", "class,attributes,n_cases,"),
    CLUSTERS: ("cluster,network,n,",),
    HIDDEN_GROUPS: ("case_id,cluster,network,",),
    LEVELLING: ("variable,", "attribute,", "class,variable,"),
}
_KEYS = {
    SCORES: {"ranking", "intervals"},
    HIDDEN_RECORD: {"clusters", "n_permutations"},
    COMPARISON: {"statistics", "levelling_down"},
}


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
    refuse_inputs(folder, inputs, names=names)
    for name in names:
        refuse_foreign(folder / name, _is_own(folder / name))


def _is_own(path: Path) -> bool:
    """Whether a file of this name is one that this package writes."""
    if path.name in _BEGINNINGS:
        return begins_with(path, _BEGINNINGS[path.name])
    if path.name in _KEYS:
        return is_record(path, _KEYS[path.name])
    if path.name == SUMMARY:
        return is_pdf(path)
    return is_page(path)


def write_optional_file(content: bytes | None, path: Path) -> None:
    """Write a file that was asked for; one of an earlier run is removed where it was not.

    Args:
        content: what it holds; None where it was not asked for.
        path: its file.
    """
    if content is None:
        path.unlink(missing_ok=True)
        return
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


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
