"""Tables that a caller hands over: one row a case, by case ID."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.score_cases import CLASS
from nnunet_fair.evaluation.scores.classes import MEAN, class_tables, stacked

CASE_ID = "case_id"


class WithClasses:
    """What an analysis and a comparison have in common where the cases have several classes."""

    subgroups: pd.DataFrame
    classes: Mapping[str, Any]

    @cached_property
    def subgroups_of_classes(self) -> pd.DataFrame:
        """The tables of subgroups of the mean and of each class as one, with the class in the column ``class``.

        ``q`` is corrected over the subgroups of all classes together. The table of subgroups itself where there is one
        foreground.
        """
        if not self.classes:
            return self.subgroups
        return stacked({MEAN: self.subgroups, **{name: found.subgroups for name, found in self.classes.items()}})


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


def split_classes(cases: pd.DataFrame, what: str) -> dict[str, pd.DataFrame]:
    """The table of each class, by case ID and in one order of the cases; empty where there is no column ``class``.

    Args:
        cases: one row a case and class.
        what: its name in a message.

    Raises:
        UserError: it is no DataFrame, a row names no class, a case occurs twice in a class, or the classes have
            different cases.
    """
    if not isinstance(cases, pd.DataFrame) or CLASS not in cases.columns:
        return {}
    if cases[CLASS].isna().any():
        raise UserError(f"`{what}` has a row without a class; fill the column {CLASS!r}, or leave it out")
    tables = {name: indexed_by_case(table, what) for name, table in class_tables(cases).items()}
    first = next(iter(tables), "")
    for name, table in tables.items():
        odd = tables[first].index.symmetric_difference(table.index)
        if len(odd):
            raise UserError(
                f"`{what}`: case {odd[0]!r} has a row for one of the classes {first!r} and {name!r} only; give each "
                "case a row in every class"
            )
    return {name: table.loc[tables[first].index] for name, table in tables.items()}
