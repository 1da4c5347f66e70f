"""What there is to convert: the cases of a cohort, their table rows and which part each belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_rows
from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.case import Split
from nnunet_fair.dataset_conversion.findings import Finding
from nnunet_fair.dataset_conversion.layout import (
    IMAGES,
    SEGMENTATIONS,
    SPLIT_FILE,
    TABLE_STEM,
    CaseFiles,
    discover_cases,
    find_table,
)
from nnunet_fair.dataset_conversion.splits import draw_test_cases, read_split_file, split_of_case, strata
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import CaseTable, TableReading
from nnunet_fair.metadata.mama_mia import source_column


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """A cohort as its folders and its table describe it.

    Attributes:
        cases: the files of every case that the folders, the table or the split file name.
        table: the table's rows, indexed by canonical case ID.
        case_table: the table as it was read.
        id_notes: how IDs of the table had to be understood.
        splits: the part of each case that can be converted as far as is known before its files are read.
        problems: why each other case cannot.
        split_source: where the parts come from, in words.
    """

    cases: Mapping[str, CaseFiles]
    table: pd.DataFrame
    case_table: CaseTable
    id_notes: tuple[str, ...]
    splits: Mapping[str, Split]
    problems: Mapping[str, Finding]
    split_source: str

    def table_notes(self, attributes: Iterable[str]) -> list[str]:
        """What had to be understood in the table, its IDs and the columns of these attributes."""
        columns = [source_column(attribute, self.table) or attribute for attribute in attributes]
        return [*self.case_table.notes_on(columns), *self.id_notes]


def read_cohort(
    root: str | os.PathLike,
    *,
    table: str | os.PathLike | None = None,
    reading: TableReading | None = None,
    segmentations: str = "expert",
    test_fraction: float | None = None,
    seed: int = 0,
) -> Cohort:
    """Find the cases and bring folders, table and split file together.

    Args:
        root: the cohort's folder, in the MAMA-MIA layout.
        table: the table of cases; ``clinical_and_imaging_info`` in ``root`` when None.
        reading: how the table is to be read, where it does not speak for itself.
        segmentations: the folder below ``segmentations`` that labels come from.
        test_fraction: draw this share of the cases, stratified, as test cases; None honours ``train_test_splits.csv``
            and, where there is none, makes every case a training case.
        seed: of the drawing.

    Raises:
        UserError: the layout, the table or the split file cannot be used.
    """
    root = Path(root)
    cases = discover_cases(root, segmentations=segmentations)
    if not (root / SEGMENTATIONS / segmentations).is_dir():
        raise UserError(f"{root} has no folder {SEGMENTATIONS}/{segmentations}; `segmentations` names another")
    path = find_table(root) if table is None else Path(table)
    if path is None:
        raise UserError(f"{root} has no table {TABLE_STEM}.xlsx (or .csv, .tsv, .json); `table` names another")
    case_table = (reading or TableReading()).read(path)
    frame, id_notes = _by_case_id(case_table.frame, cases)
    parts = _parts(root, test_fraction)
    for case_id in sorted({*frame.index, *(parts or ())} - cases.keys()):
        cases[case_id] = CaseFiles(case_id)
    problems: dict[str, Finding] = {}
    for case_id, files in cases.items():
        if not files.phases and not files.conflicts:
            problems[case_id] = Finding(findings.NO_IMAGES, f"no phase in {IMAGES}/{case_id}")
        elif case_id not in frame.index:
            problems[case_id] = Finding(findings.NO_TABLE_ROW, f"not in {path.name}")
    usable = [case_id for case_id in cases if case_id not in problems]
    splits: dict[str, Split] = {}
    if parts is not None:
        for case_id in usable:
            part = split_of_case(case_id, parts)
            if isinstance(part, Finding):
                problems[case_id] = part
            else:
                splits[case_id] = part
        source = SPLIT_FILE
    else:
        test_cases = draw_test_cases(strata(frame.loc[usable]), test_fraction or 0, seed) if usable else set()
        splits = {case_id: "Ts" if case_id in test_cases else "Tr" for case_id in usable}
        source = f"drawn, {test_fraction:g} for testing" if test_fraction else "every case is a training case"
    return Cohort(
        cases=dict(sorted(cases.items())),
        table=frame,
        case_table=case_table,
        id_notes=id_notes,
        splits=splits,
        problems=problems,
        split_source=source,
    )


def _by_case_id(frame: pd.DataFrame, cases: Mapping[str, CaseFiles]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table indexed by canonical case ID, rows without a folder included, and how IDs had to be understood."""
    match = match_rows(frame.index, list(cases))
    of_row = {row: case_id for case_id, row in match.rows.items()}
    index = [of_row.get(row, str(row).upper()) for row in frame.index]
    renamed = frame.set_axis(index, axis=0)
    duplicated = renamed.index[renamed.index.duplicated()]
    if len(duplicated):
        raise UserError(f"the table has two rows for case {duplicated[0]!r}; keep one row a case")
    return renamed, match.notes


def _parts(root: Path, test_fraction: float | None) -> dict[str, set[Split]] | None:
    """The split file's content; None where the parts are drawn or there is no file."""
    path = root / SPLIT_FILE
    return read_split_file(path) if test_fraction is None and path.is_file() else None
