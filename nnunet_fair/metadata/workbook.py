"""Tables kept in an Excel workbook: which sheet, merged cells, formulas, dates, errors, and how large it may be."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from openpyxl import load_workbook
from openpyxl.cell.read_only import EmptyCell
from openpyxl.utils.cell import coordinate_to_tuple, get_column_letter, range_boundaries

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import MissingWords, UnreadableCell, is_missing
from nnunet_fair.metadata.raw_table import HEADER_ROWS, HeaderSearch, RawTable, column_name, titles_note

MAMA_MIA_SHEET = "dataset_info"
MAX_UNPACKED = 300 * 2**20
MAX_CELLS = 5_000_000
MAX_COLUMNS = 5_000
_OLE = b"\xd0\xcf\x11\xe0"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_NOT_AVAILABLE = "#N/A"


@dataclass(frozen=True)
class _Sheet:
    """What a sheet's part says beside the values.

    Attributes:
        merged: (first row, first column, last row, last column) of each merged range, from 1.
        without_value: (row, column) of formulas that no program has computed.
    """

    merged: tuple[tuple[int, int, int, int], ...]
    without_value: frozenset[tuple[int, int]]


def read_workbook(
    path: Path, search: HeaderSearch, missing: MissingWords, *, sheet: str | None = None, fill_merged: bool = False
) -> RawTable:
    """Read one sheet of an ``.xlsx`` file.

    Args:
        path: the file.
        search: how the row with the names is found.
        missing: words that mean "not known".
        sheet: the sheet's name or its number from 1; None takes ``dataset_info``, or the only visible sheet with cells,
            or the only one that names the ID column.
        fill_merged: give the value of merged cells to every row they cover; otherwise only the first row has it.

    Returns:
        The table; formulas without a value and Excel's errors are :class:`UnreadableCell`.

    Raises:
        UserError: no workbook, too large, or it is not clear which sheet or row is meant.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(path, archive)
            parts = _sheet_parts(archive)
            workbook = load_workbook(path, read_only=True, data_only=True)
            try:
                name, content, numbered = _choose_sheet(path, workbook, parts, archive, search, sheet)
            finally:
                workbook.close()
    except UserError:
        raise
    except Exception as error:  # a damaged workbook makes openpyxl, zipfile and the XML parser raise anything
        raise UserError(
            f"{path} cannot be opened as a workbook ({_reason(path, error)}); save it again as .xlsx"
        ) from error
    where = f"{path}, sheet {name!r}" if len(parts) > 1 else str(path)
    notes = [f"sheet {name!r} of {len(parts)} is read"] if len(parts) > 1 and name != MAMA_MIA_SHEET else []
    if not numbered:
        raise UserError(f"{where} is empty; `sheet` names another")
    header = search.locate(numbered, where)
    names = [column_name(cell) for cell in numbered[header][1]]
    rows, merged_notes = _fill_merged(numbered[header + 1 :], content.merged, names, fill_merged=fill_merged)
    width = max([len(names), *(len(cells) for _, cells in rows)])
    names += [""] * (width - len(names))
    for number, cells in rows:
        cells += [None] * (width - len(cells))
        for column, value in enumerate(cells):
            if not ((number, column + 1) in content.without_value or isinstance(value, _ExcelError)):
                continue
            place = f"{where}: row {number}, column {names[column] or get_column_letter(column + 1)!r}"
            if (number, column + 1) in content.without_value:
                reason = "a formula without a value; open the workbook in Excel or LibreOffice, save it, and try again"
                cells[column] = UnreadableCell(place, reason)
            else:
                cells[column] = UnreadableCell(place, f"Excel's error {value.text}; mend the cell or empty it")
    _mark_mixed_dates(rows, names, where, missing)
    return RawTable(where, tuple(names), rows, [*notes, *titles_note(numbered, header), *merged_notes])


@dataclass(frozen=True)
class _ExcelError:
    text: str


def _check_size(path: Path, archive: zipfile.ZipFile) -> None:
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MAX_UNPACKED:
        raise UserError(
            f"{path} unpacks to {unpacked / 2**20:,.0f} MiB, more than the {MAX_UNPACKED // 2**20} MiB that are read "
            "as a table of patients; save the sheet alone, or as .csv"
        )


def _sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The part of each visible worksheet by its name, in the order of the workbook."""
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {r.get("Id"): r.get("Target", "") for r in relations if r.get("Type", "").endswith("/worksheet")}
    parts = {}
    for element in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter():
        if element.tag.endswith("}sheet") and element.get("state", "visible") == "visible":
            target = targets.get(element.get(_RELATION))
            if target:
                parts[element.get("name", "")] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return parts


def _choose_sheet(
    path: Path,
    workbook: Any,
    parts: dict[str, str],
    archive: zipfile.ZipFile,
    search: HeaderSearch,
    sheet: str | None,
) -> tuple[str, _Sheet, list[tuple[int, list[Any]]]]:
    """Name, marks and rows (number, cells) of the sheet that holds the patients."""

    def read(name: str) -> tuple[str, _Sheet, list[tuple[int, list[Any]]]]:
        marks = _scan(archive, parts[name], f"{path}, sheet {name!r}")
        return name, marks, list(_rows(workbook[name]))

    names = list(parts)
    if sheet is not None:
        if sheet in parts:
            return read(sheet)
        if sheet.isdecimal() and 1 <= int(sheet) <= len(names):
            return read(names[int(sheet) - 1])
        raise UserError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(map(repr, names))}")
    if MAMA_MIA_SHEET in parts:
        return read(MAMA_MIA_SHEET)
    sheets = [found for found in map(read, names) if found[2]]
    if len(sheets) > 1:
        with_id = [found for found in sheets if any(search.holds_id(cells) for _, cells in found[2][:HEADER_ROWS])]
        if len(with_id) != 1:
            which = "several of them name" if with_id else "none of them names"
            raise UserError(
                f"{path} has the sheets {', '.join(map(repr, names))}, and {which} an ID column; name the sheet of the "
                "patients with `sheet`, and its ID column with `id_column`"
            )
        sheets = with_id
    return sheets[0] if sheets else (names[0] if names else "", _Sheet((), frozenset()), [])


def _scan(archive: zipfile.ZipFile, part: str, where: str) -> _Sheet:
    """Read what openpyxl's fast reader leaves out, and refuse a sheet that is too large before its values are read."""
    merged, without_value = [], set()
    n_cells = 0
    with archive.open(part) as file:
        for _, element in ElementTree.iterparse(file):
            kind = element.tag.rpartition("}")[2]
            if kind == "c":
                n_cells += 1
                reference = element.get("r")
                if reference is not None and coordinate_to_tuple(reference)[1] > MAX_COLUMNS:
                    raise UserError(
                        f"{where} has a cell {reference}; at most {MAX_COLUMNS:,} columns are read: empty it"
                    )
                if n_cells > MAX_CELLS:
                    raise UserError(
                        f"{where} has more than {MAX_CELLS:,} cells, the most that is read; save less of it"
                    )
                if reference is not None and _is_without_value(element):
                    without_value.add(coordinate_to_tuple(reference))
            elif kind == "mergeCell":
                left, top, right, bottom = (bound or 0 for bound in range_boundaries(element.get("ref", "")))
                merged.append((top, left, bottom, right))
            elif kind == "row":
                element.clear()
    return _Sheet(tuple(merged), frozenset(without_value))


def _is_without_value(cell: ElementTree.Element) -> bool:
    """A formula whose result is not stored; an empty text as a result (``t="str"``) is one that is."""
    kinds = {child.tag.rpartition("}")[2]: child for child in cell}
    value = kinds.get("v")
    return "f" in kinds and cell.get("t") != "str" and (value is None or not value.text)


def _rows(sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    """Number and cells of each row with a value; trailing empty cells are cut."""
    sheet.reset_dimensions()  # the file's own claim may be far larger than what it holds
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        values = [_value(cell) for cell in cells]
        while values and (is_missing(values[-1]) or (isinstance(values[-1], str) and not values[-1].strip())):
            values.pop()
        if values:
            yield number, values


def _value(cell: Any) -> Any:
    if isinstance(cell, EmptyCell) or cell.value is None:
        return None
    if cell.data_type == "e":
        return cell.value if cell.value == _NOT_AVAILABLE else _ExcelError(str(cell.value))
    # A number shown with zeros in front (format 000) is a code such as 095.
    if (
        isinstance(cell.value, int)
        and not isinstance(cell.value, bool)
        and re.fullmatch(r"0{2,}", str(cell.number_format))
    ):
        return f"{cell.value:0{len(cell.number_format)}d}"
    return cell.value


def _fill_merged(
    rows: list[tuple[int, list[Any]]],
    merged: Sequence[tuple[int, int, int, int]],
    names: list[str],
    *,
    fill_merged: bool,
) -> tuple[list[tuple[int, list[Any]]], list[str]]:
    """Give merged cells' values to the rows below where that is asked for, and say where it is not."""
    by_number = dict(rows)
    n_filled, columns = 0, []
    for top, left, bottom, _ in sorted(merged):
        first = by_number.get(top)
        if first is None or bottom == top or left > len(first):
            continue
        columns.append(names[left - 1] if left <= len(names) else get_column_letter(left))
        for number in range(top + 1, bottom + 1):
            cells = by_number.get(number)
            if cells is not None:
                n_filled += 1
                if fill_merged:
                    cells += [None] * (left - len(cells))
                    cells[left - 1] = first[left - 1]
    if not n_filled:
        return rows, []
    shown = ", ".join(map(repr, dict.fromkeys(columns)))
    done = (
        "got the value of the first row" if fill_merged else "have no value; `fill_merged` gives them the first row's"
    )
    return rows, [
        f"merged cells in column {shown}: {n_filled} {'row' if n_filled == 1 else 'rows'} below the first {done}"
    ]


def _mark_mixed_dates(rows: list[tuple[int, list[Any]]], names: list[str], where: str, missing: MissingWords) -> None:
    """Dates among other values: Excel makes dates of texts such as 1-5, so they cannot be trusted there."""
    for column, name in enumerate(names):
        values = [cells[column] for _, cells in rows]
        dates = [hasattr(value, "isoformat") for value in values]
        others = [
            v for v, is_date in zip(values, dates, strict=True) if not is_date and isinstance(v, (str, int, float))
        ]
        if not any(dates) or all(value in missing or value == "" for value in others):
            continue
        for (number, cells), is_date in zip(rows, dates, strict=True):
            if is_date:
                reason = (
                    f"the date {cells[column].isoformat()} among values that are no dates; Excel makes dates of texts "
                    "such as 1-5: write the cell again as text"
                )
                cells[column] = UnreadableCell(f"{where}: row {number}, column {name!r}", reason)


def _reason(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        if file.read(4) == _OLE:
            return "it is protected by a password, or an old .xls"
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
