"""The outcome of treatment as a patient table has it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import as_number, is_missing
from nnunet_fair.settings_record import nearest_hint

_OUTCOMES = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}


def outcome_values(rows: pd.DataFrame, column: str, where: str) -> pd.Series:
    """The outcome of each case.

    Args:
        rows: the patient table's rows, indexed by case ID.
        column: its column: 0 or 1, yes or no.
        where: the table, for messages.

    Returns:
        Float series of 0, 1 and NaN (not known).

    Raises:
        UserError: no such column, or another value in it.
    """
    if column not in rows.columns:
        raise UserError(
            f"{where} has no column {column!r} with the outcome{nearest_hint(column, rows.columns)}; it has "
            f"{', '.join(map(repr, rows.columns))}; name the outcome's column with `outcome`"
        )
    values = []
    for case_id, cell in rows[column].items():
        value = _OUTCOMES.get(cell.casefold()) if isinstance(cell, str) else None
        number = float("nan") if is_missing(cell) else as_number(cell) if value is None else value
        if number is None or (number not in (0.0, 1.0) and not np.isnan(number)):
            raise UserError(
                f"{where}: case {case_id!r} has the outcome {cell!r} in {column!r}; expected 0, 1, yes or no"
            )
        values.append(number)
    return pd.Series(values, index=rows.index, dtype=float)
