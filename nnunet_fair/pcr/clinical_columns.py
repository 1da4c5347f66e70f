"""Columns of the patient table as a response model reads them: clinical columns, groups."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.attributes import group_values, parse_attribute
from nnunet_fair.metadata.cells import as_number, is_missing, text_value
from nnunet_fair.metadata.mama_mia import attribute_names, build_attributes, is_mama_mia_table
from nnunet_fair.settings_record import nearest_hint


def clinical_values(rows: pd.DataFrame, column: str, where: str, *, is_category: bool | None = None) -> pd.Series:
    """One clinical column.

    Args:
        rows: the patient table's rows, indexed by case ID.
        column: its name.
        where: the table, for messages.
        is_category: whether it holds categories, as a trained model says; None finds out.

    Returns:
        Float series where every value is a number, else text in one spelling a category (that of the attribute of this
        name in a MAMA-MIA table); NaN where missing.

    Raises:
        UserError: no such column, or a text where the model reads a number.
    """
    if column not in rows.columns:
        raise UserError(
            f"{where} has no clinical column {column!r}{nearest_hint(column, rows.columns)}; it has "
            f"{', '.join(map(repr, rows.columns))}"
        )
    cells = rows[column]
    numbers = [float("nan") if is_missing(cell) else as_number(cell) for cell in cells]
    if is_category is None:
        is_category = None in numbers
    if is_category:
        if is_mama_mia_table(rows.columns) and column in attribute_names():
            return build_attributes(rows, [column])[column]
        return cells.map(text_value).astype(object)
    if None in numbers:
        position = numbers.index(None)
        raise UserError(
            f"{where}: case {rows.index[position]!r} has {cells.iloc[position]!r} in column {column!r}, where the "
            "model reads a number"
        )
    return pd.Series(numbers, index=rows.index, dtype=float)


def attribute_groups(rows: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    """The groups that subgroups are made of.

    Args:
        rows: the patient table's rows, indexed by case ID.
        attributes: entries like ``site``, ``age:0,40,60,120``, ``bmi:quantiles=4``, or attributes of MAMA-MIA.

    Returns:
        Table of shape (n_cases, n_attributes); NaN where unknown.

    Raises:
        UserError: no such column, or values that cannot be binned.
    """
    is_mama_mia = is_mama_mia_table(rows.columns)
    columns = {}
    for text in attributes:
        if is_mama_mia and text in attribute_names():
            columns[text] = build_attributes(rows, [text])[text]
        else:
            spec = parse_attribute(text, rows.columns)
            columns[spec.name] = group_values(rows[spec.name], spec)
    return pd.DataFrame(columns, index=rows.index, dtype=object)
