"""Case metadata for any nnU-Net dataset that has a patient table: ``fair_cases.csv`` and stratified folds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.files import remove_leftovers, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.metadata.attributes import UNKNOWN, AttributeSpec, group_values, parse_attribute
from nnunet_fair.metadata.case_table import CaseTable, TableReading
from nnunet_fair.metadata.cells import as_number, text_value
from nnunet_fair.metadata.coverage import coverage_lines
from nnunet_fair.metadata.dataset_cases import DatasetCases, find_cases
from nnunet_fair.metadata.fair_cases import CASE_ID, FAIR_CASES, write_fair_cases
from nnunet_fair.metadata.folds import fold_balance, stratified_folds
from nnunet_fair.metadata.label_volume import LABEL_VOLUME, label_volumes
from nnunet_fair.metadata.mama_mia import (
    TUMOR_VOLUME,
    attribute_names,
    build_attributes,
    is_mama_mia_table,
    source_column,
)
from nnunet_fair.outputs import begins_with, refuse_foreign, refuse_inputs
from nnunet_fair.paths import PREPROCESSED, RAW, dataset_name, preprocessed_folder
from nnunet_fair.settings_record import nearest_hint

SPLITS_FINAL = "splits_final.json"


@dataclass(frozen=True)
class Metadata:
    """What a patient table says about the cases of a dataset.

    Attributes:
        groups: table of shape (n_cases_with_a_row, n_attributes) indexed by the dataset's case IDs; NaN where unknown.
        without_row: cases that have no row in the table.
        unused_rows: IDs of rows that belong to no case.
        notes: what the user should know about single attributes.
        patients: patient of each case that has a row, or None.
    """

    groups: pd.DataFrame
    without_row: tuple[str, ...]
    unused_rows: tuple[str, ...]
    notes: tuple[str, ...]
    patients: pd.Series | None


@dataclass(frozen=True)
class MetadataResult:
    """What ``write_metadata`` did.

    Attributes:
        fair_cases: the file written.
        splits: the ``splits_final.json`` written, or None.
        report: lines to print.
    """

    fair_cases: Path
    splits: Path | None
    report: tuple[str, ...]


def write_metadata(
    dataset: str | int,
    table_path: str | os.PathLike,
    attributes: Sequence[str],
    *,
    reading: TableReading | None = None,
    unknown: Sequence[str] = (),
    stratify: bool = False,
    patient_column: str | None = None,
    n_folds: int = 5,
    seed: int = 0,
    min_group: int = 5,
    overwrite: bool = False,
) -> MetadataResult:
    """Write ``fair_cases.csv``, and on demand stratified folds, for an existing nnU-Net dataset.

    Args:
        dataset: number or full name of a dataset in ``nnUNet_raw`` or ``nnUNet_preprocessed``.
        table_path: the patient table, see ``read_case_table``.
        attributes: entries like ``sex``, ``age:0,40,60,120``, ``bmi:quantiles=4``, see ``parse_attribute``.
        reading: how the table is to be read, where it does not speak for itself.
        unknown: attributes whose missing values form the group ``unknown``.
        stratify: write ``splits_final.json``, stratified by all attributes together.
        patient_column: the table's column of patients; all cases of a patient come into the same fold.
        n_folds: number of folds.
        seed: seed of the folds.
        min_group: groups with fewer cases are reported as too small to matter.
        overwrite: replace an existing ``fair_cases.csv`` or ``splits_final.json``.

    Raises:
        UserError: bad input, or a file exists and ``overwrite`` is False; nothing has been written then.
    """
    if patient_column is not None and not stratify:
        raise UserError("`patient_column` keeps a patient's cases in one fold; it needs `stratify`")
    name = dataset_name(dataset)
    cases = find_cases(name)
    target, splits_path = _fair_cases_folder(name), preprocessed_folder(name) / SPLITS_FINAL if stratify else None
    for path in (target / FAIR_CASES, splits_path):
        if path is not None and path.exists() and not overwrite:
            raise UserError(f"{path} exists; `overwrite` replaces it")
        if path is not None:
            refuse_inputs(path, [table_path], remedy="give a copy of it that lies elsewhere")
    refuse_foreign(target / FAIR_CASES, begins_with(target / FAIR_CASES, CASE_ID), remedy="move it away")
    table = (reading or TableReading()).read(table_path)
    metadata = build_metadata(table, cases, attributes, unknown=unknown, patient_column=patient_column)
    report = [*_match_lines(table, cases, metadata), *coverage_lines(metadata.groups, min_group=min_group)]
    report += [f"note: {note}" for note in metadata.notes]
    folds: list[dict[str, list[str]]] = []
    if splits_path is not None:
        groups = metadata.groups.reindex(list(cases.training))
        folds = stratified_folds(groups, n_folds, seed, patients=metadata.patients)
        report += ["validation cases of each fold:", *fold_balance(groups, folds).to_string().splitlines()]
    with folder_lock(target):
        if splits_path is not None:
            splits_path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(splits_path.parent, splits_path.name)
            write_json(folds, splits_path)
        remove_leftovers(target, FAIR_CASES)
        written = write_fair_cases(metadata.groups, target)
    return MetadataResult(written, splits_path, tuple(report))


def build_metadata(
    table: CaseTable,
    cases: DatasetCases,
    attributes: Sequence[str],
    *,
    unknown: Sequence[str] = (),
    patient_column: str | None = None,
) -> Metadata:
    """Match a patient table with a dataset's cases and group the attributes.

    Args:
        table: the patient table.
        cases: the dataset's cases; test cases get rows as well.
        attributes: as for ``write_metadata``; quantiles are those of the dataset's cases, not of the whole table.
            ``label_volume`` (and MAMA-MIA's ``tumor_size``) is measured on the reference segmentations where the table
            has no such column.
        unknown: attributes whose missing values form the group ``unknown``.
        patient_column: the table's column of patients, or None.

    Raises:
        UserError: no case has a row, an unknown attribute, one named twice, or values that cannot be binned.
    """
    case_ids = [*cases.training, *cases.test]
    match = match_rows(table.frame.index, case_ids)
    matches = match.rows
    if not matches:
        raise UserError(
            f"none of the {len(case_ids)} cases has a row in the table: cases are called {_some(case_ids, 2)}, "
            f"the table's IDs in column {table.id_column!r} {_some(table.frame.index, 2)}; choose another `id_column` "
            "or mend the IDs"
        )
    rows = table.frame.loc[list(matches.values())].set_axis(pd.Index(matches, name=CASE_ID, dtype=object))
    is_mama_mia = is_mama_mia_table(rows.columns)
    table_columns = set(rows.columns)
    rows = _with_label_volume(rows, cases, attributes, is_mama_mia=is_mama_mia)
    columns: dict[str, pd.Series] = {}
    notes = list(match.notes)
    used = [] if patient_column is None else [patient_column]
    for text in attributes:
        if is_mama_mia and text in attribute_names():
            name, values = text, build_attributes(rows, [text])[text]
            used.append(source_column(text, rows) or text)
        else:
            spec = parse_attribute(text, rows.columns)
            is_measured = spec.name == LABEL_VOLUME and LABEL_VOLUME not in table_columns
            spec = replace(spec, is_volume=is_measured and _has_voxel_sizes(cases))
            name, values = spec.name, group_values(rows[spec.name], spec)
            used.append(name)
            notes += _attribute_notes(rows[name], values, spec)
        if name in columns:
            raise UserError(f"attribute {name!r} is asked for twice; name it once")
        columns[name] = values
    for name in unknown:
        if name not in columns:
            raise UserError(f"{name!r} of `unknown` is none of the attributes{nearest_hint(name, columns)}")
        columns[name] = columns[name].where(columns[name].notna(), UNKNOWN)
    return Metadata(
        groups=pd.DataFrame(columns, index=rows.index, dtype=object),
        without_row=tuple(case_id for case_id in case_ids if case_id not in matches),
        unused_rows=tuple(table.frame.index.difference(list(matches.values()))),
        notes=(*table.notes_on(used), *notes),
        patients=None if patient_column is None else _patients(rows, patient_column),
    )


def _with_label_volume(
    rows: pd.DataFrame, cases: DatasetCases, attributes: Sequence[str], *, is_mama_mia: bool
) -> pd.DataFrame:
    """The rows with the labels' volumes added where an attribute needs them and the table lacks them."""
    wanted = {text.partition(":")[0] for text in attributes}
    sizes = {"tumor_size", "tumour_size"} if is_mama_mia else set()
    for names, column in (({LABEL_VOLUME}, LABEL_VOLUME), (sizes, TUMOR_VOLUME)):
        if wanted & names and not rows.columns.intersection([column, *names]).size:
            rows = rows.assign(**{column: label_volumes(rows.index, cases.labels, cases.ignore_label)})
    return rows


def _has_voxel_sizes(cases: DatasetCases) -> bool:
    """Whether the labels are of a format that knows millimetres; the sizes in others are counted in pixels."""
    return not any(path.suffix.lower() in _WITHOUT_VOXEL_SIZE for path in cases.labels.values())


_WITHOUT_VOXEL_SIZE = {".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff"}


def _patients(rows: pd.DataFrame, column: str) -> pd.Series:
    if column not in rows.columns:
        raise UserError(f"the table has no patient column {column!r}{nearest_hint(column, rows.columns)}")
    return rows[column].map(text_value)


def _fair_cases_folder(name: str) -> Path:
    """Where ``fair_cases.csv`` goes: over the one that is in use, else to the raw folder, else the preprocessed one."""
    raw_last = [Path(os.environ[root]) / name for root in (PREPROCESSED, RAW) if os.environ.get(root)]
    in_use = [folder for folder in raw_last if (folder / FAIR_CASES).is_file()]
    return in_use[0] if in_use else next(folder for folder in reversed(raw_last) if folder.is_dir())


def _attribute_notes(values: pd.Series, groups: pd.Series, spec: AttributeSpec) -> list[str]:
    """Notes on one attribute: values outside the edges, bins merged by ties, a number used without bins."""
    name = spec.name
    n_lost = int((values.notna() & groups.isna()).sum())
    notes = []
    if n_lost and spec.edges is not None:
        notes.append(
            f"{name}: {_count(n_lost, 'value')} outside {spec.edges[0]:g} to {spec.edges[-1]:g}, taken as missing"
        )
    n_groups = groups.nunique()
    if spec.n_quantiles is not None and n_groups < spec.n_quantiles:
        notes.append(f"{name}: equal values leave {n_groups} of {spec.n_quantiles} quantile groups")
    if spec.edges is None and spec.n_quantiles is None and n_groups > 12:
        numeric = all(as_number(value) is not None for value in values.dropna())
        advice = f"; for numbers give bins, such as {name}:quantiles=4" if numeric else ""
        notes.append(f"{name} has {n_groups} different values, each a group of its own{advice}")
    return notes


def _match_lines(table: CaseTable, cases: DatasetCases, metadata: Metadata) -> list[str]:
    """How table and dataset fit together, for people."""
    n_cases = len(cases.training) + len(cases.test)
    lines = [
        f"{n_cases} cases ({len(cases.training)} training, {len(cases.test)} test), {len(table.frame)} rows in the "
        f"table: {len(metadata.groups)} cases have a row"
    ]
    if table.n_without_id:
        lines.append(f"note: {_count(table.n_without_id, 'row')} without an ID left out")
    if metadata.without_row:
        lines.append(
            f"warning: {_count(len(metadata.without_row), 'case')} without a row (training treats them neutrally): "
            f"{_some(metadata.without_row, 10)}"
        )
    if metadata.unused_rows:
        lines.append(
            f"note: {_count(len(metadata.unused_rows), 'row')} of other cases: {_some(metadata.unused_rows, 10)}"
        )
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _some(names: Iterable[str], most: int) -> str:
    """The first names, quoted, with the number of those left out."""
    names = list(names)
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
