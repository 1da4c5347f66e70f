"""Case IDs: which of two spellings belong to one case."""

from __future__ import annotations

from collections.abc import Iterable

from nnunet_fair.errors import UserError


def match_cases(table_ids: Iterable[str], case_ids: Iterable[str]) -> dict[str, str]:
    """Find the table row of each case: by the exact ID first, else by the same ID in other upper or lower case.

    Args:
        table_ids: the table's IDs, unique.
        case_ids: the dataset's case IDs, unique.

    Returns:
        ``{case_id: table_id}`` for the cases that have a row, in the order of ``case_ids``.

    Raises:
        UserError: a case fits two rows, or two cases fit one row, when upper and lower case are not distinguished.
    """
    exact = set(table_ids)
    folded: dict[str, list[str]] = {}
    for table_id in exact:
        folded.setdefault(table_id.casefold(), []).append(table_id)
    matches: dict[str, str] = {}
    for case_id in case_ids:
        candidates = [case_id] if case_id in exact else folded.get(case_id.casefold(), [])
        if len(candidates) > 1:
            raise UserError(
                f"case {case_id!r} fits several rows of the table ({', '.join(map(repr, sorted(candidates)))}); "
                "write its ID in the table exactly as in the dataset"
            )
        if candidates:
            matches[case_id] = candidates[0]
    taken: dict[str, str] = {}
    for case_id, table_id in matches.items():
        if table_id in taken:
            raise UserError(
                f"cases {taken[table_id]!r} and {case_id!r} both fit the table's row {table_id!r}; write the IDs in "
                "the table exactly as in the dataset"
            )
        taken[table_id] = case_id
    return matches
