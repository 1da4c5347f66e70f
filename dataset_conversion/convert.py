"""A cohort in the MAMA-MIA layout to an nnU-Net raw dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from nnunet_fair.dataset_conversion.case import (
    CaseResult,
    CaseTask,
    Check,
    Link,
    skipped,
)
from nnunet_fair.dataset_conversion.cohort import Cohort, read_cohort
from nnunet_fair.dataset_conversion.dataset import WRITTEN, DatasetFolder, Folds, write_dataset_files, write_folds
from nnunet_fair.dataset_conversion.layout import INPUT_FOLDERS
from nnunet_fair.dataset_conversion.recipes import RecipeSettings
from nnunet_fair.dataset_conversion.report import REPORT_FILE, summary, write_report
from nnunet_fair.dataset_conversion.run import run_tasks
from nnunet_fair.dataset_conversion.splits import strata
from nnunet_fair.errors import UserError
from nnunet_fair.locks import folder_lock
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.metadata.mama_mia import DEFAULT_ATTRIBUTES, TUMOR_VOLUME, build_attributes
from nnunet_fair.outputs import refuse_among_inputs, refuse_inputs
from nnunet_fair.paths import RAW, environment_folder

FINGERPRINT_FILE = "dataset_fingerprint.json"


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """How to convert.

    Attributes:
        settings: the recipe, the phases and the crop.
        table: the table of cases; None looks for it in the cohort's folder.
        reading: how the table is to be read, where it does not speak for itself.
        segmentations: the folder below ``segmentations`` that labels come from.
        attributes: the attributes that ``fair_cases.csv`` gets.
        link: how files that need no change are placed.
        check: ``voxels`` or ``headers``.
        test_fraction: draw this share as test cases; None honours ``train_test_splits.csv``.
        n_folds: folds of the cross-validation.
        seed: of the folds and the test cases.
        n_processes: processes that read and write cases.
        overwrite: convert again what is there already.
        allow_empty_labels: take cases whose label is empty as healthy patients instead of skipping them.
        ignore_label: value in the labels, above 1, of voxels that nobody annotated; it becomes nnU-Net's ignore label.
    """

    settings: RecipeSettings = field(default_factory=RecipeSettings)
    table: Path | None = None
    reading: TableReading = field(default_factory=TableReading)
    segmentations: str = "expert"
    attributes: tuple[str, ...] = DEFAULT_ATTRIBUTES
    link: Link = "symlink"
    check: Check = "voxels"
    test_fraction: float | None = None
    n_folds: int = 5
    seed: int = 0
    n_processes: int = 1
    overwrite: bool = False
    allow_empty_labels: bool = False
    ignore_label: int | None = None


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What a conversion did.

    Attributes:
        folder: the raw dataset folder.
        cohort: what there was to convert.
        results: what became of every case.
        n_resumed: cases that an earlier run had done.
        attributes: the table written as ``fair_cases.csv``.
        folds: the cross-validation folds and where they are.
        outdated: what nnU-Net derived from an earlier state of the dataset and has to derive again, if anything.
    """

    folder: Path
    cohort: Cohort
    results: Sequence[CaseResult]
    n_resumed: int
    attributes: pd.DataFrame
    folds: Folds
    outdated: Path | None

    @property
    def n_skipped(self) -> int:
        """Cases that were not converted."""
        return sum(not result.converted for result in self.results)


def convert_cohort(root: str | os.PathLike, dataset_name: str, options: ConversionOptions) -> Conversion:
    """Convert a cohort in the MAMA-MIA layout to an nnU-Net raw dataset with everything the other commands read.

    Args:
        root: the cohort's folder.
        dataset_name: such as ``Dataset950_MAMAMIA``.
        options: how.

    Returns:
        What became of every case.

    Raises:
        UserError: the cohort, the table or an option cannot be used, another dataset is in the way, no case could be
            converted, or writing failed.
    """
    if options.ignore_label is not None and options.ignore_label < 2:
        raise UserError(
            f"`ignore_label` is the value of voxels that nobody annotated, above 1; found {options.ignore_label}: 0 is "
            "background and 1 the tumour"
        )
    root = Path(root).resolve()  # the same case from wherever the command is run
    _check_place(root, environment_folder(RAW) / dataset_name, options)
    cohort = read_cohort(
        root,
        table=options.table,
        reading=options.reading,
        segmentations=options.segmentations,
        test_fraction=options.test_fraction,
        seed=options.seed,
    )
    _attributes(cohort, {}, options.attributes)  # a name or a value that cannot be used is said before hours of work
    _check_folds(cohort, options.n_folds)
    with folder_lock(environment_folder(RAW) / dataset_name):
        target = DatasetFolder.open(dataset_name, _identity(root, options), overwrite=options.overwrite)
        if options.link == "hardlink" and not options.settings.computes_images:
            target.check_same_file_system(root)
        tasks = _tasks(cohort, options, target.working)
        results, n_resumed = run_tasks(tasks, options.n_processes)
        results += [skipped(case_id, finding) for case_id, finding in sorted(cohort.problems.items())]
        target.remove_leftovers(tasks, results)
        write_report(results, target.working)
        converted = [result for result in results if result.converted]
        if not any(result.split == "Tr" for result in converted):
            raise UserError(
                f"no training case could be converted; {target.working / REPORT_FILE} says why for each\n"
                f"{summary(results)}"
            )
        attributes = _attributes(cohort, {result.case_id: result for result in converted}, options.attributes)
        write_dataset_files(
            target.working, converted, attributes, options.settings, ignores=options.ignore_label is not None
        )
        folder = target.finish()
        training = [result.case_id for result in converted if result.split == "Tr"]
        folds = write_folds(
            dataset_name,
            strata(cohort.table.loc[training]),
            n_folds=options.n_folds,
            seed=options.seed,
            overwrite=options.overwrite,
        )
    fingerprint = folds.path.with_name(FINGERPRINT_FILE)
    return Conversion(
        folder=folder,
        cohort=cohort,
        results=results,
        n_resumed=n_resumed,
        attributes=attributes,
        folds=folds,
        outdated=fingerprint if n_resumed < len(tasks) and fingerprint.is_file() else None,
    )


def _check_place(root: Path, final: Path, options: ConversionOptions) -> None:
    """Refuse a dataset folder in which, or because of which, something that is read would be lost or taken for a case.

    Raises:
        UserError: the cohort or its table lies in the dataset's folder, or this lies among the cohort's cases.
    """
    remedy = f"let {RAW} be another folder, or move what is read"
    read = (root, options.table, *(root / part for part in INPUT_FOLDERS))
    refuse_inputs(final, read, names=WRITTEN, replaced=options.overwrite, remedy=remedy)
    refuse_among_inputs(final, (root / part for part in INPUT_FOLDERS), remedy=remedy)


def _check_folds(cohort: Cohort, n_folds: int) -> None:
    """Refuse folds that cannot be filled even if every case is sound.

    Raises:
        UserError: fewer than two folds, or fewer training cases than folds.
    """
    n_training = sum(split == "Tr" for split in cohort.splits.values())
    if n_folds < 2:
        raise UserError(f"expected 2 or more folds, found {n_folds}")
    if n_training < n_folds:
        raise UserError(f"{n_training} training cases cannot fill {n_folds} folds; ask for fewer with `n_folds`")


def _tasks(cohort: Cohort, options: ConversionOptions, folder: Path) -> list[CaseTask]:
    """One task a case that may be converted."""
    return [
        CaseTask(
            files=cohort.cases[case_id],
            split=split,
            settings=options.settings,
            link=options.link,
            check=options.check,
            allow_empty_labels=options.allow_empty_labels,
            ignore_label=options.ignore_label,
            folder=folder,
        )
        for case_id, split in sorted(cohort.splits.items())
    ]


def _identity(root: Path, options: ConversionOptions) -> dict:
    """What may not change between two runs into one folder."""
    return {
        "root": str(root),
        "segmentations": options.segmentations,
        "recipe": options.settings.to_json(),
        **({} if options.ignore_label is None else {"ignore label": options.ignore_label}),
    }


def _attributes(cohort: Cohort, converted: Mapping[str, CaseResult], names: Sequence[str]) -> pd.DataFrame:
    """The groups of the converted cases (of all rows while there are none yet), label volumes included."""
    rows = cohort.table.loc[sorted(converted)] if converted else cohort.table
    volumes = pd.Series(
        {case_id: converted[case_id].tumor_volume_mm3 for case_id in rows.index if case_id in converted}, dtype=float
    )
    return build_attributes(rows.assign(**{TUMOR_VOLUME: volumes.reindex(rows.index)}), names)
