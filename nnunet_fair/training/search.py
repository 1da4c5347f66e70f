"""A way of searching for who falls short, and the publication's; the default one: ``subgroups.shortfalls``."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.itemsets import Subgroups, subgroup_membership
from nnunet_fair.subgroups.shortfalls import Shortfalls


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
