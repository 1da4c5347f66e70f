"""The groups each evaluated case belongs to: variables of the fairness score and further attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.attributes import UNKNOWN
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.fair_cases import FAIR_CASES, read_fair_cases
from nnunet_fair.metadata.mama_mia import AGE_GROUPS, CHALLENGE_VARIABLES, challenge_groups

MAX_GROUPS = 20  # a column with more different values than this is no attribute that groups patients
OFFICIAL_GROUPS = {
    "age": set(AGE_GROUPS),
    "menopausal_status": {"pre", "post", UNKNOWN},
    "breast_density": set("abcd"),
}
SAME_ATTRIBUTE = {"menopausal_status": "menopause", "menopause": "menopausal_status"}


@dataclass(frozen=True)
class CaseGroups:
    """The groups of the evaluated cases.

    Attributes:
        frame: table of shape (n_cases_with_a_row, n_attributes), indexed by the case IDs of the label files; group
            names, NaN where unknown. The variables of the score come first.
        variables: the columns that decide the fairness score.
        official: whether these are the challenge's three, in the challenge's groups.
        notes: what a reader has to know (columns that are absent, rows without an ID).
    """

    frame: pd.DataFrame
    variables: tuple[str, ...]
    official: bool
    notes: tuple[str, ...]


def read_case_groups(
    path: Path,
    case_ids: Iterable[str],
    *,
    variables: Sequence[str] | None = None,
    attributes: Sequence[str] | None = None,
    id_column: str | None = None,
) -> CaseGroups:
    """Read the groups of the evaluated cases from a dataset's ``fair_cases.csv`` or a raw table.

    Args:
        path: the table.
        case_ids: the cases, as their label files are named.
        variables: variables of the fairness score; None takes those of the challenge's three that the table has, or
            every column of a ``fair_cases.csv`` that has none of them.
        attributes: further attributes for the subgroup table; None takes every other column of a ``fair_cases.csv``
            and none of a raw table.
        id_column: the raw table's ID column; found by name when None.

    Returns:
        The groups of the cases that have a row.

    Raises:
        UserError: the table cannot be read, lacks a column that was asked for, or has no row for any case.
    """
    notes: list[str] = []
    is_fair_cases = path.name == FAIR_CASES and id_column is None
    if is_fair_cases:
        table = read_fair_cases(path)
    else:
        read = read_case_table(path, id_column)
        table = read.frame
        if read.n_without_id:
            notes.append(f"{read.n_without_id} rows of {path.name} carry no case ID and were left out.")
    case_ids = list(case_ids)
    matches = match_cases(table.index, case_ids)
    if not matches:
        raise UserError(
            f"{path} has no row for any of the {len(case_ids)} cases: its IDs look like "
            f"{next(iter(table.index), 'nothing')!r}, the label files like {case_ids[0]!r}; name the ID column with "
            "--id-column"
        )
    table = table.loc[list(matches.values())].set_axis(list(matches), axis="index")

    explicit = variables is not None
    columns, left_out = _groups(table, variables if explicit else CHALLENGE_VARIABLES, must_have=explicit)
    if not columns and is_fair_cases:
        named = [name for name in table.columns if _groups_patients(table[name])]
        columns, left_out = _groups(table, named, must_have=False)
        left_out.append(
            "The table has none of the challenge's variables: the fairness score is over its own attributes."
        )
    if not columns:
        raise UserError(
            f"{path} has none of the variables {', '.join(CHALLENGE_VARIABLES)}; name the columns to be fair over with "
            f"--variables; it has {', '.join(map(str, table.columns))}"
        )
    score_variables = tuple(columns)
    taken = set(columns) | {SAME_ATTRIBUTE.get(name, name) for name in columns}
    if attributes is None:
        attributes = (
            [c for c in table.columns if c not in taken and _groups_patients(table[c])] if is_fair_cases else []
        )
    further, _ = _groups(table, [name for name in attributes if name not in taken], must_have=True)
    frame = pd.DataFrame({**columns, **further}, index=table.index, dtype=object)
    own = [name for name in columns if not set(columns[name].dropna()) <= OFFICIAL_GROUPS.get(name, set())]
    left_out += [
        f"{name}: the groups are the table's own, not the challenge's." for name in own if name in OFFICIAL_GROUPS
    ]
    return CaseGroups(
        frame=frame,
        variables=score_variables,
        official=score_variables == CHALLENGE_VARIABLES and not own,
        notes=tuple(notes + left_out),
    )


def _groups(table: pd.DataFrame, names: Sequence[str], *, must_have: bool) -> tuple[dict[str, pd.Series], list[str]]:
    """The group column of each name, and a sentence for each name the table cannot give."""
    columns: dict[str, pd.Series] = {}
    sentences = []
    for name in names:
        try:
            columns[name] = challenge_groups(table, [name])[name]
        except UserError as error:
            if must_have:
                raise
            reason = str(error).split(";")[0].split(" (did you mean")[0]
            sentences.append(f"{name} is left out: {reason}.")
    return columns, sentences


def _groups_patients(column: pd.Series) -> bool:
    """Whether a column's values can serve as groups: at least one value, and not a different one for everybody."""
    return 1 <= column.nunique() <= MAX_GROUPS
