"""How well two experts agree, by group, and what a group's shortfall leaves beyond that.

A group in which experts disagree more cannot be served as well as the others by a model that is measured against one of
them. So each case's DSC of the model and the first reader is held against the DSC of the two readers in the same case:
what remains of a gap between groups when the readers' own is taken away, case by case, is the model's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.second_reader import READER_PROBLEM
from nnunet_fair.evaluation.scores.cohort import CohortGroups, ScoredCohort
from nnunet_fair.evaluation.scores.equity import partitions
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means

GROUP_STATISTICS = ("model_dsc", "readers_dsc", "shortfall", "beyond_readers")
GAP_STATISTICS = ("gap_model", "gap_readers", "gap_beyond_readers")
READERS_COLUMNS = (
    *("subgroup", "attributes", "kind", "n"),
    *(f"{name}{end}" for name in GROUP_STATISTICS for end in ("", "_low", "_high")),
    *("decides", "reason", "note"),
)
READER_GAPS_COLUMNS = (
    *("attributes", "n_cases", "n_groups", "smallest_group"),
    *(f"{name}{end}" for name in GAP_STATISTICS for end in ("", "_low", "_high")),
)
ONE_CASE = "no interval: one case only"


def read_twice(cohort: ScoredCohort) -> ScoredCohort | None:
    """The cases that both readers read; None where there is none."""
    if "readers_dsc" not in cohort.cases.columns:
        return None
    inside = cohort.cases["readers_dsc"].notna()
    groups = CohortGroups(cohort.groups.frame[inside], cohort.groups.variables, cohort.groups.options)
    return ScoredCohort(cohort.cases[inside], groups) if inside.any() else None


def readers_table(cohort: ScoredCohort) -> pd.DataFrame:
    """The model and the second reader, both against the first reader, in every subgroup.

    Args:
        cohort: the scored cases, with ``readers_dsc`` where there is a second reader.

    Returns:
        Table with one row a subgroup of the cases read twice, all of them first; no row where there is no second
        reader: subgroup, attributes, kind, n; with the ends of their intervals (``_low``, ``_high``; the bootstrap's,
        paired by case) ``model_dsc``, ``readers_dsc``, ``shortfall`` (readers minus model) and ``beyond_readers`` (how
        much larger the group's shortfall is than that of all cases: above 0 the model serves it worse than the readers'
        agreement explains); decides, reason and note.
    """
    found = read_twice(cohort)
    if found is None:
        return pd.DataFrame(columns=list(READERS_COLUMNS))
    table, options, membership = (
        found.groups.subgroup_columns(),
        found.groups.options,
        found.groups.subgroups.membership,
    )
    model, readers = found.dsc, found.cases["readers_dsc"].to_numpy(dtype=float)

    def statistics(weights: np.ndarray) -> np.ndarray:
        means = [weighted_means(weights, values, membership) for values in (model, readers, readers - model)]
        return np.concatenate([*means, means[2] - means[2][:, :1]], axis=1)  # the first column is the whole cohort

    intervals = bootstrap_intervals(
        statistics, len(found), n_resamples=options.n_resamples, confidence=options.confidence, seed=options.seed
    )
    several = table["n"].to_numpy()[:, None] > 1
    values, ends = intervals.estimate.reshape(4, -1), intervals.ends().reshape(4, -1, 2)
    for name, value, end in zip(GROUP_STATISTICS, values, ends, strict=True):
        table[name] = value
        table[f"{name}_low"], table[f"{name}_high"] = np.where(several, end, np.nan).T
    # Nothing is beyond itself: the whole cohort is what the groups are held against.
    table.loc[table["kind"] == "all", "beyond_readers"] = np.nan
    table["note"] = np.where(several[:, 0], "", ONE_CASE)
    return table[list(READERS_COLUMNS)]


def reader_gaps(cohort: ScoredCohort) -> pd.DataFrame:
    """The gap of every attribute and combination: the model's, the readers', and what remains beyond theirs.

    Args:
        cohort: see :func:`readers_table`.

    Returns:
        Table with one row an attribute or combination that has two groups of ``min_group`` cases read twice:
        attributes, n_cases, n_groups, smallest_group and, with the ends of their intervals, ``gap_model`` and
        ``gap_readers`` (largest minus smallest group mean) and ``gap_beyond_readers`` (the same of the
        shortfall, case by case).
    """
    found = read_twice(cohort)
    groups = [] if found is None else list(partitions(found))
    if found is None or not groups:
        return pd.DataFrame(columns=list(READER_GAPS_COLUMNS))
    options = found.groups.options
    model, readers = found.dsc, found.cases["readers_dsc"].to_numpy(dtype=float)

    def statistics(weights: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                np.ptp(weighted_means(weights, values, entry.membership), axis=1)
                for entry in groups
                for values in (model, readers, readers - model)
            ],
            axis=1,
        )

    intervals = bootstrap_intervals(
        statistics, len(found), n_resamples=options.n_resamples, confidence=options.confidence, seed=options.seed
    )
    numbers = np.column_stack([intervals.estimate, intervals.ends()]).reshape(len(groups), -1)
    columns = [f"{name}{end}" for name in GAP_STATISTICS for end in ("", "_low", "_high")]
    head = [
        (entry.variable, int(entry.membership.any(axis=1).sum()), len(entry.names), int(entry.n.min()))
        for entry in groups
    ]
    table = pd.DataFrame(head, columns=list(READER_GAPS_COLUMNS[:4]))
    return table.join(pd.DataFrame(numbers, columns=columns))


def reader_warnings(cases: pd.DataFrame) -> list[str]:
    """What a reader must know before the agreement of the experts.

    Args:
        cases: the per-case table.
    """
    if READER_PROBLEM not in cases.columns:
        return []
    n = int((cases[READER_PROBLEM] != "").sum())
    if not n:
        return []
    return [f"{n} of {len(cases)} cases have no second reader's mask that can be used: the others are compared."]
