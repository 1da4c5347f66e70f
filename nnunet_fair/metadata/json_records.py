"""Tables kept as JSON: a list of records, or one record by case ID."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import UnreadableCell
from nnunet_fair.metadata.raw_table import RawTable
from nnunet_fair.metadata.text_table import decode

CASE_ID = "case_id"


def read_json_records(path: Path) -> RawTable:
    """Read a ``.json`` file.

    Records inside records become columns with a point between the names (``comorbidities.copd``). Records need not
    have the same names; what one lacks is missing.

    Args:
        path: the file.

    Raises:
        UserError: no JSON, a name that occurs twice in one record, or neither a list of records nor records by ID.
    """
    text, notes = decode(path)
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _record(pairs, path))
        records = _records(content, path)
        flat = [_flat(record) for record in records]
    except (json.JSONDecodeError, ValueError) as error:  # ValueError: a number of more digits than Python reads
        raise UserError(f"{path} cannot be read as JSON ({error}); save the table again") from error
    except RecursionError as error:
        raise UserError(
            f"{path} cannot be read as JSON: records are nested too deeply; save it as a list of records"
        ) from error
    names = list(dict.fromkeys(name for record in flat for name in record))
    rows = []
    for number, record in enumerate(flat, start=1):
        where = f"{path}: record {number}"
        rows.append((number, [_cell(record.get(name), f"{where}, {name!r}") for name in names]))
    return RawTable(str(path), tuple(names), rows, notes, row_word="record")


def _record(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise UserError(f"{path}: the name {twice!r} occurs more than once in one record; keep one")
    return record


def _records(content: Any, path: Path) -> list[dict[str, Any]]:
    """The records, those by case ID with the ID as ``case_id``."""
    if isinstance(content, dict) and content and all(isinstance(record, dict) for record in content.values()):
        for key, record in content.items():
            if str(record.get(CASE_ID, key)) != key:
                raise UserError(
                    f"{path}: the record of {key!r} has the {CASE_ID} {record[CASE_ID]!r}; mend one of them"
                )
        content = [{CASE_ID: key, **record} for key, record in content.items()]
    if not isinstance(content, list) or not content or not all(isinstance(record, dict) for record in content):
        raise UserError(f"{path} is neither a list of records nor one record by case ID; write it as one of the two")
    return content


def _flat(record: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        inner = _flat(value, f"{before}{name}.") if isinstance(value, dict) and value else {f"{before}{name}": value}
        for key, cell in inner.items():
            if key in flat:
                raise UserError(f"two values are called {key!r} in one record; rename one")
            flat[key] = cell
    return flat


def _cell(value: Any, where: str) -> Any:
    return UnreadableCell(where, "a list, which is no value of one case") if isinstance(value, (list, dict)) else value
