"""The groups each evaluated case belongs to: variables of the fairness score and further attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.attributes import UNKNOWN
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.metadata.fair_cases import FAIR_CASES, read_fair_cases
from nnunet_fair.metadata.mama_mia import AGE_GROUPS, CHALLENGE_VARIABLES, challenge_groups, source_column
from nnunet_fair.subgroups.options import MIN_GROUP

MAX_GROUPS = 20
"""An attribute with more groups than this keeps those with enough cases; the others become one group."""
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
    reading: TableReading | None = None,
    min_group: int = MIN_GROUP,
) -> CaseGroups:
    """Read the groups of the evaluated cases from a dataset's ``fair_cases.csv`` or a raw table.

    Args:
        path: the table.
        case_ids: the cases, as their label files are named.
        variables: variables of the fairness score; None takes those of the challenge's three that the table has, or
            every column of a ``fair_cases.csv`` that has none of them.
        attributes: further attributes for the subgroup table; None takes every other column of a ``fair_cases.csv``
            and none of a raw table.
        reading: how a raw table is to be read, where it does not speak for itself.
        min_group: an attribute with more than ``MAX_GROUPS`` groups keeps those with so many cases; the others are
            pooled into one group, ``other (N groups)``.

    Returns:
        The groups of the cases that have a row.

    Raises:
        UserError: the table cannot be read, lacks a column that was asked for, or has no row for any case.
    """
    notes: list[str] = []
    is_fair_cases = path.name == FAIR_CASES and reading in (None, TableReading())
    column_notes: Mapping[str, tuple[str, ...]] = {}
    if is_fair_cases:
        table = read_fair_cases(path)
    else:
        read = (reading or TableReading()).read(path)
        table, column_notes = read.frame, read.column_notes
        notes += map(_sentence, read.notes)
        if read.n_without_id:
            notes.append(f"{read.n_without_id} rows of {path.name} carry no case ID and were left out.")
    groups = case_groups(
        table,
        case_ids,
        variables=variables,
        attributes=attributes,
        takes_all=is_fair_cases,
        min_group=min_group,
        where=str(path),
        column_notes=column_notes,
    )
    return replace(groups, notes=(*notes, *groups.notes))


def case_groups(
    table: pd.DataFrame,
    case_ids: Iterable[str],
    *,
    variables: Sequence[str] | None = None,
    attributes: Sequence[str] | None = None,
    takes_all: bool = True,
    min_group: int = MIN_GROUP,
    where: str = "`metadata`",
    column_notes: Mapping[str, tuple[str, ...]] | None = None,
) -> CaseGroups:
    """The groups of the evaluated cases from a table in memory.

    Args:
        table: one row a case, indexed by case ID.
        case_ids: the cases.
        variables: variables of the fairness score; None takes those of the challenge's three that the table has, or
            every column of a table that has none of them.
        attributes: further attributes for the subgroup table; None takes every other column.
        takes_all: whether the columns that nobody named are groups too; False takes the named ones, and the
            challenge's, only.
        min_group: see :func:`read_case_groups`.
        where: the table's name in messages.
        column_notes: what a reader of a column's groups has to know.

    Returns:
        The groups of the cases that have a row.

    Raises:
        UserError: the table lacks a column that was asked for, or has no row for any case.
    """
    notes: list[str] = []
    case_ids = list(case_ids)
    match = match_rows(table.index, case_ids)
    matches = match.rows
    notes += map(_sentence, match.notes)
    if not matches:
        raise UserError(
            f"{where} has no row for any of the {len(case_ids)} cases: its IDs look like "
            f"{next(iter(table.index), 'nothing')!r}, those of the cases like {next(iter(case_ids), 'nothing')!r}; "
            "name the ID column with `id_column`"
        )
    table = table.loc[list(matches.values())].set_axis(list(matches), axis="index")

    explicit = variables is not None
    columns, left_out = _groups(
        table, min_group, CHALLENGE_VARIABLES if variables is None else variables, must_have=explicit
    )
    if not columns and takes_all:
        columns, left_out = _groups(
            table, min_group, [name for name in table.columns if table[name].nunique()], must_have=False
        )
        left_out.append(
            "The table has none of the challenge's variables: the fairness score is over its own attributes."
        )
    if not columns:
        unusable = [sentence for sentence in left_out if "is left out" in sentence and "no column" not in sentence]
        raise UserError(
            f"{where} has none of the variables {', '.join(CHALLENGE_VARIABLES)}; name the columns to be fair over "
            f"with `variables`; it has {', '.join(map(str, table.columns))}"
            + (f" ({' '.join(unusable)})" if unusable else "")
        )
    score_variables = tuple(columns)
    taken = set(columns) | {SAME_ATTRIBUTE.get(name, name) for name in columns}
    if attributes is None:
        others = [name for name in table.columns if name not in taken and table[name].nunique()]
        further, sentences = _groups(table, min_group, others if takes_all else [], must_have=False)
    else:
        further, sentences = _groups(
            table, min_group, [name for name in attributes if name not in taken], must_have=True
        )
    left_out += sentences
    frame = pd.DataFrame({**columns, **further}, index=table.index, dtype=object)
    own = [name for name in columns if not set(columns[name].dropna()) <= OFFICIAL_GROUPS.get(name, set())]
    left_out += [
        f"{name}: the groups are the table's own, not the challenge's." for name in own if name in OFFICIAL_GROUPS
    ]
    used = [source_column(name, table) or name for name in frame.columns]
    notes += [_sentence(note) for name in dict.fromkeys(used) for note in (column_notes or {}).get(name, ())]
    return CaseGroups(
        frame=frame,
        variables=score_variables,
        official=score_variables == CHALLENGE_VARIABLES and not own,
        notes=tuple(notes + left_out),
    )


def _groups(
    table: pd.DataFrame, min_group: int, names: Iterable[str], *, must_have: bool
) -> tuple[dict[str, pd.Series], list[str]]:
    """The group column of each name, and a sentence for each name that was pooled or that the table cannot give."""
    columns: dict[str, pd.Series] = {}
    sentences = []
    for name in names:
        try:
            values, sentence = pool_small_groups(challenge_groups(table, [name])[name], min_group)
        except UserError as error:
            if must_have:
                raise
            reason = str(error).split(";")[0].split(" (did you mean")[0]
            sentences.append(f"{name} is left out: {reason}.")
            continue
        if values is not None:
            columns[name] = values
        if sentence:
            sentences.append(sentence)
    return columns, sentences


def pool_small_groups(values: pd.Series, min_group: int) -> tuple[pd.Series | None, str]:
    """An attribute with very many groups with the small ones as one.

    Args:
        values: group of each case, NaN where unknown.
        min_group: groups with so many cases stay.

    Returns:
        The groups, or None where no group is large enough; and a sentence about it, "" where nothing was changed.
    """
    counts = values.value_counts()
    small = counts.index[counts < min_group]
    if len(counts) <= MAX_GROUPS or len(small) < 2:
        return values, ""
    if len(small) == len(counts):
        return None, (
            f"{values.name} is left out: it has {len(counts)} groups, none of them with {min_group} cases; "
            "for numbers give bins with nnunet_fair metadata."
        )
    rest = f"other ({len(small)} groups)"
    sentence = (
        f"{values.name}: {len(small)} of {len(counts)} groups have fewer than {min_group} cases and are one group, "
        f"{rest!r}, with {int(counts[small].sum())} cases."
    )
    return values.where(~values.isin(small), rest), sentence


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."
