"""Tables as the page writes them, and the cells they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nnunet_fair.evaluation.reports.numbers import interval, number, signed

CANNOT = "cannot be estimated"


@dataclass(frozen=True)
class ShownTable:
    """A table as the page writes it.

    Attributes:
        caption: what its columns mean.
        columns: the headings.
        rows: the cells of each row, the first one its heading.
        few: which rows rest on few cases.
        title: of a table that is folded away; empty for one that is shown.
    """

    caption: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    few: list[bool]
    title: str = ""


def shown_table(
    frame: pd.DataFrame, caption: str, columns: dict[str, Callable[[Any], str]], *, title: str = ""
) -> ShownTable:
    """A table from a function of the row for each heading."""
    rows = [[cell(row) for cell in columns.values()] for row in frame.itertuples()]
    few = [not row.decides for row in frame.itertuples()] if "decides" in frame else [False] * len(frame)
    return ShownTable(caption, tuple(columns), rows, few, title)


def value_of(name: str, digits: int = 3, *, scale: float = 1.0, sign: bool = False) -> Callable[[Any], str]:
    """A cell with a value, or that it cannot be estimated."""

    def cell(row: Any) -> str:
        value = getattr(row, name) / scale
        if pd.isna(value):
            return CANNOT
        return signed(value, digits) if sign else number(float(value), digits)

    return cell


def interval_of(name: str, digits: int = 3, *, scale: float = 1.0) -> Callable[[Any], str]:
    """A cell with the interval of a value."""
    return lambda row: interval(getattr(row, f"{name}_low") / scale, getattr(row, f"{name}_high") / scale, digits)


def text_of(name: str) -> Callable[[Any], str]:
    """A cell as it is."""
    return lambda row: str(getattr(row, name))
