"""The outcomes a training predicts: read by case ID when it starts, and kept nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.fair_cases import find_fair_cases, read_fair_cases
from nnunet_fair.metadata.outcome import outcome_values

RESPONSE_TABLE = "NNUNET_FAIR_RESPONSE_TABLE"
"""Environment variable: a patient table to read outcomes from, in place of ``fair_cases.csv``."""


@dataclass(frozen=True, repr=False)
class Outcomes:
    """The outcomes of a fold's training cases, or of its validation cases.

    Attributes:
        by_case: 0 or 1 by case ID; cases without a known outcome are not in it.
        n_cases: the cases, with and without an outcome.
    """

    by_case: Mapping[str, float]
    n_cases: int

    def __repr__(self) -> str:
        # nnU-Net writes the text of every attribute of a trainer to debug.json: nothing about patients may be in it.
        return f"Outcomes({len(self.by_case)} of {self.n_cases} cases)"

    @property
    def n_positive(self) -> int:
        """Cases with the outcome 1."""
        return int(sum(self.by_case.values()))

    @property
    def pos_weight(self) -> float:
        """Cases with the outcome 0 for each one with the outcome 1: so weighted, both count the same."""
        return (len(self.by_case) - self.n_positive) / self.n_positive

    @property
    def prevalence(self) -> float:
        """Share of the outcome 1 in whole percent, from 1 % to 99 %: no single patient can be told from it."""
        return min(max(round(self.n_positive / len(self.by_case), 2), 0.01), 0.99)

    def of(self, case_ids: Sequence[str]) -> list[float]:
        """The outcomes of a batch's cases, NaN where not known."""
        return [self.by_case.get(str(case_id), float("nan")) for case_id in case_ids]


def read_outcomes(
    dataset: str, column: str, case_ids: Sequence[str], *, cases: str = "training cases", both: bool = True
) -> Outcomes:
    """Read the outcomes of the training cases, or of others.

    Args:
        dataset: the dataset's name, whose ``fair_cases.csv`` is read, unless the environment variable
            ``NNUNET_FAIR_RESPONSE_TABLE`` names another table.
        column: the outcome's column.
        case_ids: the cases.
        cases: what they are, for messages.
        both: whether cases of both outcomes are needed.

    Returns:
        The outcomes.

    Raises:
        UserError: the table cannot be used or lacks the column, or the cases do not have both outcomes.
    """
    frame, path = _table(dataset)
    if column not in frame.columns:
        raise UserError(
            f"{path} has no column {column!r} with the outcome (setting `response_column`); it has "
            f"{', '.join(map(repr, frame.columns)) or 'none beside the case ID'}; name another column, add it, or set "
            f"{RESPONSE_TABLE} to a table that has it"
        )
    case_ids = list(map(str, case_ids))
    rows = match_rows(frame.index, case_ids).rows
    found = frame.loc[list(rows.values()), [column]].set_axis(pd.Index(list(rows)), axis="index")
    known = outcome_values(found, column, str(path)).dropna()
    if both and known.nunique() < 2:
        one = f"{len(known)} have the outcome {int(known.iloc[0])} and none the other" if len(known) else "none has one"
        raise UserError(
            f"a response head learns from cases of both outcomes; of the fold's {len(case_ids)} {cases} {one} "
            f"in column {column!r} of {path}; complete the column, or name another one (setting `response_column`)"
        )
    return Outcomes(known.to_dict(), len(case_ids))


def _table(dataset: str) -> tuple[pd.DataFrame, Path]:
    """The table with the outcomes, indexed by case ID, and where it is."""
    named = os.environ.get(RESPONSE_TABLE)
    if named:
        return read_case_table(named).frame, Path(named)
    path = find_fair_cases(dataset)
    return read_fair_cases(path), path
