"""One cell of a patient table: its text, its number, whether it is missing, or why it cannot be read."""

from __future__ import annotations

import datetime
import functools
import math
import numbers
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError

MISSING_WORDS = (
    *("NA", "N/A", "#N/A", "#NA", "n.a.", "na", "n/a", "NaN", "NaT", "NULL", "<NA>", "None"),
    *("-", "--", "---", ".", "?", "unknown", "missing", "not available", "not known"),
)
"""Cells that mean "not known" in a raw table, beside empty ones; upper and lower case alike, but for ``None``: the word
``none`` is an answer (no implant: none)."""

_EXACT_MISSING = {"None"}
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?")
_CODE = re.compile(r"[-+]?0\d+")  # 007 is a code whose zeros matter, not the number 7
_ALMOST_NUMBER = re.compile(
    r"[-+]?\d[\d.,' ]*\s*(?:y|yr|yrs|years?|yo|y\.?o\.?|d|w|m|days?|weeks?|months?)?", re.IGNORECASE
)
MAX_DIGITS = 300


@dataclass(frozen=True)
class UnreadableCell:
    """A cell whose value is not to be had; harmless as long as nobody asks for its column.

    Attributes:
        where: row and column, in words.
        reason: what stands there and what to do.
    """

    where: str
    reason: str

    def refuse(self) -> UserError:
        """The error for whoever needs the value."""
        return UserError(f"{self.where}: {self.reason}")

    def __str__(self) -> str:
        raise self.refuse()


def clean_cell(value: Any) -> Any:
    """A raw cell as text (one spelling of blanks and Unicode), number or NaN; dates and truth values become text.

    Args:
        value: what the file's reader found.

    Returns:
        ``str``, ``int``, ``float`` (NaN for an empty cell) or an :class:`UnreadableCell` as it came.
    """
    if isinstance(value, str):
        text = clean_text(value)
        return text if text else float("nan")
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, datetime.datetime):
        is_day = value.time() == datetime.time(0) and value.tzinfo is None
        return value.date().isoformat() if is_day else value.isoformat(sep=" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return f"{value.total_seconds():g} s"
    return float("nan") if is_missing(value) else value


def clean_text(text: str) -> str:
    """Text in Unicode's composed form with single blanks, none around it."""
    single = " ".join(text.split())
    return single if single.isascii() else unicodedata.normalize("NFC", single)


def is_missing(value: Any) -> bool:
    """Whether a value is one of Python's and pandas' ways to say "none"."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


class MissingWords:
    """The words of one table that mean "not known".

    Args:
        words: the words that replace the usual ones (:data:`MISSING_WORDS`), or None for these; a number stands for
            cells of that value however they are written.
    """

    def __init__(self, words: Iterable[str] | None = None):
        words = [clean_text(word) for word in (MISSING_WORDS if words is None else words)]
        self._exact = {word for word in words if word in _EXACT_MISSING}
        self._folded = {word.casefold() for word in words if word not in _EXACT_MISSING}
        self._numbers = {number for word in words if (number := plain_number(word)) is not None}

    def __contains__(self, value: Any) -> bool:
        """Whether a clean cell is such a word."""
        if isinstance(value, str):
            is_word = value in self._exact or value.casefold() in self._folded
            return is_word or (bool(self._numbers) and plain_number(value) in self._numbers)
        return not isinstance(value, UnreadableCell) and value in self._numbers


def text_value(value: Any) -> Any:
    """A table cell as a group name: ``1.0`` and ``1`` become ``"1"``, text stays as it is, missing stays NaN.

    Raises:
        UserError: the cell cannot be read.
    """
    if isinstance(value, UnreadableCell):
        raise value.refuse()
    if is_missing(value):
        return float("nan")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_number(value: Any) -> float | None:
    """A cell as a number; None where it is none: text, dates, truth values, infinity.

    Raises:
        UserError: the cell cannot be read.
    """
    if isinstance(value, UnreadableCell):
        raise value.refuse()
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, str):
        value = int(value) if _CODE.fullmatch(value.strip()) else plain_number(value)
    if not isinstance(value, numbers.Real):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond what a float holds
        return None
    return number if math.isfinite(number) else None


@functools.lru_cache(maxsize=1 << 16)
def plain_number(text: str) -> int | float | None:
    """The number that a text is, whole numbers exactly; None for other text and for codes such as ``007``."""
    text = text.strip()
    if len(text) > MAX_DIGITS or _CODE.fullmatch(text) or not (text.isascii() and _NUMBER.fullmatch(text)):
        return None
    if text.lstrip("+-").isdecimal():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


def almost_number(value: Any) -> bool:
    """Whether a text was probably meant as a number: ``39,5``, ``1'200``, ``39 y``, ``035Y``."""
    return isinstance(value, str) and _ALMOST_NUMBER.fullmatch(value.strip()) is not None
