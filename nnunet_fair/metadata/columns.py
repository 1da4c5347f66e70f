"""One column of a patient table: numbers as people write them, one spelling of each value, codes for missing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from nnunet_fair.metadata.cells import MissingWords, UnreadableCell, is_missing, plain_number, text_value

_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_THOUSANDS_COMMA = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_YEARS = re.compile(r"(\d{1,3}(?:[.,]\d+)?)\s*(?:y|yr|yrs|years?|yo|y\.o\.|y/o)", re.IGNORECASE)
_DICOM_AGE = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_AGE_NAME = re.compile(r"(?:^|[\W_])(?:age|alter|edad|idade)(?:$|[\W_])|Age|AGE")
_MISSING_CODES = {sign * int(digit * length) for digit in "6789" for length in (1, 2, 3, 4) for sign in (1, -1)} | {-1}
_QUIET_WORDS = {"na", "n/a", "#n/a", "#na", "n.a.", "nan", "nat", "null", "<na>"}


def read_column(name: str, values: Sequence[Any], missing: MissingWords) -> tuple[list[Any], list[str]]:
    """Understand the cells of one column.

    Args:
        name: the column's name.
        values: clean cells (``cells.clean_cell``), shape (n_cases,).
        missing: words that mean "not known".

    Returns:
        The values: numbers (``int``, ``float``), text in one spelling a value, NaN where missing; and a sentence for
        everything that a reader of the table should know.
    """
    notes: list[str] = []
    words = Counter(value for value in values if isinstance(value, str) and value in missing)
    told = {word: n for word, n in words.items() if word.casefold() not in _QUIET_WORDS}
    if told:
        shown = ", ".join(f"{word!r} ({n})" for word, n in sorted(told.items()))
        notes.append(f"column {name!r}: {shown} counts as missing; `missing_values` changes the words that do")
    values = [float("nan") if value in missing else value for value in values]
    written = values
    values, notation = _numbers(name, values)
    values, spelling = _one_spelling(name, values, written)
    return values, [*notes, *notation, *spelling, *_codes(name, values)]


def _numbers(name: str, values: list[Any]) -> tuple[list[Any], list[str]]:
    """Texts that are numbers as numbers: plain ones each by itself, other notations only where the column agrees."""
    converted = [plain_number(value) if isinstance(value, str) else None for value in values]
    plain = [value if number is None else number for value, number in zip(values, converted, strict=True)]
    texts = [value for value in plain if isinstance(value, str)]
    if not texts:
        return plain, []
    for matches, convert, what in (
        (_is_decimal_comma(texts, values), _from_decimal_comma, "decimal comma"),
        (_is_thousands_comma(texts), _from_thousands_comma, "commas between thousands"),
        (_is_age(name, texts), _years, "age in years"),
    ):
        if matches:
            numbers = [convert(value) if isinstance(value, str) else value for value in plain]
            first, number = texts[0], convert(texts[0])
            return numbers, [f"column {name!r}: {first!r} is read as {number:g} ({what})"]
    return plain, []


def _is_decimal_comma(texts: list[str], values: list[Any]) -> bool:
    """Every text is a number with a decimal comma, one of them beyond doubt, and no point stands in another value."""
    has_points = any(isinstance(value, float) and not value.is_integer() for value in values if not is_missing(value))
    has_points |= any(isinstance(value, str) and "." in value and "," not in value for value in values)
    return (
        all(_DECIMAL_COMMA.fullmatch(text) for text in texts)
        and not all(_THOUSANDS_COMMA.fullmatch(text) for text in texts)
        and not has_points
    )


def _is_thousands_comma(texts: list[str]) -> bool:
    """Every text is a number with commas between its thousands, one of them beyond doubt."""
    sure = [text for text in texts if text.count(",") > 1 or "." in text]
    return bool(sure) and all(_THOUSANDS_COMMA.fullmatch(text) for text in texts)


def _is_age(name: str, texts: list[str]) -> bool:
    """Every text is an age: ``39 y``, or DICOM's ``035Y``, ``018M``; in a column that is called so, or only years."""
    if all(_DICOM_AGE.fullmatch(text) for text in texts):
        return bool(_AGE_NAME.search(name)) or all(text.endswith("Y") for text in texts)
    return all(_YEARS.fullmatch(text) and not re.search(r",\d{3}\b", text) for text in texts)


def _from_decimal_comma(text: str) -> float:
    return float(text.replace(".", "").replace(",", "."))


def _from_thousands_comma(text: str) -> float:
    return float(text.replace(",", ""))


def _years(text: str) -> float:
    if match := _DICOM_AGE.fullmatch(text):
        return int(match[1]) / _PER_YEAR[match[2]]
    match = _YEARS.fullmatch(text)
    return float(match[1].replace(",", ".")) if match else float("nan")


def _one_spelling(name: str, values: list[Any], written: list[Any]) -> tuple[list[Any], list[str]]:
    """Each value in its most frequent spelling: ``F`` and ``f``, ``1``, ``1.0`` and ``01`` are one value."""
    spellings: dict[Any, Counter[str]] = {}
    keys: list[tuple[str, str] | None] = []
    known: dict[Any, tuple[str, str]] = {}  # 1 and 1.0 share an entry, and have one key
    for value, text in zip(values, written, strict=True):
        key = None
        if not is_missing(value) and not isinstance(value, UnreadableCell):
            key = known.get(value) or known.setdefault(value, same_value(value))
        keys.append(key)
        if key is not None:
            spellings.setdefault(key, Counter())[text if isinstance(text, str) else text_value(text)] += 1
    several = {key: counts for key, counts in spellings.items() if len(counts) > 1}
    chosen = {key: _chosen(key, counts) for key, counts in several.items()}
    pairs = [
        f"{' and '.join(repr(text) for text in sorted(counts))} are one value, {text_value(chosen[key])!r}"
        for key, counts in several.items()
    ]
    if not pairs:
        return values, []
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    unified = [value if key is None else chosen.get(key, value) for key, value in zip(keys, values, strict=True)]
    return unified, [f"column {name!r}: {'; '.join(pairs[:3])}{more}"]


def same_value(value: Any) -> tuple[str, str]:
    """What two spellings of one value have in common: the number, or the text in lower case."""
    text = value if isinstance(value, str) else text_value(value)
    digits = text.lstrip("+-")
    if digits.isascii() and digits.isdecimal():
        stripped = digits.lstrip("0") or "0"
        return "number", ("-" if text.startswith("-") and stripped != "0" else "") + stripped
    if (number := plain_number(text)) is not None:
        return "number", text_value(float(number))
    return "text", text.casefold()


def _chosen(key: tuple[str, str], counts: Counter[str]) -> Any:
    """The most frequent spelling, the first in the alphabet of equally frequent ones; a number as itself."""
    if key[0] == "number":
        return plain_number(key[1])
    return min(counts, key=lambda text: (-counts[text], text))


def _codes(name: str, values: list[Any]) -> list[str]:
    """Numbers such as 99 or -9 that stand far outside the rest and may be codes for missing."""
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and not is_missing(v) and abs(v) < 1e300]
    notes = []
    for outermost in (max, min):
        rest = numbers
        value = outermost(numbers, default=math.nan)
        if value in _MISSING_CODES:
            rest = [number for number in numbers if number != value]
        if not rest or rest is numbers:
            continue
        low, high = min(rest), max(rest)
        if min(abs(value - low), abs(value - high)) > max(0.25 * (high - low), 1.0):
            n = len(numbers) - len(rest)
            notes.append(
                f"column {name!r}: {value:g} ({n} {'case' if n == 1 else 'cases'}) stands far outside the rest "
                f"({low:g} to {high:g}); if it is a code for missing, name it in `missing_values`"
            )
    return notes
