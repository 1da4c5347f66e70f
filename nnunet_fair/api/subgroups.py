"""Subgroups of a table of patients, with or without a score."""

from __future__ import annotations

import pandas as pd

from nnunet_fair.api.case_tables import indexed_by_case
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.case_groups import case_groups
from nnunet_fair.evaluation.scores.cohort import CohortGroups
from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.group_means import group_mean_intervals
from nnunet_fair.subgroups.options import (
    CONFIDENCE,
    MAX_ITEMS,
    MIN_GROUP,
    MIN_SUPPORT,
    N_RESAMPLES,
    SubgroupOptions,
)
from nnunet_fair.subgroups.search import false_discovery_rate


def find_subgroups(
    metadata: pd.DataFrame,
    scores: pd.Series | None = None,
    *,
    min_group: int = MIN_GROUP,
    min_support: float = MIN_SUPPORT,
    max_items: int = MAX_ITEMS,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> pd.DataFrame:
    """Every group of every attribute and the frequent combinations, and how a score differs on them.

    Args:
        metadata: table with one row a case, indexed by case ID or with a column ``case_id``; every value is a group,
            NaN where unknown.
        scores: a score of each case, higher is better, indexed by case ID; NaN, and cases without an entry, are left
            out. None lists the subgroups only.
        min_group: combinations of fewer cases are not looked at; groups of fewer cases are listed and do not decide.
        min_support: smallest share of the cases a combination must hold, in (0, 1].
        max_items: largest number of attributes in a combination.
        n_resamples: bootstrap replicates.
        confidence: coverage of the intervals, in (0, 1).
        seed: seed of the bootstrap.

    Returns:
        Table with one row a subgroup, the whole cohort first: ``subgroup``, ``attributes``, ``kind`` (``all``,
        ``group`` or ``combination``), ``n``, ``decides`` and ``reason``; with scores also ``mean_score`` with the ends
        of its interval, ``low`` and ``high``, ``divergence`` (from the mean of all cases), Welch's ``t`` and ``p``
        against the other cases, and ``q`` (p corrected for the number of rows).

    Raises:
        UserError: the tables have no case in common.

    Example:
        >>> import nnunet_fair
        >>> import pandas as pd
        >>> metadata = pd.DataFrame(
        ...     {"sex": ["f", "f", "m", "m"] * 5, "site": ["s", "t"] * 10}, index=[f"case{i}" for i in range(20)]
        ... )
        >>> scores = pd.Series([0.9, 0.8, 0.9, 0.4] * 5, index=metadata.index)
        >>> table = nnunet_fair.find_subgroups(metadata, scores, min_group=5)
        >>> table.loc[1:, ["subgroup", "n", "mean_score", "divergence"]].round(2)
                  subgroup   n  mean_score  divergence
        1            sex=f  10        0.85        0.10
        2            sex=m  10        0.65       -0.10
        3           site=s  10        0.90        0.15
        4           site=t  10        0.60       -0.15
        5    sex=f, site=s   5        0.90        0.15
        6    sex=f, site=t   5        0.80        0.05
        7    sex=m, site=s   5        0.90        0.15
        8    sex=m, site=t   5        0.40       -0.35
    """
    table = indexed_by_case(metadata, "metadata")
    case_ids = list(table.index)
    if scores is not None:
        scores = scores.set_axis(scores.index.map(str)).dropna().astype(float)
        if scores.index.has_duplicates:
            raise UserError(f"`scores`: case {scores.index[scores.index.duplicated()][0]!r} occurs more than once")
        case_ids = list(scores.index)
    groups = case_groups(table, case_ids, variables=list(table.columns), attributes=(), min_group=min_group)
    options = SubgroupOptions(min_group=min_group, min_support=min_support, max_items=max_items)
    cohort = CohortGroups(groups.frame.reindex(case_ids), groups.variables, options)
    found = cohort.subgroup_columns()
    if scores is None:
        return found
    values = scores.to_numpy()
    divergence = subgroup_divergence(cohort.subgroups, values)
    means = group_mean_intervals(
        values, cohort.subgroups.membership, n_resamples=n_resamples, confidence=confidence, seed=seed
    )
    return found.assign(
        mean_score=divergence["mean_score"],
        low=means.low,
        high=means.high,
        divergence=divergence["divergence"],
        t=divergence["t"],
        p=divergence["p"],
        q=false_discovery_rate(divergence["p"].to_numpy()),
    )
