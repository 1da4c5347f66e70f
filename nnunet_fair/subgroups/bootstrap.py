"""Confidence intervals by the Bayesian bootstrap, percentile and BCa, widened for what few cases cannot tell.

A replicate gives every case an independent exponential weight and recomputes every statistic as a weighted mean. Inside
a group the normalised weights are uniform on the simplex (Dirichlet), independent of the other groups: that is a
resampling within every group of every attribute at once. Ordinary resampling with replacement can do that for one
attribute at a time only, or it draws replicates without any case of a small group, for which a gap does not exist.

Replicates of a mean of n cases scatter too little, by √((n − 1) / (n + 1)), and their normal quantiles forget that the
spread itself is estimated from n cases: at n = 10 a 95 % interval then covers 89 %. So the ends are taken at the levels
Φ(± √((n + 1) / (n − 1)) · t) instead of Φ(± z), t being Student's quantile with n − 1 degrees of freedom: Hesterberg's
expanded interval, for these weights. n is the number of cases that a statistic's spread rests on, 3 (Σd²)² / Σd⁴ with d
its changes where one case is left out, at most the number of cases that change it: Satterthwaite's degrees of freedom
of a difference of means, without having to know what is compared. docs/evaluation.md has the coverage.

Sources: Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981); Efron, "Better bootstrap confidence intervals",
Journal of the American Statistical Association 82 (1987); Hesterberg, "What teachers should know about the bootstrap",
The American Statistician 69 (2015); Satterthwaite, "An approximate distribution of estimates of variance components",
Biometrics Bulletin 2 (1946).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import special

from nnunet_fair.subgroups.options import CONFIDENCE, N_RESAMPLES

Statistic: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From weights of shape (n_replicates, n_cases) to values of shape (n_replicates, n_statistics)."""

MAX_JACKKNIFE = 2000  # the acceleration needs no more, and one row a case would not fit for very many
BLOCK = 4_000_000  # weights in memory at a time, whatever the number of cases


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
        The intervals. All are NaN with fewer than two cases, and so are those of a statistic that is the same in every
        replicate: cases that do not differ say nothing about others.
    """
    estimate = statistic(np.ones((1, n_cases)))[0]
    nothing = np.full((len(estimate), 2), np.nan)
    if n_cases < 2:
        return Intervals(estimate, nothing, nothing.copy())
    drawn = _drawn_weights(n_cases, n_resamples, seed) if weights is None else _blocks_of(weights)
    replicates = np.concatenate([statistic(block) for block in drawn])
    jackknife = np.concatenate([statistic(block) for block in _jackknife_blocks(n_cases)])
    found = intervals_from_replicates(estimate, replicates, jackknife, confidence=confidence)
    differs = ~_is_one_number(estimate, replicates)[:, None]
    return Intervals(estimate, np.where(differs, found.percentile, np.nan), np.where(differs, found.bca, np.nan))


def _rows(n_cases: int) -> int:
    """Rows of weights that are in memory at a time."""
    return max(1, BLOCK // n_cases)


def _drawn_weights(n_cases: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Replicate weights in blocks of rows: the same numbers whatever the size of a block."""
    rng = np.random.default_rng(seed)
    for first in range(0, n_resamples, _rows(n_cases)):
        yield rng.standard_exponential((min(_rows(n_cases), n_resamples - first), n_cases))


def _blocks_of(weights: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of weights that exist already."""
    step = _rows(weights.shape[1])
    return (weights[first : first + step] for first in range(0, len(weights), step))


def _jackknife_blocks(n_cases: int) -> Iterator[np.ndarray]:
    """The rows of :func:`jackknife_weights`."""
    units = np.arange(min(n_cases, MAX_JACKKNIFE))
    return (jackknife_weights(n_cases, units[i : i + _rows(n_cases)]) for i in range(0, len(units), _rows(n_cases)))


def jackknife_weights(n_cases: int, units: np.ndarray | None = None) -> np.ndarray:
    """Weights that leave one case out, one row each; one block of cases each where there are more than 2000.

    Args:
        n_cases: number of cases.
        units: int array of shape (n_units,), which to leave out, counted from 0; None for all.

    Returns:
        Float array of shape (n_units, n_cases) of zeros and ones; of shape (min(n_cases, 2000), n_cases) for all.
    """
    n_units = min(n_cases, MAX_JACKKNIFE)
    units = np.arange(n_units) if units is None else units
    return (units[:, None] != np.arange(n_cases) % n_units).astype(float)


def intervals_from_replicates(
    estimate: np.ndarray, replicates: np.ndarray, jackknife: np.ndarray, *, confidence: float = CONFIDENCE
) -> Intervals:
    """Percentile and BCa intervals from replicates that exist already.

    Args:
        estimate: float array of shape (n_statistics,).
        replicates: float array of shape (n_replicates, n_statistics).
        jackknife: float array of shape (n_units, n_statistics), each statistic without one unit; NaN where it does not
            exist without that unit, which then says nothing about acceleration and number of cases.
        confidence: coverage, in (0, 1).

    Returns:
        The intervals; a BCa end is NaN where every replicate lies on one side of the estimate. A statistic with no
        spread over the replicates has an interval of width 0.
    """
    percentile, bca = np.full((2, len(estimate), 2), np.nan)
    usable = np.isfinite(replicates).all(axis=0) & np.isfinite(estimate)
    ordered, values = np.sort(replicates[:, usable], axis=0), estimate[usable]
    deviations = _deviations(jackknife[:, usable])
    quantile = _quantile(effective_cases(values - jackknife[:, usable]), confidence)
    z = np.stack([-quantile, quantile], axis=1)
    percentile[usable] = _at(ordered, special.ndtr(z))

    below = np.mean(ordered < values, axis=0) + 0.5 * np.mean(ordered == values, axis=0)
    one_side = (below <= 0) | (below >= 1)
    bias = special.ndtri(np.where(one_side, 0.5, below))[:, None]
    squares, cubes = np.sum(deviations**2, axis=0), np.sum(deviations**3, axis=0)
    acceleration = np.divide(cubes, 6 * squares**1.5, out=np.zeros_like(cubes), where=squares > 0)
    shifted = bias + z
    # Beyond 1 the transformation has no inverse: the end is the outermost replicate.
    room = np.maximum(1 - acceleration[:, None] * shifted, 1e-9)
    ends = _at(ordered, special.ndtr(bias + shifted / room))
    ends[one_side] = np.nan
    one_number = _is_one_number(values, ordered)
    ends[one_number] = values[one_number, None]
    bca[usable] = ends
    return Intervals(estimate, percentile, bca)


def _is_one_number(estimate: np.ndarray, replicates: np.ndarray) -> np.ndarray:
    """Which statistics are the same in every replicate but for rounding, bool array of shape (n_statistics,)."""
    if not replicates.size:
        return np.zeros(len(estimate), dtype=bool)
    return np.ptp(replicates, axis=0) <= 1e-12 * np.maximum(1.0, np.abs(estimate))


def _deviations(jackknife: np.ndarray) -> np.ndarray:
    """Mean minus value of each unit, float array of the same shape; 0 where the statistic does not exist without it."""
    exists = np.isfinite(jackknife)
    n = exists.sum(axis=0)
    total = np.where(exists, jackknife, 0.0).sum(axis=0)
    mean = np.divide(total, n, out=np.zeros_like(total), where=n > 0)
    return np.where(exists, mean - jackknife, 0.0)


def effective_cases(changes: np.ndarray) -> np.ndarray:
    """The number of cases the spread of each statistic rests on.

    Args:
        changes: float array of shape (n_units, n_statistics), by how much each statistic changes where a unit is left
            out; NaN where it does not exist without it.

    Returns:
        Float array of shape (n_statistics,), see the module; at least 2, infinite where nothing changes the statistic.
    """
    changes = np.nan_to_num(changes)
    largest = np.abs(changes).max(axis=0, initial=0.0)
    scaled = np.divide(changes, largest, out=np.zeros_like(changes), where=largest > 0)
    moves = np.count_nonzero(np.abs(scaled) > 1e-9, axis=0)
    squares, fourth = np.sum(scaled**2, axis=0), np.sum(scaled**4, axis=0)
    cases = np.divide(3 * squares**2, fourth, out=np.full(len(largest), np.inf), where=fourth > 0)
    return np.where(moves > 0, np.maximum(np.minimum(moves, cases), 2.0), np.inf)


def _quantile(n: np.ndarray, confidence: float) -> np.ndarray:
    """The upper quantile that takes the place of the normal one for statistics of so many cases, of the same shape."""
    finite = np.isfinite(n)
    quantile = np.full(len(n), special.ndtri((1 + confidence) / 2))
    few = n[finite]
    quantile[finite] = special.stdtrit(few - 1, (1 + confidence) / 2) * np.sqrt((few + 1) / (few - 1))
    return quantile


def _at(ordered: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Linear quantiles of sorted columns.

    Args:
        ordered: float array of shape (n_replicates, n_statistics), each column sorted.
        levels: float array of shape (n_statistics, n_levels), in [0, 1].

    Returns:
        Float array of shape (n_statistics, n_levels).
    """
    position = np.nan_to_num(levels) * (len(ordered) - 1)
    below = np.minimum(position.astype(int), len(ordered) - 2)
    column = np.arange(ordered.shape[1])[:, None]
    low, high = ordered[below, column], ordered[below + 1, column]
    return low + (high - low) * (position - below)


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
