"""Numbers as the reports write them."""

from __future__ import annotations

import math
from typing import Any


def number(value: Any, digits: int = 3) -> str:
    """A number for people: fixed digits, a true minus sign, ``∞``, and a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float) and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """A difference for people, with its sign."""
    return f"+{number(value, digits)}" if round(value, digits) > 0 else number(value, digits)


def p_value(value: float) -> str:
    """A p-value for people: two significant digits, ``< 0.001`` below that."""
    if value is None or math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def p_text(p: float) -> str:
    """A p-value behind the letter: ``= 0.03`` or ``< 0.001``."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """An interval for people; a dash where it does not exist."""
    return f"{number(low, digits)} to {number(high, digits)}" if math.isfinite(low) and math.isfinite(high) else "–"


def percent(value: float) -> str:
    """A share for people; a dash where it does not exist."""
    return "–" if math.isnan(value) else f"{100 * value:.0f} %"
