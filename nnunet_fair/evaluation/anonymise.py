"""Neutral numbers in place of case IDs."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence

import pandas as pd

from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.masks.pairing import CasePair


def neutral_names(case_ids: Sequence[str]) -> dict[str, str]:
    """A neutral name for each case, in an order that nobody can compute again.

    Args:
        case_ids: the cases' IDs.

    Returns:
        ``{case_id: "case-0001"}``.
    """
    order = list(case_ids)
    secrets.SystemRandom().shuffle(order)
    width = max(4, len(str(len(order))))
    return {case_id: f"case-{number:0{width}d}" for number, case_id in enumerate(order, start=1)}


def anonymise_cases(
    pairs: Sequence[CasePair], cases: pd.DataFrame, groups: CaseGroups
) -> tuple[dict[str, str], pd.DataFrame, CaseGroups]:
    """Replace the case IDs in the per-case table and the groups.

    Args:
        pairs: the cases' files; their paths are taken out of the sentences about problems.
        cases: the per-case table, indexed by case ID.
        groups: the cases' groups.

    Returns:
        The new name of each case, the table in the order of the new names, and the groups.
    """
    names = neutral_names([pair.case_id for pair in pairs])
    problems = cases["problem"].to_dict()
    for pair in pairs:
        for path, word in ((pair.reference, "the reference"), (pair.prediction, "the prediction")):
            if path is not None and problems[pair.case_id]:
                problems[pair.case_id] = problems[pair.case_id].replace(str(path), word)
        problems[pair.case_id] = problems[pair.case_id].replace(pair.case_id, names[pair.case_id])
    renamed = cases.assign(problem=pd.Series(problems)).rename(index=names).sort_index()
    frame = groups.frame.rename(index=names).sort_index()
    return names, renamed, dataclasses.replace(groups, frame=frame)
