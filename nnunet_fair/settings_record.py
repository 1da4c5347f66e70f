"""Settings as one frozen dataclass: read from a mapping, every value checked, one wording for what is wrong.

A record calls the checks in its ``__post_init__``, so that settings are checked wherever they come from: a file, the
command line or Python. Messages name a setting in backticks; the command line puts its option there.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

from nnunet_fair.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known name nearest to ``name``, or nothing where none is near."""
    lowered = {entry.lower(): entry for entry in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f" (did you mean {lowered[close[0]]!r}?)" if close else ""


def read_record(record: type[Record], content: Any, *, where: str, defaults: Mapping[str, Any] | None = None) -> Record:
    """Read settings from the parsed content of a file.

    Args:
        record: the frozen dataclass of the settings.
        content: a mapping from a setting's name to its value; lists become tuples, lists inside lists too.
        where: what the settings stand in, to begin messages with (a file's path; "the plans' section …").
        defaults: what replaces the record's own defaults; ``content`` wins over both.

    Returns:
        The record.

    Raises:
        UserError: no mapping, an unknown setting (the nearest known one is named), a missing one, or a value that the
            record refuses.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{where} must be an object of settings, found {content!r}")
    known = [field.name for field in fields(record) if field.init]
    for key in content:
        if key not in known:
            raise UserError(
                f"{where}: unknown setting {key!r}{nearest_hint(str(key), known)}; known are {', '.join(known)}"
            )
    values = {**(defaults or {}), **{key: _as_tuples(value) for key, value in content.items()}}
    for field in fields(record):
        needed = field.init and field.default is MISSING and field.default_factory is MISSING
        if needed and field.name not in values:
            raise UserError(f"{where}: the setting {field.name!r} is missing")
    try:
        return record(**values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:  # a value of another kind altogether
        raise UserError(f"{where}: a setting has a value of another kind than expected ({error})") from error


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(entry) for entry in value) if isinstance(value, list) else value


def wrong_setting(name: str, expected: str, found: Any) -> UserError:
    """The error for a setting's wrong value, to be raised.

    Args:
        name: the setting.
        expected: what it takes, in words.
        found: its value.
    """
    return UserError(f"setting `{name}`: expected {expected}, found {found!r}")


def check_number(
    record: DataclassInstance,
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    others: Sequence[str | None] = (),
) -> None:
    """Refuse a setting that is no finite number in a range.

    Args:
        record: the settings.
        name: the setting.
        low: the smallest value.
        high: the largest value.
        low_open: whether ``low`` itself is refused.
        others: values taken instead of a number, such as None or ``"auto"``.

    Raises:
        UserError: another value.
    """
    value = getattr(record, name)
    if _is_one_of(value, others):
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not (low < value if low_open else low <= value) or not value <= high:
        raise wrong_setting(name, f"a number{_range_in_words(low, high, low_open)}{_or(others)}", value)


def check_integer(
    record: DataclassInstance,
    name: str,
    *,
    low: int,
    high: float = math.inf,
    others: Sequence[str | None] = (),
) -> None:
    """Refuse a setting that is no whole number in a range.

    Args:
        record: the settings.
        name: the setting.
        low: the smallest value.
        high: the largest value.
        others: values taken instead of a number, such as None.

    Raises:
        UserError: another value; 2.0 and true are no whole numbers.
    """
    value = getattr(record, name)
    if _is_one_of(value, others):
        return
    if not is_integer(value) or not low <= value <= high:
        raise wrong_setting(name, f"a whole number{_range_in_words(low, high, False)}{_or(others)}", value)


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number by its type; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_choice(record: DataclassInstance, name: str, choices: Sequence[str | int]) -> None:
    """Refuse a setting that is none of a few values.

    Raises:
        UserError: another value.
    """
    value = getattr(record, name)
    if not _is_one_of(value, choices):
        words = [str(choice) for choice in choices]
        listed = words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
        raise wrong_setting(name, listed, value)


def check_bool(record: DataclassInstance, name: str) -> None:
    """Refuse a setting that is neither true nor false.

    Raises:
        UserError: another value.
    """
    value = getattr(record, name)
    if not isinstance(value, bool):
        raise wrong_setting(name, "true or false", value)


def check_left_alone(record: DataclassInstance, name: str, why: str) -> None:
    """Refuse a setting that was changed although it has no effect together with the others.

    Args:
        record: the settings.
        name: the setting.
        why: when it has one, in words ("only with boxes").

    Raises:
        UserError: its value is not its default.
    """
    value = getattr(record, name)
    default = next(field.default for field in fields(record) if field.name == name)
    if value != default:
        raise UserError(f"setting `{name}` = {value!r} has no effect here: {why}")


def _is_one_of(value: Any, choices: Sequence[str | int | None]) -> bool:
    # By type as well: 1 == True in Python, and a list is no key.
    return any(type(value) is type(choice) and value == choice for choice in choices)


def _range_in_words(low: float, high: float, low_open: bool) -> str:
    if low == -math.inf:
        return "" if high == math.inf else f" of at most {high:g}"
    if high == math.inf:
        return f" above {low:g}" if low_open else f" of {low:g} or more"
    return f" above {low:g} and at most {high:g}" if low_open else f" from {low:g} to {high:g}"


def _or(others: Sequence[str | None]) -> str:
    return "".join(" or " + ("null" if other is None else other) for other in others)
