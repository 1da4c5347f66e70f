"""Confidence intervals by the Bayesian bootstrap, percentile and BCa.

A replicate gives every case an independent exponential weight and recomputes every statistic as a weighted mean. Inside
a group the normalised weights are uniform on the simplex (Dirichlet), independent of the other groups: that is a
resampling within every group of every attribute at once. Ordinary resampling with replacement can do that for one
attribute at a time only, or it draws replicates without any case of a small group, for which a gap does not exist.

Sources: Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981); Efron, "Better bootstrap confidence intervals",
Journal of the American Statistical Association 82 (1987).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import stats

from nnunet_fair.subgroups.options import CONFIDENCE, N_RESAMPLES

Statistic: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From weights of shape (n_replicates, n_cases) to values of shape (n_replicates, n_statistics)."""

MAX_JACKKNIFE = 2000  # the acceleration needs no more, and one row a case would not fit for very many


@dataclass(frozen=True)
class Intervals:
    """Estimates with their intervals; NaN where an interval does not exist.

    Attributes:
        estimate: float array of shape (n_statistics,), the statistics with every case weighing the same.
        percentile: float array of shape (n_statistics, 2), lower and upper ends of the percentile intervals.
        bca: float array of shape (n_statistics, 2), of the bias-corrected and accelerated intervals.
    """

    estimate: np.ndarray
    percentile: np.ndarray
    bca: np.ndarray

    def ends(self) -> np.ndarray:
        """Lower and upper ends, shape (n_statistics, 2): BCa, and the percentile interval where BCa does not exist."""
        exists = np.isfinite(self.bca).all(axis=1, keepdims=True)
        return np.where(exists, self.bca, self.percentile)


def bootstrap_intervals(
    statistic: Statistic,
    n_cases: int,
    *,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    weights: np.ndarray | None = None,
) -> Intervals:
    """Intervals of several statistics from the same replicates.

    Args:
        statistic: the statistics as a function of case weights; vectorised over replicates.
        n_cases: number of cases.
        n_resamples: number of replicates.
        confidence: coverage, in (0, 1).
        seed: seed of the weights.
        weights: replicate weights of shape (n_resamples, n_cases) where they are not to be drawn here.

    Returns:
        The intervals. All are NaN with fewer than two cases; a statistic with no spread over the replicates has an
        interval of width 0.
    """
    estimate = statistic(np.ones((1, n_cases)))[0]
    if n_cases < 2:
        nothing = np.full((len(estimate), 2), np.nan)
        return Intervals(estimate, nothing, nothing.copy())
    if weights is None:
        weights = np.random.default_rng(seed).standard_exponential((n_resamples, n_cases))
    replicates = statistic(weights)
    jackknife = statistic(jackknife_weights(n_cases))
    return intervals_from_replicates(estimate, replicates, jackknife, confidence=confidence)


def jackknife_weights(n_cases: int) -> np.ndarray:
    """Weights that leave one case out, one row each; one block of cases each where there are more than 2000.

    Args:
        n_cases: number of cases.

    Returns:
        Float array of shape (min(n_cases, 2000), n_cases) of zeros and ones.
    """
    n_units = min(n_cases, MAX_JACKKNIFE)
    return (np.arange(n_units)[:, None] != np.arange(n_cases) % n_units).astype(float)


def intervals_from_replicates(
    estimate: np.ndarray, replicates: np.ndarray, jackknife: np.ndarray, *, confidence: float = CONFIDENCE
) -> Intervals:
    """Percentile and BCa intervals from replicates that exist already.

    Args:
        estimate: float array of shape (n_statistics,).
        replicates: float array of shape (n_replicates, n_statistics).
        jackknife: float array of shape (n_units, n_statistics), each statistic without one unit; NaN where it does not
            exist without that unit, which is then left out of the acceleration.
        confidence: coverage, in (0, 1).

    Returns:
        The intervals; a BCa end is NaN where every replicate lies on one side of the estimate.
    """
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    percentile = np.full((len(estimate), 2), np.nan)
    usable = np.isfinite(replicates).all(axis=0) & np.isfinite(estimate)
    percentile[usable] = np.quantile(replicates[:, usable], levels, axis=0).T
    bca = np.full((len(estimate), 2), np.nan)
    for column in np.flatnonzero(usable):
        bca[column] = _bca(estimate[column], replicates[:, column], jackknife[:, column], levels)
    return Intervals(estimate, percentile, bca)


def _bca(estimate: float, replicates: np.ndarray, jackknife: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The ends of one BCa interval."""
    if np.ptp(replicates) <= 1e-12 * max(1.0, abs(estimate)):
        return np.array([estimate, estimate])
    below = np.mean(replicates < estimate) + 0.5 * np.mean(replicates == estimate)
    if not 0 < below < 1:
        return np.array([np.nan, np.nan])
    bias = stats.norm.ppf(below)
    jackknife = jackknife[np.isfinite(jackknife)]
    deviations = jackknife.mean() - jackknife if len(jackknife) else np.zeros(1)
    squares = np.sum(deviations**2)
    acceleration = np.sum(deviations**3) / (6 * squares**1.5) if squares > 0 else 0.0
    shifted = bias + stats.norm.ppf(levels)
    return np.quantile(replicates, stats.norm.cdf(bias + shifted / (1 - acceleration * shifted)))


def weighted_means(weights: np.ndarray, values: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """The weighted mean of each group.

    Args:
        weights: float array of shape (n_replicates, n_cases).
        values: float array of shape (n_cases,).
        membership: bool array of shape (n_cases, n_groups).

    Returns:
        Float array of shape (n_replicates, n_groups); NaN where a group has no weight.
    """
    inside = membership.astype(float)
    totals = weights @ inside
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(totals > 0, weights @ (inside * values[:, None]) / totals, np.nan)
