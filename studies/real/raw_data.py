"""From a cohort's public archive, or from a prepared folder, to nnU-Net's raw format and a table of patients."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_json
from studies.real.busbra_archive import read_busbra
from studies.real.cohorts import BUSBRA, LGG, Cohort
from studies.real.lgg_archive import read_lgg

DATA = "NNUNET_FAIR_DATA"
TABLE = "table.csv"
_ARCHIVES: dict[str, Callable[[Path, Path], pd.DataFrame]] = {LGG.key: read_lgg, BUSBRA.key: read_busbra}
_DESCRIPTIONS = {
    LGG.key: {
        "channel_names": {"0": "FLAIR", "1": "T1c"},
        "labels": {"background": 0, "FLAIR_abnormality": 1},
        "file_ending": ".nii.gz",
    },
    BUSBRA.key: {"channel_names": {"0": "US"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".png"},
}


def make_raw(cohort: Cohort, archive: Path | None, target: Path) -> str:
    """Write ``imagesTr``, ``labelsTr``, ``dataset.json`` and ``table.csv`` of a cohort.

    Args:
        cohort: the cohort.
        archive: the unpacked public archive, or None to take the prepared folder at ``NNUNET_FAIR_DATA``.
        target: folder to make.

    Returns:
        ``archive`` or ``prepared``: where the images came from.

    Raises:
        UserError: neither is there, or the archive is not in its published layout.
    """
    if archive is None:
        _link_prepared(_prepared(cohort), target)
        return "prepared"
    for part in ("imagesTr", "labelsTr"):
        (target / part).mkdir(parents=True, exist_ok=True)
    table = _ARCHIVES[cohort.key](_root(cohort, archive), target)
    write_csv(table, target / TABLE)
    write_json({**_DESCRIPTIONS[cohort.key], "numTraining": len(table)}, target / "dataset.json")
    return "archive"


def _prepared(cohort: Cohort) -> Path:
    root = os.environ.get(DATA)
    if not root:
        raise UserError(
            f"no data of {cohort.title}: name the unpacked public archive with `archive`, or set {DATA} to the folder "
            f"that holds {cohort.folder}"
        )
    folder = Path(root) / cohort.folder
    if not (folder / TABLE).is_file():
        raise UserError(f"{folder} has no {TABLE}; {DATA} names the folder that holds {cohort.folder}")
    return folder


def _link_prepared(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in ("imagesTr", "labelsTr"):
        if not (target / name).is_symlink():  # an interrupted call made it
            (target / name).symlink_to(source / name)
    for name in ("dataset.json", TABLE):
        shutil.copyfile(source / name, target / name)


def _root(cohort: Cohort, archive: Path) -> Path:
    """The archive's folder that holds its table: itself or one below (archives bring a folder of their own)."""
    found = sorted([*archive.glob(cohort.archive), *archive.glob(f"*/{cohort.archive}")])
    if not found:
        raise UserError(f"{archive} holds no {cohort.archive}, not even one folder down; is it the archive of another?")
    return found[0].parent
