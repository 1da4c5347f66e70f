"""Outputs that name no patient: neutral numbers in place of case IDs, no group of a few cases, no group of a case."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.comparison.paired_differences import Comparison
from nnunet_fair.evaluation.scores.analysis import Analysis
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import has_structure, scored_cases
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.masks.pairing import CasePair
from nnunet_fair.subgroups.disclosure import MIN_CASES, publishable_groups

DIGITS = 3
"""Digits behind the point of what is told about groups."""
_LEFT_OUT = re.compile(r".+? is left out(?=[:.])")
_ON_VARIABLES = re.compile(
    r"the groups are the table's own, not the challenge's\.$|^The table has none of the challenge's variables"
)


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
    pairs: Sequence[CasePair], cases: pd.DataFrame, groups: CaseGroups, tables: Iterable[pd.DataFrame] = ()
) -> tuple[dict[str, str], pd.DataFrame, CaseGroups]:
    """Replace the case IDs in the per-case table and the groups, and merge groups of fewer than five cases.

    Args:
        pairs: the cases' files; their paths are taken out of the sentences about problems.
        cases: the per-case table, indexed by case ID.
        groups: the cases' groups.
        tables: the per-case tables of the classes, where there are several.

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
    scored = scored_cases(renamed).index
    present = [has_structure(table.rename(index=names).reindex(scored)) for table in (cases, *tables)]
    return names, renamed, publishable(dataclasses.replace(groups, frame=frame), scored, present)


def publishable(
    groups: CaseGroups, scored: pd.Index, parts: Sequence[np.ndarray], *, may_lack: bool = True
) -> CaseGroups:
    """The groups of the scored cases with nothing about fewer than five of them.

    Args:
        groups: the cases' groups.
        scored: IDs of the cases that have a score.
        parts: what divides these cases in what is told, arrays of shape (n_scored,): whether each holds the structure,
            one array a class, or the outcome. What is told of all less what is told of a part speaks of the others.
        may_lack: whether a group may have no case of a part, see :func:`publishable_groups`.

    Returns:
        The groups; a variable that may not be shown is none of the score's, unless none of them may be shown. Notes on
        how the table was read, which name rows and values, are not among theirs.
    """
    part = pd.Series(list(map(str, zip(*map(np.ndarray.tolist, parts), strict=True))), index=scored, dtype=object)
    published = publishable_groups(groups.frame.reindex(scored), part, may_lack=may_lack)
    variables = tuple(name for name in groups.variables if name in published.frame) or groups.variables
    # Rows of cases without a score stay (without groups); cases without a row may have been merged into a group.
    frame = published.frame.reindex(groups.frame.index.union(published.frame.dropna(how="all").index))
    return dataclasses.replace(
        groups,
        frame=frame.reindex(columns=dict.fromkeys((*variables, *published.frame))),
        variables=variables,
        official=groups.official and not published.sentences,
        notes=(*public_notes(groups.notes), *published.sentences),
    )


def public_notes(notes: Sequence[str]) -> tuple[str, ...]:
    """The notes that name no row, no value and no number of cases, and how many do.

    Args:
        notes: what a reader of the groups has to know.
    """
    shown = []
    for note in notes:
        if left_out := _LEFT_OUT.match(note):
            shown.append(f"{left_out[0]}.")
        elif _ON_VARIABLES.search(note):
            shown.append(note)
    hidden = len(notes) - len(shown)
    if hidden:
        what = "note names" if hidden == 1 else "notes name"
        shown.append(f"{hidden} {what} rows or values of the table and are not shown here.")
    return tuple(shown)


def few(n: int) -> str:
    """A number of cases; which one is not told where it is below five."""
    return f"{n}" if n >= MIN_CASES or n == 0 else f"fewer than {MIN_CASES}"


def rounded(value: Any) -> Any:
    """Plain data with three digits behind the point: exact means would tell which of the cases are in a group.

    Args:
        value: nested dictionaries, lists and values.
    """
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    return round(float(value), DIGITS) if isinstance(value, (float, np.floating)) else value


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
        beyond=analysis.beyond.round(DIGITS),
        subgroups=publishable_rows(analysis.subgroups),
        false_positives=publishable_rows(analysis.false_positives).query(f"n >= {MIN_CASES}"),
        readers=publishable_rows(analysis.readers),
        reader_gaps=analysis.reader_gaps.round(DIGITS),
        calibration=publishable_rows(analysis.calibration),
        # A bin of a group, less those of the others, may be one patient's: those of all cases can be shown.
        reliability=analysis.reliability.query(f"kind == 'all' and n_cases >= {MIN_CASES}").round(DIGITS),
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
    return table[whole | table["attributes"].isin(shown)].reset_index(drop=True).round(DIGITS)
