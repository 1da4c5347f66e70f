"""Tables of features: ours, and any other CSV with one row a case, put side by side by case ID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.files import with_formula
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.cells import as_number, is_missing
from nnunet_fair.pcr.lesion_features import EMPTY, MASKS

_SHOWN = 5


@dataclass(frozen=True, repr=False)
class Features:
    """The features of a cohort.

    Attributes:
        frame: float table of shape (n_cases, n_features), indexed by case ID; NaN where missing.
        masks: whose masks they were measured on, as the tables say.
        notes: what a reader has to know.
    """

    frame: pd.DataFrame
    masks: tuple[str, ...]
    notes: tuple[str, ...]


def read_features(paths: Sequence[Path], outcome: str | None = None) -> Features:
    """Read tables of features.

    Args:
        paths: one or more tables; case IDs are spelled as in the first.
        outcome: the outcome's column, which no table of features may hold.

    Returns:
        The features of the cases that have a row in every table. Columns that are no numbers are left out and named.

    Raises:
        UserError: a table cannot be read, has no feature, shares no case or a column with the others, or holds the
            outcome.
    """
    frames: list[pd.DataFrame] = []
    masks: dict[str, None] = {}
    notes: list[str] = []
    for path in paths:
        numbers, whose, told = _read(path, outcome)
        masks |= dict.fromkeys(whose)
        notes += told
        frames.append(numbers if not frames else _as_first(numbers, frames[0].index, path, paths[0], notes))
    shared = frames[0].index
    for frame in frames[1:]:
        shared = shared.intersection(frame.index, sort=False)
    if len(shared) < len(frames[0]):
        notes.append(f"{len(frames[0]) - len(shared)} cases have no row in every table of features and are left out")
    joined = pd.concat([frame.loc[shared] for frame in frames], axis=1)
    twice = joined.columns[joined.columns.duplicated()]
    if len(twice):
        raise UserError(f"the feature {twice[0]!r} is in two tables; leave one of them away or rename the column")
    return Features(joined, tuple(masks), tuple(notes))


def _read(path: Path, outcome: str | None) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The numbers of one table, whose masks they are of, and notes."""
    table = read_case_table(path)
    frame = table.frame.rename(index=with_formula)
    if outcome is not None and outcome in frame.columns:
        raise UserError(f"{path} has a column {outcome!r}, which is the outcome itself; take it out of the features")
    whose = sorted({str(value) for value in frame[MASKS].dropna()}) if MASKS in frame.columns else []
    columns, texts = {}, []
    for name in frame.columns:
        if name in (MASKS, EMPTY):
            continue
        values = [float("nan") if is_missing(value) else as_number(value) for value in frame[name]]
        if None in values:
            texts.append(name)
        else:
            columns[name] = pd.Series(values, index=frame.index, dtype=float)
    if not columns:
        raise UserError(f"{path} has no column of numbers, so no feature; found {', '.join(map(repr, frame.columns))}")
    shown = ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")
    notes = [f"{path.name}: columns that are no numbers are left out: {shown}"] if texts else []
    return pd.DataFrame(columns, index=frame.index), whose, [*table.notes_on(columns), *notes]


def _as_first(numbers: pd.DataFrame, case_ids: pd.Index, path: Path, first: Path, notes: list[str]) -> pd.DataFrame:
    """A further table with the IDs of the first one."""
    match = match_rows(numbers.index, case_ids)
    notes += match.notes
    if not match.rows:
        raise UserError(
            f"{path} holds other cases than {first}: like {numbers.index[0]!r}, where {first.name} has cases like "
            f"{case_ids[0]!r}"
        )
    return numbers.loc[list(match.rows.values())].set_axis(list(match.rows), axis="index")
