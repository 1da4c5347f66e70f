"""The divergence of a score on subgroups.

The divergence of a score f on a subgroup S is Δ(S) = mean of f over its cases − mean of f over all scored cases.
Source: Pastor, de Alfaro and Baralis, "Looking for Trouble: Analyzing Classifier Behavior via Pattern Divergence",
SIGMOD 2021.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.subgroups.itemsets import Subgroups

DIVERGENCE_COLUMNS = ("subgroup", "n", "support", "mean_score", "divergence", "t", "p")


def subgroup_divergence(subgroups: Subgroups, scores: np.ndarray) -> pd.DataFrame:
    """The divergence of a score on every subgroup.

    t is Welch's, of the subgroup against the cases outside it: negative where the subgroup scores lower. It is NaN,
    like its two-sided p, where either side has fewer than two cases or neither has any spread.

    Args:
        subgroups: the subgroups.
        scores: float array of shape (n_cases,), higher is better, NaN where a case has no score; such cases are left
            out of every mean.

    Returns:
        Table of shape (n_subgroups, 7) in the order of ``subgroups.itemsets``: subgroup, n (scored cases in it),
        support (n over all scored cases), mean_score, divergence, t, p.

    Raises:
        ValueError: scores has another length than the cases.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.shape != (len(subgroups.case_ids),):
        raise ValueError(f"expected one score a case, shape ({len(subgroups.case_ids)},), found shape {scores.shape}")
    scored = np.isfinite(scores)
    values = scores[scored]
    inside = subgroups.membership[scored].astype(float)
    n_scored = len(values)
    n = inside.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_inside, deviation_inside = _mean_and_deviation(inside, values, n)
        mean_outside, deviation_outside = _mean_and_deviation(1.0 - inside, values, n_scored - n)
        test = stats.ttest_ind_from_stats(
            mean_inside, deviation_inside, n, mean_outside, deviation_outside, n_scored - n, equal_var=False
        )
        divergence = mean_inside - (values.mean() if n_scored else np.nan)
        support = n / n_scored if n_scored else np.zeros_like(n)
    usable = (n >= 2) & (n_scored - n >= 2) & (deviation_inside + deviation_outside > 0)
    return pd.DataFrame(
        {
            "subgroup": list(subgroups.names),
            "n": n.astype(int),
            "support": support,
            "mean_score": mean_inside,
            "divergence": divergence,
            "t": np.where(usable, test.statistic, np.nan),
            "p": np.where(usable, test.pvalue, np.nan),
        },
        columns=list(DIVERGENCE_COLUMNS),
    )


def _mean_and_deviation(weights: np.ndarray, values: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sample standard deviation of ``values`` under each 0/1 column of ``weights``."""
    centre = values.mean() if len(values) else 0.0  # deviations from the mean keep the squares from cancelling
    centred = values - centre
    mean = weights.T @ centred / n
    variance = (weights.T @ centred**2 - n * mean**2) / (n - 1)
    return mean + centre, np.sqrt(np.clip(variance, 0.0, None))
