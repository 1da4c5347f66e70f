"""The worst cases of a group: a mean hides them, and a patient may be one of them.

The conditional value at risk of a score at a share α is the mean of the worst α of the cases (Rockafellar and Uryasev,
Journal of Risk 2, 2000); where α · n is no whole number, the last case counts in part.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals

WORST_SHARE = 0.1


def worst_share_mean(
    weights: np.ndarray, values: np.ndarray, membership: np.ndarray, *, share: float = WORST_SHARE
) -> np.ndarray:
    """Mean of the worst share of each group's cases.

    Args:
        weights: float array of shape (n_replicates, n_cases), not negative.
        values: float array of shape (n_cases,), higher is better.
        membership: bool array of shape (n_cases, n_groups).
        share: α in (0, 1].

    Returns:
        Float array of shape (n_replicates, n_groups); NaN where a group has no weight.

    Raises:
        ValueError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0 and at most 1, found {share}")
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    means = np.empty((len(weights), membership.shape[1]))
    for group, inside in enumerate(membership[order].T):
        own, scores = weights[:, order][:, inside], ordered[inside]
        taken = share * own.sum(axis=1, keepdims=True)
        before = np.cumsum(own, axis=1) - own
        counted = np.clip(taken - before, 0, own)
        with np.errstate(divide="ignore", invalid="ignore"):
            means[:, group] = np.where(taken[:, 0] > 0, counted @ scores / taken[:, 0], np.nan)
    return means


def worst_share_table(cohort: ScoredCohort, *, share: float = WORST_SHARE) -> pd.DataFrame:
    """The mean DSC of the worst share of every subgroup's cases, with its interval.

    Args:
        cohort: the scored cases.
        share: see :func:`worst_share_mean`.

    Returns:
        Table with one row a subgroup, the whole cohort first: subgroup, attributes, kind, n, worst_dsc, low and high
        (the bootstrap's interval; none for a group of one case), decides and reason.
    """
    options, membership = cohort.groups.options, cohort.groups.subgroups.membership
    intervals = bootstrap_intervals(
        lambda weights: worst_share_mean(weights, cohort.dsc, membership, share=share),
        len(cohort),
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    columns = cohort.groups.subgroup_columns()
    ends = np.where(columns["n"].to_numpy()[:, None] > 1, intervals.ends(), np.nan)
    columns.insert(4, "worst_dsc", intervals.estimate)
    columns.insert(5, "low", ends[:, 0])
    columns.insert(6, "high", ends[:, 1])
    return columns
