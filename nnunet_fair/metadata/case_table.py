"""Reading a table of patients as people keep them: CSV, TSV, XLSX or JSON, one row a case, found by case ID."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.settings_record import nearest_hint

ID_COLUMNS = ("case_id", "patient_id", "case", "patient", "subject_id", "subject", "pid", "id")
"""Names an ID column is looked for by, in this order, when none is named (upper and lower case alike)."""

MISSING_MARKERS = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A", "#NA")
"""Cell contents that mean "not known" in a raw table; every other text is a value."""

MAMA_MIA_SHEET = "dataset_info"


@dataclass(frozen=True)
class CaseTable:
    """A patient table looked up by case ID.

    Attributes:
        frame: one row a case, indexed by case ID (``str``); values as the table has them, stripped of surrounding
            blanks, NaN where missing.
        n_without_id: rows that were dropped because they carry no ID (summary rows, empty lines).
        id_column: the column the IDs came from.
    """

    frame: pd.DataFrame
    n_without_id: int
    id_column: str


def read_case_table(path: str | os.PathLike, id_column: str | None = None) -> CaseTable:
    """Read a patient table.

    Args:
        path: a ``.csv`` (comma or semicolon), ``.tsv``, ``.txt`` (tab), ``.xlsx`` (sheet ``dataset_info`` where there
            is one, else the first sheet) or ``.json`` file (a list of records, or one record by case ID).
        id_column: the column that holds the case IDs; looked for by the usual names (``ID_COLUMNS``) when None.

    Returns:
        The table; rows without an ID are dropped and counted.

    Raises:
        UserError: no such file, a format or content that cannot be read, no ID column, no row left, or an ID that
            occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no table at {path}; give a .csv, .tsv, .xlsx or .json file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path} is neither .csv, .tsv, .txt, .xlsx nor .json; save the table in one of these formats")
    try:
        frame = reader(path)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); save the table as UTF-8 or as .xlsx") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning, json.JSONDecodeError) as error:
        raise UserError(f"{path} cannot be read as {path.suffix.lower()} ({error}); save the table again") from error
    frame.columns = [str(column).strip() for column in frame.columns]
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise UserError(f"{path}: column {repeated[0]!r} occurs more than once; give every column its own name")
    frame = frame.astype(object).apply(lambda values: values.map(_clean_value))
    column = find_id_column(frame, id_column, where=str(path))
    # Spreadsheets turn the ID 1001 into the number 1001.0.
    ids = frame.pop(column).map(text_value)
    named = ids.notna()
    frame, ids = frame[named], ids[named].astype(str)
    if frame.empty:
        raise UserError(f"{path} has no row with an ID in column {column!r}; it needs one row a case")
    duplicated = ids[ids.duplicated()].unique()
    if len(duplicated):
        shown = ", ".join(map(repr, duplicated[:3])) + (f" and {len(duplicated) - 3} more" * (len(duplicated) > 3))
        raise UserError(f"{path}: ID {shown} occurs more than once in column {column!r}; keep one row a case")
    frame.index = pd.Index(ids, name="case_id", dtype=object)
    return CaseTable(frame=frame, n_without_id=int((~named).sum()), id_column=column)


def find_id_column(frame: pd.DataFrame, id_column: str | None, *, where: str) -> str:
    """The ID column among a table's columns.

    Args:
        frame: the table.
        id_column: the name asked for (upper and lower case may differ), or None to look for the usual names; of several
            the first whose values do not repeat is taken (a table of visits has a patient column as well).
        where: the table's name for the error message.

    Raises:
        UserError: no such column; the message names the nearest one.
    """
    columns = list(frame.columns)
    by_lower = {column.lower(): column for column in reversed(columns)}
    if id_column is None:
        usual = [by_lower[name] for name in ID_COLUMNS if name in by_lower]
        if usual:
            return next((column for column in usual if not frame[column].dropna().duplicated().any()), usual[0])
        raise UserError(
            f"{where} has no column with one of the usual ID names ({', '.join(ID_COLUMNS)}); found "
            f"{_listed(columns)}; name the ID column with --id-column"
        )
    if id_column in columns:
        return id_column
    if id_column.lower() in by_lower:
        return by_lower[id_column.lower()]
    raise UserError(
        f"{where} has no ID column {id_column!r}{nearest_hint(id_column, columns)}; found {_listed(columns)}"
    )


def text_value(value: Any) -> Any:
    """A table cell as a group name: ``1.0`` and ``1`` become ``"1"``, text stays as it is, missing stays NaN."""
    if _is_missing(value):
        return float("nan")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _listed(columns: list[str], most: int = 12) -> str:
    """Column names for a message, the first ``most`` of them."""
    return ", ".join(map(repr, columns[:most])) + (", …" if len(columns) > most else "")


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


def _clean_value(value: Any) -> Any:
    """A cell without surrounding blanks; a missing marker becomes NaN."""
    if isinstance(value, str):
        value = value.strip()
        return float("nan") if value in MISSING_MARKERS else value
    return float("nan") if _is_missing(value) else value


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    return _read_delimited(path, ";" if header.count(";") > header.count(",") else ",")


def _read_tsv(path: Path) -> pd.DataFrame:
    return _read_delimited(path, "\t")


def _read_delimited(path: Path, delimiter: str) -> pd.DataFrame:
    # index_col=False: rows longer than the header must not turn the first column into an index; they are an error,
    # since their values would stand in the wrong columns (pandas only warns and cuts them).
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)


def _read_xlsx(path: Path) -> pd.DataFrame:
    try:
        with pd.ExcelFile(path, engine="openpyxl") as workbook:
            sheet: Hashable = MAMA_MIA_SHEET if MAMA_MIA_SHEET in workbook.sheet_names else 0
            return pd.read_excel(workbook, sheet_name=sheet, dtype=object, keep_default_na=False)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} cannot be opened as a workbook ({error}); save it again as .xlsx") from error


def _read_json(path: Path) -> pd.DataFrame:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, dict) and all(isinstance(record, dict) for record in content.values()):
        content = [{"case_id": key, **record} for key, record in content.items()]
    if not isinstance(content, list) or not content or not all(isinstance(record, dict) for record in content):
        raise UserError(f"{path} is neither a list of records nor one record by case ID; write it as one of the two")
    return pd.DataFrame(content, dtype=object)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".txt": _read_tsv,
    ".xlsx": _read_xlsx,
    ".json": _read_json,
}
