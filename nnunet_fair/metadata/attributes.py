"""Patient attributes as groups: numbers binned by edges or quantiles, text as it is, missing left missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import almost_number, as_number, is_missing, text_value
from nnunet_fair.settings_record import nearest_hint

UNKNOWN = "unknown"
"""The group that missing values form when asked for."""


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute as asked for on the command line.

    Attributes:
        name: the table's column.
        edges: increasing bin edges for a numeric attribute, or None.
        n_quantiles: number of equally filled bins for a numeric attribute, or None.
        is_volume: whether the numbers are volumes in mm³, whose bins are then named in mm³ or mL.
    """

    name: str
    edges: tuple[float, ...] | None = None
    n_quantiles: int | None = None
    is_volume: bool = False


def parse_attribute(text: str, columns: Iterable[str]) -> AttributeSpec:
    """Read one entry of ``--attributes``.

    Args:
        text: ``site``, ``age:0,40,60,120`` (bin edges; ``-inf`` and ``inf`` leave an end open) or ``bmi:quantiles=4``.
            A column whose own name contains a colon is taken by its whole name.
        columns: the table's column names; upper and lower case may differ from ``text``.

    Raises:
        UserError: no such column (the nearest is named), edges that are not numbers or do not increase, or fewer than
            two quantile groups.
    """
    columns = list(columns)
    column = _find_column(text, columns)
    if column is not None:
        return AttributeSpec(column)
    name, colon, bins = text.rpartition(":")
    if not colon:
        raise UserError(
            f"the table has no column {text!r}{nearest_hint(text, columns)}; its columns are "
            f"{', '.join(map(repr, columns))}"
        )
    column = _find_column(name, columns)
    if column is None:
        raise UserError(
            f"the table has no column {name!r} (from {text!r}){nearest_hint(name, columns)}; its columns are "
            f"{', '.join(map(repr, columns))}"
        )
    if bins.startswith("quantiles="):
        count = bins.removeprefix("quantiles=")
        if not count.isdecimal() or int(count) < 2:
            raise UserError(f"{text!r}: expected quantiles=N with N 2 or more, found {bins!r}")
        return AttributeSpec(column, n_quantiles=int(count))
    return AttributeSpec(column, edges=_parse_edges(text, bins))


def group_values(values: pd.Series, spec: AttributeSpec) -> pd.Series:
    """Turn one column of a case table into group names.

    Args:
        values: shape (n_cases,), indexed by case ID; NaN where missing.
        spec: how to group it.

    Returns:
        Series of shape (n_cases,) and dtype object: group names (``str``), NaN where the value is missing or outside
        the edges. Bins are open on the left and closed on the right and named ``>40 to 60``; the first bin includes its
        lower edge (``0 to 40``); open ends are ``up to 40`` and ``>60``; volumes are ``>4,189 to 9,500 mm³`` or, where
        an edge is 10 mL or more, ``>4.189 to 65.45 mL``.

    Raises:
        UserError: a value that is not a number in an attribute to be binned.
    """
    if spec.edges is not None:
        numbers, edges = numeric_values(values), np.asarray(spec.edges)
    elif spec.n_quantiles is not None:
        numbers = numeric_values(values)
        edges = _quantile_edges(numbers, spec.n_quantiles)
    else:
        return values.map(text_value).astype(object)
    if len(edges) < 2:
        return numbers.map(text_value).astype(object)
    return cut_values(numbers, edges, bin_names(edges, is_volume=spec.is_volume), include_lowest=True)


def cut_values(
    numbers: pd.Series, edges: Sequence[float] | np.ndarray, names: Sequence[str], *, include_lowest: bool
) -> pd.Series:
    """Name the bin (edges[k], edges[k + 1]] of each number.

    Args:
        numbers: shape (n_cases,), float, NaN where missing.
        edges: shape (n_bins + 1,), increasing.
        names: shape (n_bins,).
        include_lowest: whether a value equal to the first edge belongs to the first bin.

    Returns:
        Series of dtype object; NaN where the number is missing or outside the edges.
    """
    cut = pd.cut(numbers, np.asarray(edges, dtype=float), labels=list(names), include_lowest=include_lowest)
    return cut.astype(object).where(cut.notna(), float("nan"))


def numeric_values(values: pd.Series) -> pd.Series:
    """A column as floats.

    Args:
        values: shape (n_cases,), indexed by case ID; numbers or their text, NaN where missing. Dates and truth values
            are no numbers.

    Raises:
        UserError: a value is not a finite number; the first such case and value are named.
    """
    numbers = [float("nan") if is_missing(value) else as_number(value) for value in values]
    wrong = [position for position, number in enumerate(numbers) if number is None]
    if wrong:
        first = values.iloc[wrong[0]]
        comma = isinstance(first, str) and "," in first and almost_number(first)
        hint = "; write it with a decimal point and without commas" if comma else ""
        raise UserError(
            f"attribute {values.name!r}: {len(wrong)} of {int(values.notna().sum())} values are not numbers, "
            f"the first is {first!r} of {values.index[wrong[0]]!r}{hint}; leave the bins away to use it as text"
        )
    return pd.Series(numbers, index=values.index, name=values.name, dtype=float)


def bin_names(edges: Sequence[float] | np.ndarray, *, is_volume: bool = False) -> list[str]:
    """Readable names of bins, told apart by as many digits as that takes: ``0 to 40``, ``>40 to 60``, ``>60``.

    Args:
        edges: shape (n_bins + 1,), increasing; infinite ends are open.
        is_volume: whether the edges are volumes in mm³; they are named in mm³, or in mL where one is 10 mL or more.
    """
    unit, per_unit = "", 1.0
    if is_volume:
        finite = [abs(edge) for edge in edges if np.isfinite(edge)]
        unit, per_unit = (" mL", 1000.0) if max(finite, default=0.0) >= _LARGE_VOLUME_MM3 else (" mm³", 1.0)
    for digits in range(4, 18):
        shown = [_shown(edge / per_unit, digits, thousands=is_volume) for edge in edges]
        if len(set(shown)) == len(shown):
            break
    names = []
    for position, (low, high) in enumerate(itertools.pairwise(shown)):
        if low == "-inf":
            names.append(f"up to {high}{unit}" if high != "inf" else "any")
        elif high == "inf":
            names.append(f"{low}{unit} and more" if position == 0 else f">{low}{unit}")
        else:
            names.append(f"{low} to {high}{unit}" if position == 0 else f">{low} to {high}{unit}")
    return names


_LARGE_VOLUME_MM3 = 10_000.0  # from here on bins are named in mL


def _shown(number: float, digits: int, *, thousands: bool) -> str:
    """The number with that many digits, whole numbers in full, without powers of ten as far as people can read it."""
    if not np.isfinite(number):
        return f"{number:g}"
    text = f"{number:.{digits}g}"
    if "e" in text and 1e-9 < abs(number) < 1e15:
        text = f"{number:.0f}" if abs(number) >= 1 else f"{Decimal(text):f}"
    return f"{Decimal(text):,f}" if thousands and "e" not in text else text


def _find_column(name: str, columns: list[str]) -> str | None:
    """The column of that name: exactly, else the only one that differs in upper and lower case."""
    if name in columns:
        return name
    same = [column for column in columns if column.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def _parse_edges(text: str, bins: str) -> tuple[float, ...]:
    try:
        edges = tuple(float(edge) for edge in bins.split(","))
    except ValueError:
        raise UserError(
            f"{text!r}: expected bin edges like 0,40,60,120 or quantiles=4 after the colon, found {bins!r}"
        ) from None
    if len(edges) < 2 or any(not low < high for low, high in itertools.pairwise(edges)):
        raise UserError(f"{text!r}: expected two or more increasing bin edges, found {bins!r}")
    return edges


def _quantile_edges(numbers: pd.Series, n_quantiles: int) -> np.ndarray:
    """Edges of equally filled bins; equal quantiles (many equal values) are merged, so there may be fewer bins."""
    present = numbers.dropna().to_numpy()
    if not len(present):
        return np.empty(0)
    return np.unique(np.quantile(present, np.linspace(0, 1, n_quantiles + 1)))
