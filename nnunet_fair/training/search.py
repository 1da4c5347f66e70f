"""How far a case falls short: two ways of making one number a case of the divergences of many subgroups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.evidence import informed_membership, membership_probability, subgroup_evidence
from nnunet_fair.subgroups.itemsets import Subgroups, subgroup_membership

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


class Search(Protocol):
    """A way of searching, fitted to one set of scored cases."""

    def __init__(self, subgroups: Subgroups, scored: pd.DataFrame, train: pd.DataFrame, train_filled: pd.DataFrame):
        """Work out who belongs to which subgroup.

        Args:
            subgroups: those frequent among the scored cases.
            scored: attribute table of the scored cases, missing values NaN.
            train: attribute table of the training cases, missing values NaN.
            train_filled: the same with missing values as a group of their own, where they form one.
        """

    def shortfalls(self, scores: pd.Series, divergence: pd.DataFrame, min_t: float) -> Shortfalls:
        """Search.

        Args:
            scores: of the scored cases, without NaN, indexed by case ID in the order they were given in.
            divergence: their table of ``subgroup_divergence``, one row a subgroup in the subgroups' order.
            min_t: subgroups whose |t| is smaller are ignored.
        """


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
        """See :class:`Search`."""
        evidence = subgroup_evidence(scores.to_numpy(dtype=float), self._scored_probability, self._sizes)
        posterior = evidence.posterior
        if min_t > 0:
            posterior = np.where(np.abs(divergence["t"].to_numpy()) >= min_t, posterior, 0.0)
        own_scores = scores.reindex(self._train.index).to_numpy(dtype=float)
        membership = informed_membership(self._train_probability, own_scores, evidence)
        contribution = membership * (posterior * evidence.shortfall)
        told = contribution.max(axis=1) >= SMALL_SHORTFALL
        return Shortfalls(contribution.sum(axis=1), np.where(told, contribution.argmax(axis=1), -1), posterior)


class LowestSearch:
    """Gives each case the subgroup S* that contains it and has the lowest divergence, as Poeta et al. 2025 do."""

    def __init__(
        self, subgroups: Subgroups, scored: pd.DataFrame, train: pd.DataFrame, train_filled: pd.DataFrame
    ) -> None:
        self._membership = subgroup_membership(subgroups.itemsets, train_filled)

    def estimate(self, divergence: pd.DataFrame) -> np.ndarray:
        """Δ(S) of each subgroup, float array of shape (n_subgroups,): as it is measured."""
        return divergence["divergence"].to_numpy()

    def shortfalls(self, scores: pd.Series, divergence: pd.DataFrame, min_t: float) -> Shortfalls:
        """See :class:`Search`."""
        delta = self.estimate(divergence)
        usable = np.isfinite(delta) & (delta < 0)
        if min_t > 0:
            usable &= np.abs(divergence["t"].to_numpy()) >= min_t
        worst, lowest = lowest_subgroups(delta, self._membership, usable)
        return Shortfalls(-lowest, worst, np.full(len(delta), np.nan))


def lowest_subgroups(
    divergence: np.ndarray, membership: np.ndarray, usable: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The subgroup with the lowest divergence that contains each case.

    Args:
        divergence: float array of shape (n_subgroups,).
        membership: bool array of shape (n_cases, n_subgroups).
        usable: bool array of shape (n_subgroups,); the others are passed over.

    Returns:
        Index of S*, int array of shape (n_cases,), −1 for a case in no usable subgroup, and Δ(S*), float array of
        shape (n_cases,), 0 for such a case. Of equal subgroups the first wins.
    """
    n_cases, n_subgroups = membership.shape
    if n_subgroups == 0:
        return np.full(n_cases, -1), np.zeros(n_cases)
    candidates = np.where(membership & usable, divergence, np.inf)
    worst = candidates.argmin(axis=1)
    lowest = candidates[np.arange(n_cases), worst]
    found = np.isfinite(lowest)
    return np.where(found, worst, -1), np.where(found, lowest, 0.0)
