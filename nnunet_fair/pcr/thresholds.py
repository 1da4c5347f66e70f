"""One threshold for everybody: by balanced accuracy, or by the challenge's ranking score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnunet_fair.evaluation.scores.cohort import GroupMembership
from nnunet_fair.evaluation.scores.pcr_score import PcrStatistics

BALANCED_ACCURACY, RANKING = "balanced-accuracy", "ranking"
THRESHOLDS = (BALANCED_ACCURACY, RANKING)
LEAST_SHARE = 0.01
"""Smallest share of either decision in every inner fold: constant decisions have no disparity and a ranking of 0.75,
more than any model of the challenge had, and the challenge refuses them."""
_MOST = 200  # thresholds tried


def best_threshold(
    truth: np.ndarray,
    probabilities: np.ndarray,
    by: str,
    *,
    folds: np.ndarray | None = None,
    variables: Sequence[GroupMembership] = (),
) -> float:
    """The threshold with the best score on these cases.

    Args:
        truth: bool array of shape (n_cases,) with both outcomes.
        probabilities: float array of shape (n_cases,).
        by: one of :data:`THRESHOLDS`.
        folds: the inner fold of each case, int array of shape (n_cases,); None for one fold.
        variables: the groups of the ranking's fairness.

    Returns:
        A probability: from it on the decision is pCR. Of equally good ones the nearest to the outcome's rate; where
        no probability leaves both decisions :data:`LEAST_SHARE` of every fold, the median.
    """
    known = np.unique(probabilities)
    middles = (known[1:] + known[:-1]) / 2
    if len(middles) > _MOST:
        middles = np.unique(np.quantile(middles, np.linspace(0, 1, _MOST), method="nearest"))
    middles = middles[_divides(middles, probabilities, np.zeros(len(truth)) if folds is None else folds)]
    if not len(middles):
        return float(np.median(probabilities))
    quality = np.array([decision_score(truth, probabilities >= middle, by, variables) for middle in middles])
    best = middles[quality >= quality.max() - 1e-12]
    return float(best[np.abs(best - truth.mean()).argmin()])


def _divides(thresholds: np.ndarray, probabilities: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Whether a threshold gives both decisions to enough cases of every fold, bool array of shape (n_thresholds,)."""
    divides = np.ones(len(thresholds), dtype=bool)
    for fold in np.unique(folds):
        share = (probabilities[folds == fold] >= thresholds[:, None]).mean(axis=1)
        divides &= (share >= LEAST_SHARE) & (share <= 1 - LEAST_SHARE)
    return divides


def decision_score(
    truth: np.ndarray, decision: np.ndarray, by: str, variables: Sequence[GroupMembership] = ()
) -> float:
    """Balanced accuracy or ranking score of decisions.

    Args:
        truth: bool array of shape (n_cases,).
        decision: bool array of shape (n_cases,).
        by: one of :data:`THRESHOLDS`.
        variables: the groups of the ranking's fairness.
    """
    if by == BALANCED_ACCURACY:
        return float((decision[truth].mean() + 1 - decision[~truth].mean()) / 2)
    statistics = PcrStatistics(truth, decision, variables)
    return float(statistics(np.ones((1, len(truth))))[0, statistics.names.index("ranking")])
