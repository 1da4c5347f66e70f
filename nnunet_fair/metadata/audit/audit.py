"""The audit of a dataset's patients, before a model is trained."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.masks.label_classes import declared_classes
from nnunet_fair.metadata.audit.association import association_table, same_attributes
from nnunet_fair.metadata.audit.case_files import measure_labels, same_images
from nnunet_fair.metadata.audit.detectable_gap import check_deviation
from nnunet_fair.metadata.audit.gap_tables import gaps_of_classes, gaps_of_patients, patients_of_groups
from nnunet_fair.metadata.audit.group_tables import (
    class_table,
    missingness,
    pair_counts,
    size_table,
    triple_counts,
)
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.metadata.cells import as_number
from nnunet_fair.metadata.coverage import attribute_counts, sparse_attributes
from nnunet_fair.metadata.dataset_cases import DatasetCases, find_cases
from nnunet_fair.metadata.fair_cases import find_fair_cases, read_fair_cases
from nnunet_fair.metadata.folds import fold_balance
from nnunet_fair.metadata.patients import patients_of_cases
from nnunet_fair.paths import dataset_name, preprocessed_folder, raw_folder
from nnunet_fair.settings_record import nearest_hint

ASSUMED_SD = 0.2
SCANNER_WORDS = ("scanner", "manufacturer", "vendor", "field_strength", "device", "site", "centre", "center", "dataset")
SPLITS = "splits_final.json"


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """What the audit looks at.

    Attributes:
        attributes: attributes of ``fair_cases.csv``; None for all.
        scanners: attributes that say where and with what was imaged; None finds them by name.
        table: a table with the patients of the cases, or None.
        reading: how that table is to be read, where it does not speak for itself.
        patient_column: its column of patients.
        scores: a ``cases.csv`` of ``evaluate``, whose standard deviation of the DSC is taken, or None.
        sd: standard deviation of the DSC where no scores are given.
        min_group: groups with fewer patients are left out of the smallest gaps.
    """

    attributes: tuple[str, ...] | None = None
    scanners: tuple[str, ...] | None = None
    table: Path | None = None
    reading: TableReading = field(default_factory=TableReading)
    patient_column: str | None = None
    scores: Path | None = None
    sd: float | None = None
    min_group: int = 5


@dataclass(frozen=True, repr=False)
class Audit:
    """What the audit found; tables hold counts and sizes, no case IDs.

    Attributes:
        dataset: the dataset's name.
        n_training: its training cases.
        n_test: its test cases.
        n_patients: their patients, or None where they are not known.
        notes: what a reader must know first.
        groups: attribute, group (NaN for the missing ones), n (cases), share, patients, patients_labelled (those with
            something labelled in a case, or a case whose label is not known).
        pairs: attribute, group, other, other_group, n, patients: of both groups, for every pair of attributes.
        triples: see ``triple_counts``.
        missingness: attribute, group, other, n, n_missing, share: how often ``other`` is missing in the group.
        sizes: attribute, group, n, n_empty, and median and quartiles of label volume and voxel size.
        classes: see ``class_table``; empty where the dataset has one class.
        association: see ``association_table``.
        scanners: the attributes taken as scanners.
        folds: see ``fold_balance``; None without folds.
        gaps: see ``detectable_gaps``; of the patients with something labelled, as only these have a DSC.
        class_gaps: the same of each class, in the column ``class``, of the patients with that class.
        sd: the standard deviation of the DSC behind the gaps.
        sd_source: where it comes from.
        duplicates: IDs of cases with the same image.
        split_patients: patients with cases in training and validation of one fold, or in training and test.
    """

    dataset: str
    n_training: int
    n_test: int
    n_patients: int | None
    notes: tuple[str, ...]
    groups: pd.DataFrame
    pairs: pd.DataFrame
    triples: pd.DataFrame
    missingness: pd.DataFrame
    sizes: pd.DataFrame
    classes: pd.DataFrame
    association: pd.DataFrame
    scanners: tuple[str, ...]
    folds: pd.DataFrame | None
    gaps: pd.DataFrame
    class_gaps: pd.DataFrame
    sd: float
    sd_source: str
    duplicates: tuple[tuple[str, ...], ...]
    split_patients: tuple[str, ...]


def audit_dataset(dataset: str | int, options: AuditOptions) -> Audit:
    """Look at the patients of an nnU-Net dataset with a ``fair_cases.csv``.

    Args:
        dataset: number or full name.
        options: what to look at.

    Raises:
        UserError: no such dataset or metadata, an attribute or column that is not there, or an option without effect.
    """
    name = dataset_name(dataset)
    cases = find_cases(name)
    if options.sd is not None and options.scores is not None:
        raise UserError("`sd` has no effect beside `scores`; give one of the two")
    case_ids = [*cases.training, *cases.test]
    groups = _groups(name, case_ids, options)
    patients, notes = _patients(case_ids, options)
    sd, sd_source = _standard_deviation(options)
    counts = attribute_counts(groups)
    counts["patients"] = patients_of_groups(counts, groups, patients)
    classes = _classes(cases, name)
    measured, volumes, problems = measure_labels(case_ids, cases.labels, cases.ignore_label, classes)
    labelled = measured["label_volume_mm3"] != 0
    counts["patients_labelled"] = patients_of_groups(counts, groups[labelled], patients)
    folds, fold_notes = _folds(name)
    association = association_table(groups)
    duplicates = same_images(raw_folder(name) / part for part in ("imagesTr", "imagesTs")) if _has_raw(name) else []
    split = _split_patients(patients, cases, folds)
    notes += [f"the label {problem}" for problem in problems.values()]
    notes += [
        f"{attribute} is known for only {n} of {len(groups)} cases; its groups say little"
        for attribute, n in sparse_attributes(groups).items()
    ]
    notes += [*same_attributes(association), *fold_notes]
    n_empty = int((~labelled).sum())
    if n_empty:
        notes.append(f"{_counted(n_empty, 'case')} nothing labelled and so no DSC: the smallest gaps are of the others")
    if duplicates:
        notes.append(f"{_counted(len(duplicates), 'image')} several case IDs, see duplicates")
    if split:
        notes.append(f"{_counted(len(split), 'patient')} cases on both sides of a split: scores there are too good")
    return Audit(
        dataset=name,
        n_training=len(cases.training),
        n_test=len(cases.test),
        n_patients=None if options.table is None else int(patients.nunique()),
        notes=tuple(notes),
        groups=counts,
        pairs=pair_counts(groups, patients),
        triples=triple_counts(groups, patients),
        missingness=missingness(groups),
        sizes=size_table(groups, measured),
        classes=class_table(groups, volumes),
        association=association,
        scanners=_scanners(groups, options),
        folds=None if folds is None else _balance(groups, folds),
        gaps=gaps_of_patients(counts, groups[labelled], patients, sd, options.min_group),
        class_gaps=gaps_of_classes(counts, groups, volumes, patients, sd, options.min_group),
        sd=sd,
        sd_source=sd_source,
        duplicates=tuple(duplicates),
        split_patients=tuple(split),
    )


def _groups(name: str, case_ids: list[str], options: AuditOptions) -> pd.DataFrame:
    table = read_fair_cases(find_fair_cases(name))
    for asked in (*(options.attributes or ()), *(options.scanners or ())):
        if asked not in table.columns:
            raise UserError(f"fair_cases.csv of {name} has no attribute {asked!r}{nearest_hint(asked, table.columns)}")
    wanted = [
        c for c in table.columns if options.attributes is None or c in {*options.attributes, *(options.scanners or ())}
    ]
    return table[wanted].reindex(case_ids).astype(object)


def _patients(case_ids: list[str], options: AuditOptions) -> tuple[pd.Series, list[str]]:
    """The patient of each case (itself where nothing is known), and what had to be understood."""
    patients, notes = patients_of_cases(case_ids, options.table, options.patient_column, options.reading)
    if options.table is None:
        notes = ["patients are not known: every case counts as one (name the table and its column of patients)"]
    return patients, notes


def _counted(n: int, what: str) -> str:
    return f"1 {what} has" if n == 1 else f"{n} {what}s have"


def _classes(cases: DatasetCases, name: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name and labels of the classes; none where there is one only."""
    if not cases.declared_labels:
        return ()
    found = declared_classes({"labels": cases.declared_labels}, f"dataset.json of {name}").classes
    return found if len(found) > 1 else ()


def _standard_deviation(options: AuditOptions) -> tuple[float, str]:
    if options.sd is not None:
        check_deviation(options.sd)
        return options.sd, "given"
    if options.scores is None:
        return ASSUMED_SD, "assumed: none was given or measured"
    table = TableReading().read(options.scores).frame
    if "dsc" not in table.columns:
        raise UserError(f"{options.scores} has no column 'dsc'; give a cases.csv that nnunet_fair evaluate wrote")
    scores = [number for value in table["dsc"].dropna() if (number := as_number(value)) is not None]
    if len(scores) < 3:
        raise UserError(f"{options.scores} has {len(scores)} scores; a standard deviation needs three or more")
    sd = float(pd.Series(scores).std())
    check_deviation(sd)
    return sd, f"measured on {len(scores)} cases of {options.scores.name}"


def _scanners(groups: pd.DataFrame, options: AuditOptions) -> tuple[str, ...]:
    if options.scanners is not None:
        return options.scanners
    return tuple(c for c in groups.columns if any(word in c.casefold() for word in SCANNER_WORDS))


def _has_raw(name: str) -> bool:
    try:
        return raw_folder(name).is_dir()
    except UserError:
        return False


def _folds(name: str) -> tuple[list[dict[str, list[str]]] | None, list[str]]:
    try:
        path = preprocessed_folder(name) / SPLITS
    except UserError:
        return None, ["nnUNet_preprocessed is not set, so folds were not looked at"]
    if not path.is_file():
        return None, [f"there is no {SPLITS} yet: nnunet_fair metadata --stratify writes balanced folds"]
    try:
        folds = json.loads(path.read_text(encoding="utf-8"))
        return [{"train": list(fold["train"]), "val": list(fold["val"])} for fold in folds], []
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as nnU-Net's folds ({error}); write it again") from error


def _balance(groups: pd.DataFrame, folds: list[dict[str, list[str]]]) -> pd.DataFrame:
    everybody = dict.fromkeys(itertools.chain(groups.index, *(fold["val"] for fold in folds)))
    return fold_balance(groups.reindex(list(everybody)), folds)


def _split_patients(
    patients: pd.Series, cases: DatasetCases, folds: Sequence[dict[str, list[str]]] | None
) -> list[str]:
    """Patients with cases on both sides of a split."""

    def of(case_ids: Iterable[str]) -> set[str]:
        return {str(patients.get(case_id, case_id)) for case_id in case_ids}

    both = of(cases.training) & of(cases.test)
    for fold in folds or ():
        both |= of(fold["train"]) & of(fold["val"])
    return sorted(both)
