"""Paired differences of group means between two models, over cases and training seeds."""

from __future__ import annotations

import numpy as np

from nnunet_fair.subgroups.bootstrap import Intervals, intervals_from_replicates


def intervals_or_none(
    estimate: np.ndarray, replicates: np.ndarray, jackknife: np.ndarray, n_cases: int, confidence: float
) -> Intervals:
    """Intervals, or none with fewer than two cases.

    Args:
        estimate: see :func:`nnunet_fair.subgroups.bootstrap.intervals_from_replicates`.
        replicates: see there.
        jackknife: see there.
        n_cases: number of cases.
        confidence: coverage, in (0, 1).
    """
    if n_cases < 2:
        nothing = np.full((len(estimate), 2), np.nan)
        return Intervals(estimate, nothing, nothing)
    return intervals_from_replicates(estimate, replicates, jackknife, confidence=confidence)


def paired_differences_of_means(
    values_a: np.ndarray,
    values_b: np.ndarray,
    membership: np.ndarray,
    weights: np.ndarray,
    seeds_a: np.ndarray,
    seeds_b: np.ndarray,
    confidence: float,
) -> tuple[np.ndarray, np.ndarray]:
    """B minus A of the mean of each group, with its interval.

    Args:
        values_a: float array of shape (n_seeds_a, n_cases).
        values_b: float array of shape (n_seeds_b, n_cases).
        membership: bool array of shape (n_cases, n_groups); every group has a case.
        weights: replicate weights of the cases, shape (n_resamples, n_cases).
        seeds_a: replicate weights of A's seeds, shape (n_resamples, n_seeds_a).
        seeds_b: replicate weights of B's seeds, shape (n_resamples, n_seeds_b).
        confidence: coverage, in (0, 1).

    Returns:
        The differences, shape (n_groups,), and the ends of their intervals, shape (n_groups, 2), NaN for a single case;
        all NaN without a case.
    """
    if not len(membership):
        n_groups = membership.shape[1]
        return np.full(n_groups, np.nan), np.full((n_groups, 2), np.nan)
    inside, n = membership.astype(float), membership.sum(axis=0)
    differences = values_b.mean(axis=0) - values_a.mean(axis=0)
    replicated = seeds_b @ values_b - seeds_a @ values_a
    replicates = ((weights * replicated) @ inside) / (weights @ inside)
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (n * (differences @ inside / n) - inside * differences[:, None]) / (n - inside)
    found = intervals_or_none(differences @ inside / n, replicates, left_out, len(membership), confidence)
    ends = found.ends()
    ends[n < 2] = np.nan
    return found.estimate, ends
