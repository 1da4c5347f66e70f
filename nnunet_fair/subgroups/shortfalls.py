"""How far a case falls short, of the divergences of many subgroups, and what it then weighs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.evidence import informed_membership, membership_probability, subgroup_evidence
from nnunet_fair.subgroups.itemsets import Subgroups

SMALL_SHORTFALL = 0.001
"""A case whose subgroups make it expect less than a tenth of a Dice point below average is named in none."""


@dataclass(frozen=True, repr=False)
class Shortfalls:
    """How far each training case falls short.

    Attributes:
        amount: float array of shape (n_train,), ≥ 0.
        subgroup: index of the subgroup it comes from most, int array of shape (n_train,), −1 for none.
        probability: that each subgroup is the disadvantaged one, float array of shape (n_subgroups,); NaN where the
            search weighs no evidence.
    """

    amount: np.ndarray
    subgroup: np.ndarray
    probability: np.ndarray


class AveragedSearch:
    """Averages each case's shortfall over all subgroups by the evidence for each, see ``subgroups.evidence``.

    A subgroup that only contains a disadvantaged one does not pass for it, and a missing value is imputed: the trained
    effect was +8.9 and +11.7 DSC points against +7.1 and +7.6 of the lowest divergence (docs/effect.md).
    """

    def __init__(
        self, subgroups: Subgroups, scored: pd.DataFrame, train: pd.DataFrame, train_filled: pd.DataFrame
    ) -> None:
        itemsets = subgroups.itemsets
        self._sizes = np.array(list(map(len, itemsets)))
        self._train = train
        self._scored_probability = membership_probability(itemsets, scored, scored)
        # the same table as soon as every training case has been scored
        same = scored.equals(train)
        self._train_probability = self._scored_probability if same else membership_probability(itemsets, train, train)

    def shortfalls(self, scores: pd.Series, divergence: pd.DataFrame, min_t: float) -> Shortfalls:
        """Average the shortfalls.

        Args:
            scores: of the scored cases, without NaN, indexed by case ID in the order they were given in.
            divergence: their table of ``subgroup_divergence``, one row a subgroup in the subgroups' order.
            min_t: subgroups whose |t| is smaller are ignored.
        """
        evidence = subgroup_evidence(scores.to_numpy(dtype=float), self._scored_probability, self._sizes)
        posterior = evidence.posterior
        if min_t > 0:
            posterior = np.where(np.abs(divergence["t"].to_numpy()) >= min_t, posterior, 0.0)
        own_scores = scores.reindex(self._train.index).to_numpy(dtype=float)
        membership = informed_membership(self._train_probability, own_scores, evidence)
        contribution = membership * (posterior * evidence.shortfall)
        told = contribution.max(axis=1) >= SMALL_SHORTFALL
        return Shortfalls(contribution.sum(axis=1), np.where(told, contribution.argmax(axis=1), -1), posterior)


def capped_weights(shortfall: np.ndarray, spread: float, *, strength: float, max_weight: float) -> np.ndarray:
    """W = min(max_weight, 1 + strength · d/σ), divided by the mean of all.

    A case without shortfall has w = 1 before the division, which keeps the size of the gradient step from drifting with
    the weights.

    Args:
        shortfall: d, float array of shape (n_cases,), how far each case's subgroups fall short of the mean, ≥ 0.
        spread: σ, the standard deviation of the scores; where it is 0 nobody falls short.
        strength: weight added by a standard deviation of shortfall.
        max_weight: cap on a weight, before the division.

    Returns:
        Float array of shape (n_cases,), with mean 1.
    """
    relative = shortfall / spread if spread > 0 else np.zeros_like(shortfall)
    weights = np.minimum(max_weight, 1.0 + strength * relative)
    return weights / weights.mean() if len(weights) else weights
