"""The second reader's mask of each case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError
from nnunet_fair.masks.pairing import Pairing

READER_METRICS = ("readers_dsc", "readers_surface_dsc", "readers_norm_hd")
READER_PROBLEM = "readers_problem"
ONE_READER = "one reader only"


def with_second_reader(pairing: Pairing, masks: Mapping[str, Path], *, where: str = "") -> Pairing:
    """The cases with the second reader's masks, found by case ID, upper and lower case alike.

    Args:
        pairing: the cases.
        masks: ``{case_id: path}`` of the second reader.
        where: the folder, for the message.

    Returns:
        The pairing; a case the second reader did not read has one reader only.

    Raises:
        UserError: the second reader read none of the cases.
    """
    references = {pair.case_id: pair.reference for pair in pairing.pairs}
    matches = match_cases(masks, references)
    if not matches:
        raise UserError(
            f"no mask of the second reader{where} has the ID of a reference: references are named like "
            f"{next(iter(references))!r}, the second reader's masks like {next(iter(masks), 'nothing')!r}; check "
            "`second_references`"
        )
    pairs = [
        replace(pair, second_reader=masks[matches[pair.case_id]] if pair.case_id in matches else None)
        for pair in pairing.pairs
    ]
    return replace(pairing, pairs=tuple(pairs))
