"""Lines and numbers of Markdown tables: Dice points (hundredths of a DSC) with a sign that is a true minus."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def head(names: Sequence[str]) -> list[str]:
    """The two lines above a table's rows."""
    return [line(names), "|---" * len(names) + "|"]


def line(cells: Sequence[str]) -> str:
    """One row."""
    return "| " + " | ".join(cells) + " |"


def escaped(value: str) -> str:
    r"""What a table shows as it stands: ``|t|`` becomes ``\|t\|``."""
    return value.replace("|", "\\|")


def signed(value: float, form: str = "+.1f") -> str:
    """``+3.1``, or ``−3.1`` with a minus as long as the plus."""
    return format(value, form).replace("-", "−")


def points(value: float) -> str:
    """``+3.1`` for a DSC of 0.031."""
    return signed(100 * value)


def points_range(low: float, high: float) -> str:
    """``+1.0 to +5.2``; nothing where an end is missing."""
    return "" if pd.isna(low) or pd.isna(high) else f"{points(low)} to {points(high)}"


def points_with_interval(value: float, low: float, high: float) -> str:
    """``+3.1 (+1.0 to +5.2)``; nothing where the value or an end is missing."""
    return "" if pd.isna([value, low, high]).any() else f"{points(value)} ({points_range(low, high)})"


def points_with_error(value: float, error: float) -> str:
    """``+3.1 ± 1.0``."""
    return f"{points(value)} ± {100 * error:.1f}"
