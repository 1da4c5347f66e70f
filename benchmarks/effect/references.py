"""What the trainer is compared with: reference rules that weigh the same cases by something else than divergence.

Each stands where the trainer's ``SubgroupFinder`` stands and gives one weight a training case of mean 1, so that the
place where weights act, the batches and the rest of the training are the trainer's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.itemsets import Subgroups
from nnunet_fair.training.finder import Refresh


def _refresh(weights: np.ndarray) -> Refresh:
    nothing = subgroup_divergence(Subgroups((), (), np.zeros((0, 0), dtype=bool)), np.zeros(0)).assign(probability=0.0)
    return Refresh(weights / weights.mean(), ("",) * len(weights), nothing)


class Oracle:
    """Knows the planted group: its cases weigh ``factor``, the others 1, before division by the mean.

    Args:
        train_ids: the training cases in the session's order.
        group: the planted group's cases, by the true values.
        factor: weight of a case of the group.
    """

    def __init__(self, train_ids: Sequence[str], group: set[str], factor: float) -> None:
        self._weights = np.array([factor if case_id in group else 1.0 for case_id in train_ids])

    def refresh(self, scores: pd.Series) -> Refresh:
        """The same weights whatever the scores."""
        return _refresh(self._weights)


class InverseFrequency:
    """Every group of every attribute gets the same weight in all, whatever its size, averaged over the attributes.

    A missing value is a group of its own.

    Args:
        train_cases: attribute table of the training cases, of shape (n_train, n_attributes).
    """

    def __init__(self, train_cases: pd.DataFrame) -> None:
        per_attribute = []
        for name in train_cases.columns:
            groups = train_cases[name].astype(object).fillna("(missing)")
            share = groups.map(groups.value_counts(normalize=True)).to_numpy(dtype=float)
            per_attribute.append(1 / (share * groups.nunique()))
        self._weights = np.mean(per_attribute, axis=0)

    def refresh(self, scores: pd.Series) -> Refresh:
        """The same weights whatever the scores."""
        return _refresh(self._weights)


class GroupDRO:
    """Group distributionally robust optimisation over single attributes (Sagawa et al., ICLR 2020).

    The distribution q over the groups of an attribute is renewed once a refresh instead of once a step, from running
    scores: q_g ← q_g · exp(η · (1 − mean score of g)), normalised. A case's weight is q_g / share of g, averaged over
    the attributes; a case whose value is missing weighs 1 there.

    Args:
        train_cases: attribute table of the training cases, of shape (n_train, n_attributes).
        eta: step size η.
    """

    def __init__(self, train_cases: pd.DataFrame, eta: float) -> None:
        self._cases = train_cases
        self._eta = eta
        self._q = {name: train_cases[name].value_counts(normalize=True) for name in train_cases.columns}
        self._share = {name: q.copy() for name, q in self._q.items()}

    def refresh(self, scores: pd.Series) -> Refresh:
        """Renew q and weigh the cases."""
        scores = scores.reindex(self._cases.index)
        weights = []
        for name, q in self._q.items():
            loss = 1 - scores.groupby(self._cases[name]).mean().reindex(q.index).fillna(scores.mean())
            q = q * np.exp(self._eta * loss)
            self._q[name] = q = q / q.sum()
            weights.append(self._cases[name].map(q / self._share[name]).astype(float).fillna(1.0).to_numpy())
        return _refresh(np.mean(weights, axis=0))
