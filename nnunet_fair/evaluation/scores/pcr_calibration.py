"""Whether probabilities of pCR are true: Brier score, calibration in the large, slope and curve.

Sources: Brier, Monthly Weather Review 78 (1950); Cox, "Two further applications of a model for binary regression",
Biometrika 45 (1958); Van Calster et al., "A calibration hierarchy for risk models", Journal of Clinical Epidemiology 74
(2016); Clopper and Pearson, Biometrika 26 (1934), for the exact intervals of rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

N_BINS = 10
MIN_EVENTS = 10
"""Cases with and without pCR that a slope takes."""
CURVE_COLUMNS = ("low_probability", "high_probability", "n", "n_pcr", "predicted", "observed", "low", "high")
_ITERATIONS, _TOLERANCE, _LARGEST = 100, 1e-10, 1e3


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; NaN where it cannot be estimated.

    Attributes:
        value: the number.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


NONE = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Recalibration:
    """The logistic regression of the outcome on the probabilities' logits.

    Attributes:
        slope: 1 where right; below 1 the probabilities are too extreme, above too timid.
        intercept: of the regression with the slope held at 1 (calibration in the large on the logit scale): 0 where
            right, below 0 where too much pCR is predicted.
    """

    slope: Estimate
    intercept: Estimate


def rate_interval(hits: int, n: int, *, confidence: float) -> tuple[float, float]:
    """The exact (Clopper–Pearson) interval of a rate; NaN without a denominator.

    Args:
        hits: cases that count.
        n: cases of which they are.
        confidence: coverage, in (0, 1).
    """
    if n == 0:
        return float("nan"), float("nan")
    found = stats.binomtest(hits, n).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def balanced_accuracy_interval(
    sensitivity: float, specificity: float, ends: tuple[tuple[float, float], tuple[float, float]]
) -> tuple[float, float]:
    """An interval of the mean of two rates from different cases, out of their own intervals.

    The square-and-add method: Zou and Donner, "Construction of confidence limits about effect measures: a general
    approach", Statistics in Medicine 27 (2008).

    Args:
        sensitivity: the one rate.
        specificity: the other.
        ends: their intervals.
    """
    (low_1, high_1), (low_2, high_2) = ends
    mean = (sensitivity + specificity) / 2
    below = np.hypot(sensitivity - low_1, specificity - low_2) / 2
    above = np.hypot(high_1 - sensitivity, high_2 - specificity) / 2
    return float(mean - below), float(mean + above)


def brier_terms(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The squared error of each case, whose mean is the Brier score, shape (n_cases,)."""
    return (value - truth) ** 2


def recalibration(truth: np.ndarray, value: np.ndarray, *, confidence: float) -> Recalibration:
    """Slope and intercept with Wald's intervals.

    Args:
        truth: bool array of shape (n_cases,).
        value: float array of shape (n_cases,), probabilities.
        confidence: coverage, in (0, 1).

    Returns:
        NaN where fewer than ten cases have or have not pCR, where a probability is 0 or 1, which no logit holds, or
        where the outcome is told without error.
    """
    n_with = int(truth.sum())
    if min(n_with, len(truth) - n_with) < MIN_EVENTS or not ((value > 0) & (value < 1)).all():
        return Recalibration(NONE, NONE)
    logits = special.logit(value)
    ones = np.ones(len(truth))
    z = float(stats.norm.ppf((1 + confidence) / 2))
    slope, intercept = NONE, NONE
    if np.ptp(logits) > 0:
        slope = _wald(_logistic(np.column_stack([logits, ones]), truth, 0 * logits), z)
    intercept = _wald(_logistic(ones[:, None], truth, logits), z)
    return Recalibration(slope, intercept)


def _wald(fit: tuple[np.ndarray, np.ndarray] | None, z: float) -> Estimate:
    """The first coefficient with its interval."""
    if fit is None:
        return NONE
    (value, error), reach = (float(fit[0][0]), float(fit[1][0])), z * float(fit[1][0])
    return Estimate(value, value - reach, value + reach) if error > 0 else NONE


def _logistic(design: np.ndarray, truth: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients and standard errors of a logistic regression by Newton's method; None where it does not converge."""
    beta = np.zeros(design.shape[1])
    for _ in range(_ITERATIONS):
        p = special.expit(design @ beta + offset)
        information = (design * (p * (1 - p))[:, None]).T @ design
        if np.linalg.cond(information) > 1 / np.finfo(float).eps:
            return None
        step = np.linalg.solve(information, design.T @ (truth - p))
        # Half steps where a whole one would go far beyond: the likelihood is concave.
        beta = beta + step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(beta).max() > _LARGEST:
            return None
        if np.abs(step).max() < _TOLERANCE:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    return None


def calibration_curve(
    truth: np.ndarray, value: np.ndarray, *, confidence: float, n_bins: int = N_BINS, min_cases: int = 5
) -> pd.DataFrame:
    """Observed against predicted rate in bins of as many cases each.

    Args:
        truth: bool array of shape (n_cases,).
        value: float array of shape (n_cases,), probabilities.
        confidence: coverage of the exact intervals, in (0, 1).
        n_bins: bins, fewer where that leaves less than ``min_cases`` in one; equal probabilities stay together.
        min_cases: cases of a bin.

    Returns:
        One row a bin, see ``CURVE_COLUMNS``.
    """
    n_bins = max(1, min(n_bins, len(value) // min_cases))
    order = np.argsort(value, kind="stable")
    starts = [int(block[0]) for block in np.array_split(np.arange(len(value)), n_bins)]
    edges = sorted({int(np.searchsorted(value[order], value[order][start], "left")) for start in starts})
    rows = []
    for start, stop in zip(edges, [*edges[1:], len(value)], strict=True):
        inside = order[start:stop]
        n, n_pcr = len(inside), int(truth[inside].sum())
        low, high = rate_interval(n_pcr, n, confidence=confidence)
        ends = value[inside].min(), value[inside].max()
        rows.append((*ends, n, n_pcr, value[inside].mean(), n_pcr / n, low, high))
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def expected_calibration_error(curve: pd.DataFrame) -> float:
    """The mean distance of observed and predicted rate over the bins, weighted by their cases.

    Args:
        curve: what :func:`calibration_curve` gave.
    """
    return float(np.average((curve["observed"] - curve["predicted"]).abs(), weights=curve["n"]))
