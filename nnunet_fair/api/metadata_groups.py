"""The groups of cases from a table in memory."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.case_groups import SAME_ATTRIBUTE, CaseGroups
from nnunet_fair.metadata.mama_mia import CHALLENGE_VARIABLES, challenge_groups

CASE_ID = "case_id"


def indexed_by_case(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """A table by case ID: its column ``case_id`` where it has one, else its index.

    Args:
        table: one row a case.
        what: its name in a message.

    Raises:
        UserError: it is no DataFrame, or a case ID is missing or occurs twice.
    """
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"`{what}` is a DataFrame with one row a case, found {type(table).__name__}")
    attrs = table.attrs
    table = table.set_index(CASE_ID) if CASE_ID in table.columns else table
    if table.index.hasnans:
        raise UserError(f"`{what}` has a row without a case ID; give each row its case's ID as the index")
    table = table.set_axis(table.index.map(str), axis="index").rename_axis(CASE_ID)
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise UserError(f"`{what}`: case {twice!r} occurs more than once; keep one row a case")
    table.attrs = attrs
    return table


def groups_from_metadata(
    metadata: pd.DataFrame,
    case_ids: Sequence[str],
    *,
    variables: Sequence[str] | None,
    attributes: Sequence[str] | None,
) -> CaseGroups:
    """The groups of the evaluated cases.

    Args:
        metadata: table with one row a case, indexed by case ID or with a column ``case_id``; every value is a group,
            NaN where unknown. The challenge's variables may also be years of age and free text.
        case_ids: the cases.
        variables: columns that decide the fairness score; None takes the challenge's where there are any, else all.
        attributes: further columns for the tables of subgroups; None takes all others.

    Raises:
        UserError: a column is absent, or no case has a row.
    """
    table = indexed_by_case(metadata, "metadata")
    matches = match_cases(table.index, case_ids)
    if not matches:
        raise UserError(
            f"`metadata` has no row for any of the {len(case_ids)} cases: its IDs look like "
            f"{next(iter(table.index), 'nothing')!r}, those of the cases like {next(iter(case_ids), 'nothing')!r}"
        )
    table = table.loc[list(matches.values())].set_axis(list(matches), axis="index")
    if variables is None:
        known = [name for name in CHALLENGE_VARIABLES if {name, SAME_ATTRIBUTE.get(name)} & set(table.columns)]
        variables = known or list(map(str, table.columns))
    if attributes is None:
        taken = {*variables, *(SAME_ATTRIBUTE.get(name) for name in variables)}
        attributes = [name for name in table.columns if name not in taken]
    names = list(dict.fromkeys([*variables, *attributes]))
    frame = pd.concat([challenge_groups(table, [name]) for name in names], axis="columns") if names else table[[]]
    official = tuple(variables) == CHALLENGE_VARIABLES
    return CaseGroups(frame=frame, variables=tuple(variables), official=official, notes=())
