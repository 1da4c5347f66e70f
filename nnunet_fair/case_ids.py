"""Case IDs: which of two spellings belong to one case."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nnunet_fair.errors import UserError

_ENDING = re.compile(r"(?:_\d{4})?\.(?:nii|nii\.gz|nrrd|mha|mhd|gipl|png|bmp|tiff?|jpe?g|dcm|dicom|npz|b2nd)$")
_MANY = 3


@dataclass(frozen=True)
class RowMatch:
    """Which row of a table belongs to which case.

    Attributes:
        rows: ``{case_id: table_id}`` for the cases that have a row, in the order of the cases.
        notes: a sentence for each way in which IDs had to be understood.
    """

    rows: dict[str, str]
    notes: tuple[str, ...]


def match_cases(table_ids: Iterable[str], case_ids: Iterable[str]) -> dict[str, str]:
    """Find the table row (or file) of each case: by the exact ID first, else by the same ID in other spelling of case.

    Args:
        table_ids: the table's IDs, unique.
        case_ids: the dataset's case IDs, unique.

    Returns:
        ``{case_id: table_id}`` for the cases that have a row, in the order of ``case_ids``.

    Raises:
        UserError: a case fits two rows, or two cases fit one row, when upper and lower case are not distinguished.
    """
    exact, case_ids = set(table_ids), list(case_ids)
    matches = _match(exact, case_ids, folded_id, exact)
    taken: dict[str, str] = {}
    for case_id, table_id in matches.items():
        if table_id in taken:
            raise _two_cases(taken[table_id], case_id, table_id)
        taken[table_id] = case_id
    return matches


def match_rows(table_ids: Iterable[str], case_ids: Iterable[str]) -> RowMatch:
    """Find the row of each case in a table that people keep, where IDs may have lost or gained something.

    The exact ID comes first, then upper and lower case alike (:func:`match_cases`). What is left is matched without
    endings of files (``.nii.gz``, ``_0000.nii.gz``, ``.jpg``), ``sub-`` and ``.0`` behind a number, and last without
    leading zeros, each only where one case and one row are meant.

    Args:
        table_ids: the table's IDs, unique.
        case_ids: the dataset's case IDs, unique.

    Returns:
        The rows, and what had to be understood.

    Raises:
        UserError: a case fits two rows, or two cases fit one row.
    """
    table_ids, case_ids = list(table_ids), list(case_ids)
    found = match_cases(table_ids, case_ids)
    notes = []
    for key, what in ((bare_id, "endings of files, sub- or .0"), (unpadded_id, "leading zeros")):
        left = [case_id for case_id in case_ids if case_id not in found]
        free = set(table_ids) - set(found.values())
        more = _match(free, left, key, set())
        taken: dict[str, str] = {}
        for case_id, table_id in more.items():
            if table_id in taken:
                raise _two_cases(taken[table_id], case_id, table_id)
            taken[table_id] = case_id
        if more:
            pairs = ", ".join(f"{row!r} is {case_id!r}" for case_id, row in list(more.items())[:_MANY])
            n = len(more)
            notes.append(
                f"{n} {'case' if n == 1 else 'cases'} matched without {what}: {pairs}"
                + (f" and {n - _MANY} more" if n > _MANY else "")
            )
        found |= more
    return RowMatch({case_id: found[case_id] for case_id in case_ids if case_id in found}, tuple(notes))


def folded_id(case_id: str) -> str:
    """The ID without what two programs may write differently: upper case, outer blanks, Unicode's two forms."""
    return unicodedata.normalize("NFC", case_id).casefold().strip()


def bare_id(case_id: str) -> str:
    """The folded ID without the ending of a file, ``sub-`` in front, or ``.0`` behind a number."""
    text = _ENDING.sub("", folded_id(case_id)).removeprefix("sub-")
    return re.sub(r"(?<=\d)\.0+$", "", text) if re.fullmatch(r"\d+\.0+", text) else text


def unpadded_id(case_id: str) -> str:
    """The bare ID without zeros in front of its numbers: ``case_007`` and ``case_7`` are one."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", bare_id(case_id))


def _match(table_ids: set[str], case_ids: list[str], key: Callable[[str], str], exact: set[str]) -> dict[str, str]:
    """The row of each case that has the same key, the exact one before others."""
    by_key: dict[str, list[str]] = {}
    for table_id in table_ids:
        by_key.setdefault(key(table_id), []).append(table_id)
    matches: dict[str, str] = {}
    for case_id in case_ids:
        candidates = [case_id] if case_id in exact else by_key.get(key(case_id), [])
        if len(candidates) > 1:
            raise UserError(
                f"case {case_id!r} fits several rows of the table ({', '.join(map(repr, sorted(candidates)))}); "
                "write its ID in the table exactly as in the dataset"
            )
        if candidates:
            matches[case_id] = candidates[0]
    return matches


def _two_cases(first: str, second: str, table_id: str) -> UserError:
    return UserError(
        f"cases {first!r} and {second!r} both fit the table's row {table_id!r}; write the IDs in the table "
        "exactly as in the dataset"
    )
