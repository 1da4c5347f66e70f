"""How well probabilities tell the cases with pCR from those without: AUC, its interval, two models' difference.

Sources: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
characteristic curves", Biometrics 44 (1988); Newcombe, "Confidence intervals for an effect size measure based on the
Mann–Whitney statistic, part 2", Statistics in Medicine 25 (2006), method 5: it holds for few cases and at AUC 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

CANNOT = float("nan")


def auc(truth: np.ndarray, value: np.ndarray) -> float:
    """The share of pairs, one case with and one without pCR, in which the one with it has the larger value.

    Args:
        truth: bool array of shape (n_cases,).
        value: float array of shape (n_cases,).

    Returns:
        The AUC, equal values counting half; NaN where all cases have the same outcome.
    """
    n_with = int(truth.sum())
    n_without = len(truth) - n_with
    if not n_with or not n_without:
        return CANNOT
    rank_sum = stats.rankdata(value)[truth].sum()
    return float((rank_sum - n_with * (n_with + 1) / 2) / (n_with * n_without))


def auc_interval(area: float, n_with: int, n_without: int, *, confidence: float) -> tuple[float, float]:
    """Newcombe's interval of an AUC (method 5).

    Its ends are the areas θ with (θ − AUC)² = z² θ (1 − θ) [1 + (N − 1) ((1 − θ) / (2 − θ) + θ / (1 + θ))] / (m n),
    N = (m + n) / 2.

    Args:
        area: the AUC.
        n_with: m, cases with pCR.
        n_without: n, cases without.
        confidence: coverage, in (0, 1).

    Returns:
        Lower and upper end; NaN where one of the outcomes is missing.
    """
    if not n_with or not n_without:
        return CANNOT, CANNOT
    z, mean_n = stats.norm.ppf((1 + confidence) / 2), (n_with + n_without) / 2

    def beyond(theta: float) -> float:
        spread = 1 + (mean_n - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (theta - area) ** 2 - z**2 * theta * (1 - theta) * spread / (n_with * n_without)

    # At the area itself it is negative, or 0 where that is 0 or 1; at 0 and 1 it is not.
    inner = 1e-12
    low = 0.0 if area <= 0 else optimize.brentq(beyond, 0.0, area - inner * (area >= 1))
    high = 1.0 if area >= 1 else optimize.brentq(beyond, area + inner * (area <= 0), 1.0)
    return float(low), float(high)


@dataclass(frozen=True)
class PairedAuc:
    """The AUCs of two models on the same cases.

    Attributes:
        a: AUC of model A.
        b: AUC of model B.
        difference: B minus A.
        low: lower end of the difference's interval; NaN where it does not exist.
        high: upper end.
        p: two-sided p of no difference; NaN where the standard error is 0 and the models differ.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float


def paired_auc(truth: np.ndarray, value_a: np.ndarray, value_b: np.ndarray, *, confidence: float) -> PairedAuc:
    """Compare two models' AUCs by DeLong's method.

    Args:
        truth: bool array of shape (n_cases,).
        value_a: float array of shape (n_cases,), model A's.
        value_b: float array of shape (n_cases,), model B's.
        confidence: coverage, in (0, 1).
    """
    areas = auc(truth, value_a), auc(truth, value_b)
    difference = areas[1] - areas[0]
    if min(truth.sum(), (~truth).sum()) < 2:
        return PairedAuc(*areas, difference, CANNOT, CANNOT, CANNOT)
    components = [_placements(truth, value) for value in (value_a, value_b)]
    variance = sum(np.var(b - a, ddof=1) / len(a) for a, b in zip(*components, strict=True))
    error = float(np.sqrt(variance))
    if error == 0:
        return PairedAuc(*areas, difference, CANNOT, CANNOT, 1.0 if difference == 0 else CANNOT)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * error
    p = float(2 * stats.norm.sf(abs(difference) / error))
    return PairedAuc(*areas, difference, difference - reach, difference + reach, p)


def _placements(truth: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's components: of each case with pCR the share of those without below it, and the other way round.

    Computed from mid-ranks (Sun and Xu, IEEE Signal Processing Letters 21, 2014).
    """
    ranks = stats.rankdata(value)
    n_with, n_without = int(truth.sum()), int((~truth).sum())
    with_pcr = (ranks[truth] - stats.rankdata(value[truth])) / n_without
    without = 1 - (ranks[~truth] - stats.rankdata(value[~truth])) / n_with
    return with_pcr, without
