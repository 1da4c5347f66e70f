"""A table as its file has it: names of columns and rows of cells, and which row holds the names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import clean_text, is_missing

ID_COLUMNS = (
    *("case_id", "image_id", "participant_id", "patient_id", "case", "patient", "subject_id", "subject", "pid", "id"),
    *("case_identifier", "image", "brats_id", "brats17id", "brats18id", "brats19id", "brats20id", "brats21id"),
)
"""Names an ID column is looked for by, in this order, when none is named; upper and lower case, blanks, - and _ alike
(``Patient ID``, ``PatientID``)."""

HEADER_ROWS = 20
"""The names of the columns are looked for in so many rows."""


@dataclass(frozen=True)
class RawTable:
    """What one file, or one sheet of it, holds.

    Attributes:
        where: the file, and the sheet where it has several, for messages.
        names: the columns' names as they stand there, "" where there is none.
        rows: the number of each row in the file, and its cells, as many as there are names.
        notes: what had to be understood on the way.
        row_word: what the file's user calls a row (``row``, ``record``).
    """

    where: str
    names: tuple[str, ...]
    rows: list[tuple[int, list[Any]]]
    notes: list[str] = field(default_factory=list)
    row_word: str = "row"


@dataclass(frozen=True)
class HeaderSearch:
    """How the row with the columns' names is found.

    Attributes:
        id_columns: the ID columns asked for, or None for the usual names.
        row: number of the row in the file, from 1, or None to look for it.
    """

    id_columns: tuple[str, ...] | None = None
    row: int | None = None

    def holds_id(self, cells: Sequence[Any]) -> bool:
        """Whether a row names the ID columns."""
        names = {column_key(cell) for cell in cells if not is_missing(cell)}
        if self.id_columns is not None:
            return {column_key(name) for name in self.id_columns} <= names
        return not _USUAL.isdisjoint(names)

    def locate(self, rows: Sequence[tuple[int, Sequence[Any]]], where: str) -> int:
        """The position of the row with the names: the one asked for, else the first that names the ID, else the first.

        Args:
            rows: number in the file and cells of each row that is not empty.
            where: the table, for messages.

        Raises:
            UserError: there is no row of the number asked for, or the row found looks like a title above the names.
        """
        if self.row is not None:
            found = [position for position, (number, _) in enumerate(rows) if number == self.row]
            if not found:
                raise UserError(f"{where} has no row {self.row} with names of columns; check `header_row`")
            return found[0]
        first = rows[:HEADER_ROWS]
        position = next((k for k, (_, cells) in enumerate(first) if self.holds_id(cells)), 0)
        for number, cells in first[position + 1 : position + 4]:
            if self.id_columns is not None and self._names_usual_id(rows[position][1], cells):
                raise UserError(
                    f"{where}: row {number} looks like the names of the columns ({_first(cells)}) and row "
                    f"{rows[position][0]} like titles above them; give `header_row` {number} and the ID "
                    "column's name there"
                )
        return position

    def _names_usual_id(self, header: Sequence[Any], cells: Sequence[Any]) -> bool:
        """Whether the cell below the ID column's name is itself the usual name of an ID column."""
        wanted = {column_key(name) for name in self.id_columns or ()}
        below = [cell for name, cell in zip(header, cells, strict=False) if column_key(name) in wanted]
        return any(column_key(cell) in _USUAL for cell in below)


def column_key(name: Any) -> str:
    """A column's name without what people vary: case, blanks, hyphens and underscores."""
    return re.sub(r"[\W_]+", "", str(name)).casefold() if isinstance(name, str) else ""


def column_name(cell: Any) -> str:
    """The cell of a header as a name; "" where it is empty."""
    return "" if is_missing(cell) else clean_text(str(cell))


def titles_note(rows: Sequence[tuple[int, Sequence[Any]]], position: int) -> list[str]:
    """The sentence about rows above the names, if any."""
    if not position:
        return []
    which = f"row {rows[0][0]}" if position == 1 else f"rows {rows[0][0]} to {rows[position - 1][0]}"
    were = "was" if position == 1 else "were"
    return [f"the names of the columns stand in row {rows[position][0]}; {which} above {were} left out"]


def _first(cells: Sequence[Any], most: int = 3) -> str:
    shown = [repr(column_name(cell)) for cell in cells if not is_missing(cell)]
    return ", ".join(shown[:most]) + (", …" if len(shown) > most else "")


_USUAL = {column_key(name) for name in ID_COLUMNS}
