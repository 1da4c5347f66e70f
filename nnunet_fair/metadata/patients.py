"""Which cases are of one patient, by a column of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.metadata.cells import text_value
from nnunet_fair.settings_record import nearest_hint


def patients_of_cases(
    case_ids: Sequence[str], table: Path | None, patient_column: str | None, reading: TableReading
) -> tuple[pd.Series, list[str]]:
    """The patient of each case.

    Args:
        case_ids: the cases.
        table: the table that names the patients; None where every case is a patient of its own.
        patient_column: its column of patients.
        reading: how it is read.

    Returns:
        The patient by case ID, the case itself where the table names none, and what had to be understood.

    Raises:
        UserError: one of the two is given without the other, or the table has no such column.
    """
    itself = pd.Series(list(case_ids), index=list(case_ids), dtype=object)
    if (table is None) != (patient_column is None):
        raise UserError("`table` and `patient_column` belong together: they say which cases are of one patient")
    if table is None or patient_column is None:
        return itself, []
    found = reading.read(table)
    if patient_column not in found.frame.columns:
        hint = nearest_hint(patient_column, found.frame.columns)
        raise UserError(f"{table} has no patient column {patient_column!r}{hint}")
    match = match_rows(found.frame.index, case_ids)
    named = found.frame.loc[list(match.rows.values()), patient_column].map(text_value)
    named = named.set_axis(list(match.rows), axis="index").reindex(list(case_ids))
    return named.where(named.notna(), itself), [*found.notes_on([patient_column]), *match.notes]
