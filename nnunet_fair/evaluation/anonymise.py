"""Outputs that name no patient: neutral numbers in place of case IDs, no group of a few cases, no group of a case."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence

import pandas as pd

from nnunet_fair.evaluation.comparison.paired_differences import Comparison
from nnunet_fair.evaluation.scores.analysis import Analysis
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import scored_cases
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.masks.pairing import CasePair
from nnunet_fair.subgroups.disclosure import MIN_CASES, publishable_groups


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
    """Replace the case IDs in the per-case table and the groups, and merge groups of fewer than five cases.

    Args:
        pairs: the cases' files; their paths are taken out of the sentences about problems.
        cases: the per-case table, indexed by case ID.
        groups: the cases' groups.

    Returns:
        The new name of each case, the table in the order of the new names, and the groups that may be published: those
        of the scored cases, see :func:`nnunet_fair.subgroups.disclosure.publishable_groups`.
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
    return names, renamed, publishable(dataclasses.replace(groups, frame=frame), scored_cases(renamed).index)


def publishable(groups: CaseGroups, scored: pd.Index) -> CaseGroups:
    """The groups of the scored cases with nothing about fewer than five of them.

    Args:
        groups: the cases' groups.
        scored: IDs of the cases that have a score.

    Returns:
        The groups; a variable that may not be shown is none of the score's, unless none of them may be shown.
    """
    published = publishable_groups(groups.frame.reindex(scored))
    variables = tuple(name for name in groups.variables if name in published.frame) or groups.variables
    # Rows of cases without a score stay (without groups); cases without a row may have been merged into a group.
    frame = published.frame.reindex(groups.frame.index.union(published.frame.dropna(how="all").index))
    return dataclasses.replace(
        groups,
        frame=frame.reindex(columns=dict.fromkeys((*variables, *published.frame))),
        variables=variables,
        official=groups.official and not published.sentences,
        notes=(*groups.notes, *published.sentences),
    )


def without_combinations(options: AnalysisOptions) -> AnalysisOptions:
    """Options for anonymised results: no combinations of attributes, which may be of a few patients only."""
    subgroups = dataclasses.replace(
        options.subgroups, max_items=1, min_group=max(options.subgroups.min_group, MIN_CASES)
    )
    return dataclasses.replace(options, subgroups=subgroups)


def publishable_tables(analysis: Analysis) -> Analysis:
    """An analysis with nothing about fewer than five cases in its tables.

    The groups are those of all scored cases; among the cases with or without the structure a group may be smaller, and
    in a stratum of tumour size it may be one patient.
    """
    return dataclasses.replace(
        analysis,
        sizes=analysis.sizes.iloc[:0],
        subgroups=publishable_rows(analysis.subgroups),
        false_positives=publishable_rows(analysis.false_positives).query(f"n >= {MIN_CASES}"),
    )


def publishable_comparison(comparison: Comparison) -> Comparison:
    """A comparison with nothing about fewer than five cases in its tables, see :func:`publishable_tables`."""
    return dataclasses.replace(
        comparison,
        classes={name: publishable_comparison(found) for name, found in comparison.classes.items()},
        subgroups=publishable_rows(comparison.subgroups),
        false_positives=publishable_rows(comparison.false_positives).query(f"n >= {MIN_CASES}"),
    )


def publishable_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A table of subgroups without the attributes that have a group, or cases without a value, fewer than five.

    Args:
        table: with ``kind``, ``attributes`` and ``n``; the whole cohort first, no combinations.
    """
    if table.empty:
        return table
    whole, n_all = table["kind"] == "all", int(table["n"].iloc[0])
    shown = []
    for attribute, sizes in table[~whole].groupby("attributes", sort=False)["n"]:
        cells = [*sizes, n_all - sizes.sum()]
        if not any(0 < n < MIN_CASES for n in cells):
            shown.append(attribute)
    return table[whole | table["attributes"].isin(shown)].reset_index(drop=True)
