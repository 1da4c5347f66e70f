"""The one strict reader of patient tables: CSV, TSV, XLSX or JSON, one row a case, found by case ID.

It understands a table or refuses it with row, column, value and remedy: no patient gets another patient's value, and
nothing is lost without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import MissingWords, UnreadableCell, clean_cell, is_missing, text_value
from nnunet_fair.metadata.columns import read_column
from nnunet_fair.metadata.json_records import read_json_records
from nnunet_fair.metadata.legend import find_legends
from nnunet_fair.metadata.raw_table import ID_COLUMNS, HeaderSearch, RawTable, column_key
from nnunet_fair.metadata.text_table import USUAL_SEPARATOR, read_text_table
from nnunet_fair.settings_record import nearest_hint


@dataclass(frozen=True)
class CaseTable:
    """A patient table looked up by case ID.

    Attributes:
        frame: one row a case, indexed by case ID (``str``); numbers (``int``, ``float``) and text in one spelling a
            value, NaN where missing; a cell that cannot be read is an ``UnreadableCell``, which refuses when its value
            is asked for.
        n_without_id: rows that were dropped because they carry no ID (summary rows, empty lines).
        id_column: the column the IDs came from; several are joined by `` + ``.
        notes: what had to be understood to read the table.
        column_notes: what a user of a column should know, by column.
    """

    frame: pd.DataFrame
    n_without_id: int
    id_column: str
    notes: tuple[str, ...] = ()
    column_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def notes_on(self, columns: Iterable[str]) -> list[str]:
        """What was understood in the whole table and in these columns."""
        return [*self.notes, *(note for column in dict.fromkeys(columns) for note in self.column_notes.get(column, ()))]


@dataclass(frozen=True)
class TableReading:
    """How a patient table is to be read, where it does not speak for itself; see :func:`read_case_table`."""

    id_column: str | Sequence[str] | None = None
    id_join: str = "_"
    sheet: str | None = None
    header_row: int | None = None
    fill_merged: bool = False
    missing_values: Sequence[str] | None = None
    decode: bool = False

    def read(self, path: str | os.PathLike) -> CaseTable:
        """Read a table so."""
        return read_case_table(
            path,
            self.id_column,
            id_join=self.id_join,
            sheet=self.sheet,
            header_row=self.header_row,
            fill_merged=self.fill_merged,
            missing_values=self.missing_values,
            decode=self.decode,
        )


def read_case_table(
    path: str | os.PathLike,
    id_column: str | Sequence[str] | None = None,
    *,
    id_join: str = "_",
    sheet: str | None = None,
    header_row: int | None = None,
    fill_merged: bool = False,
    missing_values: Sequence[str] | None = None,
    decode: bool = False,
) -> CaseTable:
    """Read a patient table.

    Args:
        path: a ``.csv``, ``.tsv`` or ``.txt`` file (comma, semicolon, tab or bar), an ``.xlsx`` workbook or a ``.json``
            file (a list of records, or one record by case ID).
        id_column: the column that holds the case IDs, or several whose values are joined; looked for by the usual names
            (``raw_table.ID_COLUMNS``) when None.
        id_join: what stands between the parts of a joined ID.
        sheet: name or number of the workbook's sheet; found where only one can be meant when None.
        header_row: number of the row with the columns' names; the first row that names the ID column when None.
        fill_merged: give merged cells' values to every row they cover.
        missing_values: the words and numbers that mean "not known", in place of ``cells.MISSING_WORDS``.
        decode: put what a legend in the table says in place of its codes (``0 = pre, 1 = post``).

    Returns:
        The table; rows without an ID are dropped and counted.

    Raises:
        UserError: no such file, a format or content that cannot be understood, no ID column, no row left, or an ID that
            occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no table at {path}; give a .csv, .tsv, .xlsx or .json file")
    asked = (id_column,) if isinstance(id_column, str) else tuple(id_column) if id_column else None
    missing = MissingWords(missing_values)
    search = HeaderSearch(asked, header_row)
    suffix = path.suffix.lower()
    if suffix != ".xlsx" and (sheet is not None or fill_merged):
        raise UserError(f"{path} is no workbook: `sheet` and `fill_merged` belong to .xlsx")
    if suffix in USUAL_SEPARATOR:
        raw = read_text_table(path, search)
    elif suffix == ".xlsx":
        from nnunet_fair.metadata.workbook import read_workbook

        raw = read_workbook(path, search, missing, sheet=sheet, fill_merged=fill_merged)
    elif suffix == ".json":
        raw = read_json_records(path)
    else:
        raise UserError(f"{path} is neither .csv, .tsv, .txt, .xlsx nor .json; save the table in one of these formats")
    return _case_table(raw, asked, id_join, missing, decode=decode)


def _case_table(
    raw: RawTable, asked: tuple[str, ...] | None, id_join: str, missing: MissingWords, *, decode: bool
) -> CaseTable:
    """Columns and IDs of what a file holds."""
    columns, notes = _columns(raw)
    parts = find_id_columns(columns, asked, where=raw.where)
    numbers = [number for number, _ in raw.rows]
    ids, n_without_id = _ids(raw, columns, parts, id_join, missing)
    named = [position for position, case_id in enumerate(ids) if case_id is not None]
    id_name = " + ".join(parts)
    if not named:
        raise UserError(f"{raw.where} has no {raw.row_word} with an ID in column {id_name!r}; it needs one row a case")
    _refuse_repeated([(ids[position], numbers[position]) for position in named], raw, id_name)
    legends = find_legends(columns, ids, numbers)
    values: dict[str, list[Any]] = {}
    column_notes: dict[str, tuple[str, ...]] = {}
    for name, cells in columns.items():
        if len(parts) == 1 and name == parts[0]:
            continue
        of_cases = [cells[position] for position in named]
        of_legend = []
        if (legend := legends.get(name)) is not None:
            if decode:
                of_cases = legend.decoded(of_cases, [numbers[position] for position in named], raw.where)
            else:
                of_legend = [legend.note(of_cases, missing)]
        values[name], told = read_column(name, of_cases, missing)
        column_notes[name] = (*told, *of_legend)
    index = pd.Index([ids[position] for position in named], name="case_id", dtype=object)
    frame = pd.DataFrame(
        {name: pd.Series(cells, index=index, dtype=object) for name, cells in values.items()}, index=index
    )
    return CaseTable(frame.astype(object), n_without_id, id_name, tuple(notes), column_notes)


def _columns(raw: RawTable) -> tuple[dict[str, list[Any]], list[str]]:
    """The clean cells of each column that has a name, and what was left out."""
    notes = [f"{raw.where}: {note}" for note in raw.notes]
    places: dict[str, list[int]] = {}
    for position, name in enumerate(raw.names):
        if not _is_text(name):
            raise UserError(f"{raw.where}: the name of column {position + 1} holds half a character; mend it")
        places.setdefault(name, []).append(position)
    unnamed = places.pop("", [])
    repeated = next((name for name, positions in places.items() if len(positions) > 1), None)
    if repeated is not None:
        which = " and ".join(str(position + 1) for position in places[repeated])
        raise UserError(
            f"{raw.where}: column {repeated!r} occurs more than once (columns {which}); give every column its own name"
        )
    columns = {}
    for name, (position,) in places.items():
        columns[name] = [_readable(clean_cell(cells[position]), number, name, raw) for number, cells in raw.rows]
    lost = [position + 1 for position in unnamed if any(not is_missing(clean_cell(c[position])) for _, c in raw.rows)]
    if lost:
        which = f"column {lost[0]} has" if len(lost) == 1 else f"columns {', '.join(map(str, lost))} have"
        notes.append(f"{raw.where}: {which} no name and {'was' if len(lost) == 1 else 'were'} left out")
    return columns, notes


def _readable(value: Any, number: int, name: str, raw: RawTable) -> Any:
    """The cell, refused where its text is no text (half a character out of a damaged file)."""
    if isinstance(value, str) and not _is_text(value):
        raise UserError(f"{raw.where}: {raw.row_word} {number}, column {name!r} holds half a character; mend that cell")
    return value


def _is_text(text: str) -> bool:
    """Whether a text holds no half of a character that is written in two (a surrogate), which nothing can print."""
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def find_id_columns(
    columns: Mapping[str, Sequence[Any]], asked: tuple[str, ...] | None, *, where: str
) -> tuple[str, ...]:
    """The ID columns among a table's columns.

    Args:
        columns: the cells of each column.
        asked: the names asked for (upper and lower case may differ), or None to look for the usual names; of several
            the first whose values do not repeat is taken (a table of visits has a patient column as well).
        where: the table's name for the error message.

    Raises:
        UserError: no such column; the message names the nearest one.
    """
    by_key: dict[str, str] = {}
    for column in columns:
        by_key.setdefault(column_key(column), column)
    if asked is None:
        usual = list(dict.fromkeys(by_key[column_key(name)] for name in ID_COLUMNS if column_key(name) in by_key))
        if usual:
            return (next((column for column in usual if not _repeats(columns[column])), usual[0]),)
        raise UserError(
            f"{where} has no column with one of the usual ID names ({', '.join(ID_COLUMNS[:10])}); found "
            f"{_listed(list(columns))}; name the ID column with `id_column`"
        )
    found = []
    for name in asked:
        if name not in columns and column_key(name) not in by_key:
            raise UserError(
                f"{where} has no ID column {name!r}{nearest_hint(name, columns)}; found {_listed(list(columns))}"
            )
        found.append(name if name in columns else by_key[column_key(name)])
    return tuple(found)


def _repeats(cells: Sequence[Any]) -> bool:
    texts = [str(text_value(cell)) for cell in cells if not is_missing(cell) and not isinstance(cell, UnreadableCell)]
    return len(set(texts)) < len(texts)


def _ids(
    raw: RawTable,
    columns: Mapping[str, Sequence[Any]],
    parts: tuple[str, ...],
    id_join: str,
    missing: MissingWords,
) -> tuple[list[str | None], int]:
    """The ID of each row, None where it has none, and how many have none."""
    ids: list[str | None] = []
    for position in range(len(raw.rows)):
        # Spreadsheets turn the ID 1001 into the number 1001.0.
        texts = [text_value(columns[part][position]) for part in parts]
        known = [isinstance(text, str) and text not in missing for text in texts]
        ids.append(id_join.join(texts) if all(known) else None)
    return ids, ids.count(None)


def _refuse_repeated(ids: Sequence[tuple[Any, int]], raw: RawTable, id_name: str) -> None:
    rows: dict[str, list[int]] = {}
    for case_id, number in ids:
        rows.setdefault(case_id, []).append(number)
    repeated = [case_id for case_id, numbers in rows.items() if len(numbers) > 1]
    if not repeated:
        return
    shown = ", ".join(map(repr, repeated[:3])) + (f" and {len(repeated) - 3} more" * (len(repeated) > 3))
    where = " and ".join(map(str, rows[repeated[0]][:3]))
    raise UserError(
        f"{raw.where}: ID {shown} occurs more than once in column {id_name!r} ({raw.row_word}s {where}); keep one "
        "row a case, or name the columns that tell the rows apart with `id_column` (several are joined)"
    )


def _listed(columns: list[str], most: int = 12) -> str:
    """Column names for a message, the first ``most`` of them."""
    return ", ".join(map(repr, columns[:most])) + (", …" if len(columns) > most else "")
