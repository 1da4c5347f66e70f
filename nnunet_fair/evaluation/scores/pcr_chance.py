"""What chance would give: the score of classifiers that predict as often, and know nothing.

The predictions are dealt out anew among the patients. A random classifier has a disparity too, because groups are
small: it is the line to beat. p is (1 + deals as good as the model) / (1 + deals): Phipson and Smyth, "Permutation
p-values should never be zero", Statistical Applications in Genetics and Molecular Biology 9 (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_fair.evaluation.scores.cohort import GroupMembership
from nnunet_fair.evaluation.scores.options import CHALLENGE_LAMBDA
from nnunet_fair.evaluation.scores.pcr_score import pcr_ranking

NAMES = ("balanced_accuracy", "fairness_disparity", "ranking")
_BLOCK = 200  # deals in memory at a time


@dataclass(frozen=True)
class Chance:
    """A score among those of random classifiers with as many predictions of pCR.

    Attributes:
        observed: the model's.
        mean: the mean of the random ones.
        low: their 5th percentile.
        high: their 95th percentile.
        p: how often a random one is at least as good; NaN where there is no score.
    """

    observed: float
    mean: float
    low: float
    high: float
    p: float


def chance_scores(
    truth: np.ndarray,
    decision: np.ndarray,
    value: np.ndarray | None,
    variables: Sequence[GroupMembership],
    *,
    lambda_: float = CHALLENGE_LAMBDA,
    n_deals: int = 2000,
    seed: int = 0,
) -> dict[str, Chance]:
    """Deal the predictions out at random and see where the model stands.

    Args:
        truth: bool array of shape (n_cases,), both outcomes in it.
        decision: bool array of shape (n_cases,).
        value: float array of shape (n_cases,), probabilities without NaN; None where there are none.
        variables: the groups of the fairness score.
        lambda_: weight of the fairness in the ranking.
        n_deals: random classifiers.
        seed: seed of the deals.

    Returns:
        ``balanced_accuracy``, ``fairness_disparity``, ``ranking`` and, with probabilities, ``auc``. A small disparity
        is good, a small value of the others is not.
    """
    ranks = stats.rankdata(decision if value is None else value)
    rng = np.random.default_rng(seed)
    whole = _scores(truth, decision[None], ranks[None], variables, lambda_)
    blocks = []
    for start in range(0, n_deals, _BLOCK):
        deals = np.stack([rng.permutation(len(truth)) for _ in range(min(_BLOCK, n_deals - start))])
        blocks.append(_scores(truth, decision[deals], ranks[deals], variables, lambda_))
    random = np.concatenate(blocks)
    found = {}
    for position, name in enumerate((*NAMES, "auc")):
        observed, column = float(whole[0, position]), random[:, position]
        if name == "auc" and value is None:
            continue
        sign = -1 if name == "fairness_disparity" else 1
        # Rounding makes equal scores differ in the last digit.
        as_good = int((sign * column >= sign * observed - 1e-12).sum())
        p = float("nan") if np.isnan(observed) else (1 + as_good) / (1 + len(column))
        low, high = np.quantile(column, (0.05, 0.95))
        found[name] = Chance(observed, float(column.mean()), float(low), float(high), p)
    return found


def _scores(
    truth: np.ndarray,
    decisions: np.ndarray,
    ranks: np.ndarray,
    variables: Sequence[GroupMembership],
    lambda_: float,
) -> np.ndarray:
    """Balanced accuracy, official disparity, ranking and AUC of each deal, shape (n_deals, 4)."""
    positive = decisions.astype(float)
    n_with, n_without = int(truth.sum()), int((~truth).sum())
    accuracy = (positive @ truth / n_with + 1 - positive @ ~truth / n_without) / 2
    disparities = [_official_disparity(positive, truth, entry) for entry in variables]
    disparity = np.clip(np.mean(disparities, axis=0), 0, 1) if disparities else np.full(len(positive), np.nan)
    areas = (ranks @ truth - n_with * (n_with + 1) / 2) / (n_with * n_without)
    return np.stack([accuracy, disparity, pcr_ranking(accuracy, disparity, lambda_), areas], axis=1)


def _official_disparity(positive: np.ndarray, truth: np.ndarray, entry: GroupMembership) -> np.ndarray:
    """See :func:`nnunet_fair.evaluation.scores.pcr_score.equalised_odds_disparity`, for many sets of predictions."""
    rates = []
    for outcome in (truth, ~truth):
        inside = (entry.membership & outcome[:, None]).astype(float)
        rates.append(positive @ inside / np.maximum(inside.sum(axis=0), 1))
    hits_only = (positive @ entry.membership == entry.n) & ~(entry.membership & ~truth[:, None]).any(axis=0)
    return np.ptp(np.where(hits_only, 0.0, rates[0]), axis=1) + np.ptp(rates[1], axis=1)
