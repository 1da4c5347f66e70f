"""The nnU-Net dataset folder: staged, filled with what belongs to all cases, and put in its place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.dataset_conversion import journal
from nnunet_fair.dataset_conversion.case import IGNORE_LABEL, CaseResult, CaseTask, case_outputs
from nnunet_fair.dataset_conversion.crop import CROPS_FILE, crops_document
from nnunet_fair.dataset_conversion.layout import FILE_ENDING
from nnunet_fair.dataset_conversion.recipes import RECIPE_FILE, RECIPE_KEY, RecipeSettings
from nnunet_fair.dataset_conversion.report import REPORT_FILE
from nnunet_fair.dataset_conversion.splits import same_cases
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json, remove_leftovers, replace_folder, write_json
from nnunet_fair.masks.breast_boxes import BOXES_FILE, boxes_document
from nnunet_fair.masks.endings import case_and_channel, case_id_of
from nnunet_fair.metadata.fair_cases import FAIR_CASES, write_fair_cases
from nnunet_fair.metadata.folds import fold_balance, stratified_folds
from nnunet_fair.outputs import refuse_foreign
from nnunet_fair.paths import PREPROCESSED, RAW, environment_folder

SPLITS_FILE = "splits_final.json"
PREVIOUS_SPLITS_FILE = "splits_final.previous.json"
IDENTITY_FILE = "conversion_identity.json"
DATASET_FILE = "dataset.json"
_PARTS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
WRITTEN = (
    *(*_PARTS, DATASET_FILE, FAIR_CASES, BOXES_FILE, CROPS_FILE, RECIPE_FILE),
    *(IDENTITY_FILE, journal.JOURNAL_FILE, REPORT_FILE),
)
"""What a conversion writes into the dataset's folder."""


@dataclass(frozen=True)
class DatasetFolder:
    """Where a dataset is being written.

    A new dataset grows in a hidden folder beside its place and is moved there when it is whole, so nobody ever finds
    half of one, and an old one stays usable until it is replaced. A dataset that is whole already is topped up in its
    place.

    Attributes:
        final: ``nnUNet_raw/DatasetXXX_NAME``.
        working: where cases are written: ``final`` or the hidden folder.
    """

    final: Path
    working: Path

    @classmethod
    def open(cls, name: str, identity: Mapping[str, Any], *, overwrite: bool) -> DatasetFolder:
        """Prepare the folder to write to.

        Args:
            name: such as ``Dataset950_MAMAMIA``.
            identity: what may not change between two runs into one folder (cohort, recipe).
            overwrite: start anew.

        Raises:
            UserError: another dataset has the number, the folder was not made by this command, or it was made from
                another cohort or with another recipe and ``overwrite`` is not given.
        """
        raw = environment_folder(RAW)
        environment_folder(PREPROCESSED)
        raw.mkdir(parents=True, exist_ok=True)
        _refuse_taken_number(name)
        final = (raw / name).resolve()  # a link to another disk: what is made has to lie beside what it replaces
        staging = final.with_name(f".{name}.partial")
        remove_leftovers(final.parent, final.name)
        if final.exists():
            found = _read_identity(final)
            if found is None:
                raise UserError(
                    f"{final} exists and was not made by nnunet_fair convert; choose another dataset number or move "
                    "it away"
                )
            if not overwrite and found != identity:
                raise UserError(
                    f"{final} was converted {_difference(found, identity)}; `overwrite` replaces it, or "
                    "choose another dataset number"
                )
        if overwrite and final.exists():
            _refuse_others(final)
        working = staging if overwrite or not final.exists() else final
        if staging.exists() and (working != staging or overwrite or _read_identity(staging) != identity):
            shutil.rmtree(staging)
        for part in _PARTS:
            (working / part).mkdir(parents=True, exist_ok=True)
            remove_leftovers(working / part)
        remove_leftovers(working)
        write_json(dict(identity), working / IDENTITY_FILE)
        return cls(final, working)

    def check_same_file_system(self, root: Path) -> None:
        """Hard links need it.

        Raises:
            UserError: ``root`` is on another file system.
        """
        if root.stat().st_dev != self.working.stat().st_dev:
            raise UserError(
                f"{root} and {self.working.parent} are on different file systems, which hard links cannot cross; use "
                "`link` symlink or copy"
            )

    def remove_leftovers(self, tasks: Sequence[CaseTask], results: Sequence[CaseResult]) -> None:
        """Remove what earlier runs wrote of cases that are now skipped, gone or in the other part."""
        outputs = {task.files.case_id: case_outputs(task) for task in tasks}
        wanted = {path for result in results if result.converted for path in outputs[result.case_id]}
        known = {*journal.read_journal(self.working), *(result.case_id for result in results)}
        for part in _PARTS:
            for entry in os.scandir(self.working / part):
                image = case_and_channel(entry.name) if part.startswith("images") else None
                case_id = image[0] if image else case_id_of(entry.name)
                if case_id in known and Path(entry.path) not in wanted:
                    Path(entry.path).unlink()

    def finish(self) -> Path:
        """Put a staged dataset in its place; its folder."""
        if self.working != self.final:
            replace_folder(self.working, self.final)
        replaced = self.final.with_name(f".{self.final.name}.replaced")  # left by a swap that broke in the middle
        if replaced.exists():
            shutil.rmtree(replaced)
        return self.final


@dataclass(frozen=True)
class Folds:
    """The cross-validation folds.

    Attributes:
        path: ``splits_final.json``.
        written: False where a file with the same cases was there and was kept.
        balance: validation cases of each group in each fold.
        previous: where a file with other cases was moved to, None where there was none.
    """

    path: Path
    written: bool
    balance: pd.DataFrame
    previous: Path | None = None


def write_dataset_files(
    folder: Path,
    converted: Sequence[CaseResult],
    attributes: pd.DataFrame,
    settings: RecipeSettings,
    *,
    ignores: bool = False,
) -> None:
    """Write ``fair_cases.csv``, the boxes, the crops, the recipe and, last, ``dataset.json``.

    Args:
        folder: the raw dataset folder.
        converted: the converted cases.
        attributes: their groups, indexed by case ID.
        settings: the recipe.
        ignores: whether the labels have nnU-Net's ignore label.
    """
    write_fair_cases(attributes, folder)
    write_json(
        boxes_document({case.case_id: case.box for case in converted if case.box is not None}), folder / BOXES_FILE
    )
    crops = {case.case_id: case.crop for case in converted if case.crop is not None}
    if crops:
        write_json(crops_document(crops), folder / CROPS_FILE)
    write_json(settings.to_json(), folder / RECIPE_FILE)
    channels = {str(index): name for index, name in enumerate(settings.channel_names())}
    content = {
        "channel_names": channels,
        "labels": {"background": 0, "tumor": 1, **({"ignore": IGNORE_LABEL} if ignores else {})},
        "numTraining": sum(case.split == "Tr" for case in converted),
        "file_ending": FILE_ENDING,
        RECIPE_KEY: settings.to_json(),
    }
    write_json(content, folder / DATASET_FILE)


def write_folds(dataset_name: str, groups: pd.DataFrame, *, n_folds: int, seed: int, overwrite: bool) -> Folds:
    """Write ``splits_final.json`` where nnU-Net looks for it.

    Args:
        dataset_name: such as ``Dataset950_MAMAMIA``.
        groups: the training cases' groups to stratify by, indexed by case ID.
        n_folds: number of folds.
        seed: of the stratifier.
        overwrite: replace a file that is there; without it, one that speaks of exactly these cases is kept, and one
            that does not is moved aside.

    Raises:
        UserError: too few cases for the folds.
    """
    folder = environment_folder(PREPROCESSED) / dataset_name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SPLITS_FILE
    remove_leftovers(folder, SPLITS_FILE)
    previous = None
    if path.is_file() and not overwrite:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            found = None
        if same_cases(found, groups.index):
            return Folds(path, False, fold_balance(groups, found))
        previous = path.with_name(PREVIOUS_SPLITS_FILE)
    folds = stratified_folds(groups, n_folds=n_folds, seed=seed)
    if previous is not None:
        path.replace(previous)
    write_json(folds, path)
    return Folds(path, True, fold_balance(groups, folds), previous)


def _refuse_taken_number(name: str) -> None:
    """nnU-Net refuses two names with one number, wherever they are."""
    prefix = name[: name.index("_") + 1]
    for variable in (RAW, PREPROCESSED):
        root = environment_folder(variable)
        taken = sorted(entry.name for entry in root.glob(f"{prefix}*") if entry.name != name) if root.is_dir() else []
        if taken:
            raise UserError(
                f"{root / taken[0]} has the same number; choose another dataset number, or the same "
                "`name` to continue it"
            )


def _refuse_others(folder: Path) -> None:
    """Refuse to replace a dataset in which something was added by somebody else."""
    known = journal.read_journal(folder)
    for entry in sorted(folder.iterdir()):
        refuse_foreign(entry, entry.name in WRITTEN or entry.name.startswith("."), remedy="move it away")
    for part in _PARTS:
        for entry in sorted((folder / part).iterdir()) if (folder / part).is_dir() else ():
            image = case_and_channel(entry.name) if part.startswith("images") else None
            case_id = image[0] if image else case_id_of(entry.name)
            refuse_foreign(entry, case_id in known or entry.name.startswith("."), remedy="move it away")


def _read_identity(folder: Path) -> dict[str, Any] | None:
    path = folder / IDENTITY_FILE
    return (
        read_json(path, remedy=f"without it nobody knows what {folder} is: move the folder away")
        if path.is_file()
        else None
    )


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """``with recipe … instead of …`` for the first thing that differs."""
    key = next(key for key in {**wanted, **found} if found.get(key) != wanted.get(key))
    if key == "recipe":
        inner = next((name for name in wanted[key] if found[key].get(name) != wanted[key][name]), key)
        return f"with {inner} {found[key].get(inner)} and not {wanted[key].get(inner)}"
    return f"with {key} {found.get(key)} and not {wanted.get(key)}"
