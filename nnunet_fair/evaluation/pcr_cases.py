"""Outcomes and predictions of pathologic complete response (pCR) from their two tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.cells import as_number

TRUTH = "pcr"
DECISIONS = ("pcr_pred", "pcr_prediction", "prediction")
PROBABILITIES = ("pcr_prob", "probability")
THRESHOLD = 0.5
WORDS = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
MISSING = ("empty", "skip")


@dataclass(frozen=True, repr=False)
class PcrCases:
    """The cases with a known outcome and what was predicted for them.

    Attributes:
        truth: bool, shape (n_cases,), indexed by case ID as in the table.
        value: what was predicted, in [0, 1]: a probability, or a decision where there is none; NaN where nothing was.
        decision: bool, whether pCR was predicted.
        missing: cases with an outcome and no prediction, counted or left out.
        unknown: predicted cases without a row or without an outcome in the table.
        n_without_outcome: rows of the table without an outcome.
        notes: what had to be understood to read the tables; it names rows and values.
    """

    truth: pd.Series
    value: pd.Series
    decision: pd.Series
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    n_without_outcome: int
    notes: tuple[str, ...]

    @property
    def has_probabilities(self) -> bool:
        """Whether there are values between 0 and 1."""
        return bool(((self.value > 0) & (self.value < 1)).any())


def read_pcr_cases(
    predictions: Path, table: TableOptions, *, missing: str = "empty", threshold: float = THRESHOLD
) -> PcrCases:
    """Read the outcomes and a table of predictions and put them side by side.

    Args:
        predictions: table with an ID column and ``pcr_pred``, ``pcr_prediction`` or ``prediction`` (0/1, yes/no, or a
            probability), or ``pcr_prob`` or ``probability``, or one of each: the first then holds the decisions.
        table: the case metadata, with the outcome in a column ``pcr``.
        missing: a case without a prediction counts as no pCR (``empty``, as in the challenge) or is left out
            (``skip``).
        threshold: from this probability on, where no decision is given, pCR is predicted.

    Returns:
        The cases, in the table's order.

    Raises:
        UserError: a table lacks a column or holds other values, or no case is in both.
    """
    if not 0 < threshold <= 1:
        raise UserError(f"`threshold` is a probability above 0, at most 1, found {threshold:g}")
    metadata = table.reading.read(table.path)
    if TRUTH not in metadata.frame.columns:
        have = ", ".join(metadata.frame.columns)
        raise UserError(f"{table.path} has no column {TRUTH!r} with the outcome; it has {have}")
    truth = pcr_numbers(metadata.frame[TRUTH], table.path, TRUTH).dropna() >= THRESHOLD
    if truth.empty:
        raise UserError(f"{table.path}: column {TRUTH!r} is empty, so there is no outcome to score against")
    read = read_case_table(predictions)
    decision_column, value_column = _columns(list(read.frame.columns), predictions)
    match = match_rows(read.frame.index, truth.index)
    if not match.rows:
        raise UserError(f"{predictions} has no prediction for a case of {table.path} with a known outcome")
    rows = [match.rows.get(case) for case in truth.index]
    value, given = (
        pcr_numbers(read.frame[column], predictions, column).reindex(rows).set_axis(truth.index)
        for column in (value_column, decision_column)
    )
    predicted = value.notna() & given.notna()
    kept = predicted | (missing == "empty")
    decision = given >= (THRESHOLD if decision_column != value_column else threshold)
    names = dict.fromkeys((decision_column, value_column))
    notes = (*metadata.column_notes.get(TRUTH, ()), *read.notes_on(names), *match.notes)
    return PcrCases(
        truth=truth[kept],
        value=value.where(predicted)[kept],
        decision=(decision & predicted)[kept],
        missing=tuple(truth.index[~predicted]),
        unknown=tuple(read.frame.index.difference(list(match.rows.values()), sort=False)),
        n_without_outcome=len(metadata.frame) - len(truth),
        notes=tuple(f"{note}." for note in notes),
    )


def _columns(found: Sequence[str], path: Path) -> tuple[str, str]:
    """The columns of decisions and of values; one for both where there is one only."""
    decision, probability = (next((n for n in names if n in found), None) for names in (DECISIONS, PROBABILITIES))
    first = decision or probability or (TRUTH if TRUTH in found else None)
    if first is None:
        raise UserError(
            f"{path} has no column with predictions ({', '.join((*DECISIONS, *PROBABILITIES, TRUTH))}); found "
            f"{', '.join(found)}"
        )
    return first, probability or first


def pcr_numbers(values: pd.Series, path: Path, column: str) -> pd.Series:
    """A column of 0/1, yes/no or probabilities as numbers; NaN where missing.

    Args:
        values: the column.
        path: its table, for the message.
        column: its name.

    Raises:
        UserError: another value.
    """
    words = [WORDS.get(value.lower(), value) if isinstance(value, str) else value for value in values]
    numbers = pd.Series([as_number(word) for word in words], index=values.index, dtype=float)
    wrong = (values.notna() & numbers.isna()) | (numbers < 0) | (numbers > 1)
    if wrong.any():
        case_id = values.index[wrong][0]
        raise UserError(
            f"{path}: case {case_id!r} has {values[case_id]!r} in column {column!r}; expected 0, 1, yes, no or a "
            "probability between 0 and 1"
        )
    return numbers.astype(float)
