"""Legends: what the numbers of a column stand for, where the table says so in a row of its own or in the name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_fair.metadata.cells import MissingWords, UnreadableCell, as_number, is_missing

_CODE = r"[-+]?\d+(?:\.\d+)?"
_CODE_FIRST = re.compile(rf"(?<![\w.])({_CODE})\s*=\s*(.*?)\s*(?=[,;\s]+{_CODE}\s*=|$)")
_MEANING_FIRST = re.compile(rf"([^=,;]*[^\W\d_][^=,;]*?)\s*=\s*({_CODE})(?=\s*(?:[,;]|$))")
_IN_BRACKETS = re.compile(r"[{(\[]([^{}()\[\]]*=[^{}()\[\]]*)[})\]]")


@dataclass(frozen=True)
class Legend:
    """What the codes of one column mean.

    Attributes:
        column: the column's name.
        where: where the legend stands, in words (``row 3``, ``its name``).
        meanings: the meaning of each code.
    """

    column: str
    where: str
    meanings: Mapping[float, str]

    def __str__(self) -> str:
        return ", ".join(f"{code:g} = {meaning}" for code, meaning in self.meanings.items())

    def note(self, values: Sequence[Any], missing: MissingWords) -> str:
        """The sentence for a reader of the table whose codes stay codes.

        Args:
            values: the column's clean cells.
            missing: words that mean "not known".
        """
        codes = {as_number(value) for value in values if not isinstance(value, UnreadableCell)}
        unknown = [f"{code:g}" for code, meaning in self.meanings.items() if meaning in missing and code in codes]
        but = f", and {' and '.join(unknown)}, which means not known, is a value" if unknown else ""
        return (
            f"column {self.column!r}: {self.where} says {self}; the codes stay as they are{but}: `decode` puts the "
            "meanings in their place"
        )

    def decoded(self, values: Sequence[Any], numbers: Sequence[int], where: str) -> list[Any]:
        """The cells with the meanings in place of the codes; one that the legend does not name cannot be read.

        Args:
            values: the column's clean cells.
            numbers: the number of each cell's row in the file.
            where: the table, for messages.
        """
        found: list[Any] = []
        for value, number in zip(values, numbers, strict=True):
            if isinstance(value, UnreadableCell) or is_missing(value):
                found.append(value)
                continue
            code = as_number(value)
            if code is not None and code in self.meanings:
                found.append(self.meanings[code])
            elif value in self.meanings.values():
                found.append(value)
            else:
                place = f"{where}: row {number}, column {self.column!r}"
                reason = f"{value!r} is not in the legend ({self}); mend the cell or the legend"
                found.append(UnreadableCell(place, reason))
        return found


def parse_legend(text: Any) -> dict[float, str]:
    """The meaning of each code in a text such as ``{0 = pre, 1 = post}`` or ``GE=0, Siemens=2``.

    Args:
        text: a clean cell.

    Returns:
        Two or more meanings by code; empty where the text is no legend.
    """
    if not isinstance(text, str) or "=" not in text:
        return {}
    bracketed = _IN_BRACKETS.search(text)
    inside = (bracketed.group(1) if bracketed else text).strip()
    for pattern, code_at in ((_CODE_FIRST, 1), (_MEANING_FIRST, 2)):
        pairs = [(match.group(code_at), match.group(3 - code_at).strip(" ,;")) for match in pattern.finditer(inside)]
        meanings = {float(code): meaning for code, meaning in pairs if meaning}
        # Every "=" must be understood, and no code may have two meanings.
        if len(meanings) > 1 and len(meanings) == len(pairs) == inside.count("="):
            return meanings
    return {}


def find_legends(
    columns: Mapping[str, Sequence[Any]], ids: Sequence[str | None], numbers: Sequence[int]
) -> dict[str, Legend]:
    """The legends of a table: in rows without an ID above the first patient, or in a column's name.

    Args:
        columns: the clean cells of each column.
        ids: the ID of each row, None where it has none.
        numbers: the number of each row in the file.
    """
    above = next((position for position, case_id in enumerate(ids) if case_id is not None), 0)
    legends = {}
    for name, cells in columns.items():
        places = [("its name", name), *((f"row {numbers[k]}", cells[k]) for k in range(above))]
        for where, text in places:
            meanings = parse_legend(text)
            if meanings:
                legends[name] = Legend(name, where, meanings)
    return legends
