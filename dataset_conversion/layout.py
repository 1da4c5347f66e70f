"""The MAMA-MIA folder layout: which files belong to which case.

``images/<ID>/<id>_0000.nii.gz …``, ``segmentations/<reader>/<id>.nii.gz``, ``patient_info_files/<id>.json``,
``clinical_and_imaging_info.xlsx``, ``train_test_splits.csv``. File names are lower case in one release and upper case
in another: they are matched case-insensitively, and a case's ID is its folder's name in upper case, as in the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import case_and_channel

FILE_ENDING = ".nii.gz"
IMAGES = "images"
SEGMENTATIONS = "segmentations"
PATIENT_INFO = "patient_info_files"
INPUT_FOLDERS = (IMAGES, SEGMENTATIONS, PATIENT_INFO)
"""Everything in these is taken for a case, its label or its box."""
TABLE_STEM = "clinical_and_imaging_info"
TABLE_SUFFIXES = (".xlsx", ".csv", ".tsv", ".json")
SPLIT_FILE = "train_test_splits.csv"


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Attributes:
        case_id: the canonical ID, upper case.
        phases: phase number (0 is pre-contrast) to its image file, in ascending order.
        label: the segmentation file, None where there is none.
        patient_info: the JSON that holds the breast box, None where there is none.
        conflicts: what is ambiguous in the folders (two files for one phase, two folders for one ID); such a case is
            not converted.
    """

    case_id: str
    phases: Mapping[int, Path] = field(default_factory=dict)
    label: Path | None = None
    patient_info: Path | None = None
    conflicts: tuple[str, ...] = ()


def discover_cases(root: str | os.PathLike, *, segmentations: str = "expert") -> dict[str, CaseFiles]:
    """Find the cases of a cohort in the MAMA-MIA layout; neither a table nor labels are needed.

    Args:
        root: the folder that holds ``images``.
        segmentations: the folder below ``segmentations`` that labels come from.

    Returns:
        The cases by ID, in alphabetical order. A label without an image folder gives a case without phases.

    Raises:
        UserError: ``root`` has no folder ``images`` or no case in it.
    """
    root = Path(root)
    images = root / IMAGES
    if not images.is_dir():
        raise UserError(
            f"{root} has no folder {IMAGES!r}; expected the MAMA-MIA layout, {IMAGES}/<ID>/<ID>_0000{FILE_ENDING}"
        )
    folders, twins = _by_id((entry.name, Path(entry.path)) for entry in os.scandir(images) if entry.is_dir())
    if not folders:
        raise UserError(f"{images} has no case folder; expected {IMAGES}/<ID>/<ID>_0000{FILE_ENDING}")
    labels, label_twins = _by_id(_files(root / SEGMENTATIONS / segmentations, FILE_ENDING))
    infos, info_twins = _by_id(_files(root / PATIENT_INFO, ".json"))
    cases = {}
    for case_id in sorted(folders.keys() | labels.keys()):
        phases, conflicts = _phases(folders[case_id]) if case_id in folders else ({}, [])
        conflicts += [
            f"two {what} that differ only in upper and lower case: {' and '.join(names[case_id])}"
            for what, names in (("folders", twins), ("labels", label_twins), ("patient info files", info_twins))
            if case_id in names
        ]
        cases[case_id] = CaseFiles(case_id, phases, labels.get(case_id), infos.get(case_id), tuple(conflicts))
    return cases


def find_table(root: str | os.PathLike) -> Path | None:
    """``clinical_and_imaging_info`` in one of its formats (XLSX, CSV, TSV, JSON); None where there is none."""
    for suffix in TABLE_SUFFIXES:
        path = Path(root) / f"{TABLE_STEM}{suffix}"
        if path.is_file():
            return path
    return None


def _files(folder: Path, ending: str) -> Iterator[tuple[str, Path]]:
    """(name without ending, path) of the files in ``folder``; none where the folder is missing.

    Folders and broken links of such a name are among them: reading them says what is wrong.
    """
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if entry.name.lower().endswith(ending) and not entry.name.startswith("."):
            yield entry.name[: -len(ending)], Path(entry.path)


def _by_id(named: Iterable[tuple[str, Path]]) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """Paths by upper-case name, and the names of those that clash."""
    paths: dict[str, Path] = {}
    clashes: dict[str, list[str]] = {}
    for name, path in sorted(named):
        case_id = name.upper()
        if name.startswith("."):
            continue
        if case_id in paths:
            clashes.setdefault(case_id, [paths[case_id].name]).append(path.name)
        else:
            paths[case_id] = path
    return paths, clashes


def _phases(folder: Path) -> tuple[dict[int, Path], list[str]]:
    """The phase files of one case folder, and what is ambiguous about them."""
    phases: dict[int, Path] = {}
    conflicts = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        found = case_and_channel(entry.name) if entry.name.lower().endswith(FILE_ENDING) else None
        if found is None:
            continue
        phase = found[1]
        if phase in phases:
            conflicts.append(f"two files for phase {phase}: {phases[phase].name} and {entry.name}")
        else:
            phases[phase] = Path(entry.path)
    return dict(sorted(phases.items())), conflicts
