"""The mean of a score in each group with its bootstrap interval: one number, one interval, wherever it is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means
from nnunet_fair.subgroups.options import CONFIDENCE, N_RESAMPLES


@dataclass(frozen=True)
class GroupMeans:
    """The mean of a score in each group.

    Attributes:
        n: int array of shape (n_groups,), cases with a score.
        mean: float array of shape (n_groups,); NaN where a group has no such case.
        low: float array of shape (n_groups,), lower ends of the intervals; NaN where a group is too small for one.
        high: float array of shape (n_groups,), upper ends.
    """

    n: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def group_mean_intervals(
    values: np.ndarray,
    membership: np.ndarray,
    *,
    min_cases: int = 2,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> GroupMeans:
    """Mean and interval of each group, from one set of replicates.

    Args:
        values: float array of shape (n_cases,), the score; NaN where a case has none, which is left out.
        membership: bool array of shape (n_cases, n_groups).
        min_cases: groups with fewer scored cases get no interval; at least two make one.
        n_resamples: number of replicates.
        confidence: coverage, in (0, 1).
        seed: seed of the replicates.

    Returns:
        The means; the intervals are BCa, and percentile where BCa does not exist.
    """
    values = np.asarray(values, dtype=float)
    scored = np.isfinite(values)
    values, membership = values[scored], membership[scored]
    n = membership.sum(axis=0)
    intervals = bootstrap_intervals(
        lambda weights: weighted_means(weights, values, membership),
        len(values),
        n_resamples=n_resamples,
        confidence=confidence,
        seed=seed,
    )
    ends = intervals.ends()
    ends[n < max(min_cases, 2)] = np.nan
    return GroupMeans(n=n, mean=intervals.estimate, low=ends[:, 0], high=ends[:, 1])
