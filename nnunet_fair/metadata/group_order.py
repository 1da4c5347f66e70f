"""The one order of group names: groups of numbers by their values, then text by its letters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

Group = TypeVar("Group")

_NUMBER = r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?"
_RANGE = re.compile(
    rf"(?P<above>>=|≥|>)?\s*(?P<low>{_NUMBER})(?:\s*(?:to|-|–)\s*(?P<high>{_NUMBER}))?(?P<more>\s*\+|\s+and more)?"
)
_UP_TO = re.compile(rf"(?:up to|<=|≤|<)\s*(?P<high>{_NUMBER})")
_UNIT = re.compile(r"\s+(?!more)[^\W\d_]{1,6}[²³]?$")


def group_order(name: object) -> tuple[int, float, float, str]:
    """Sort key of a group's name.

    Names that stand for numbers come first, in the order of the lowest and then of the highest number they stand for:
    ``up to 25``, ``0 to 40``, ``0-40``, ``>40 to 60``, ``1.5 T``, ``3``, ``71+``, ``>60``, ``18 and more``; thousands
    may be separated by commas (``>4,189 to 65,450 mm³``). Every other text follows in the order of its letters.

    Args:
        name: the group's name, or a value whose text is one.

    Returns:
        A key for ``sorted``; different names have different keys, whatever their values.
    """
    text = str(name)
    plain = _UNIT.sub("", text.strip())
    if match := _UP_TO.fullmatch(plain):
        return 0, float("-inf"), _number(match["high"]), text
    if match := _RANGE.fullmatch(plain):
        low = _number(match["low"])
        is_open = match["above"] or match["more"]
        high = _number(match["high"]) if match["high"] else float("inf") if is_open else low
        return 0, low, high, text
    return 1, 0.0, 0.0, text


def ordered_groups(names: Iterable[Group]) -> list[Group]:
    """Group names in their order, see :func:`group_order`."""
    return sorted(names, key=group_order)


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))
