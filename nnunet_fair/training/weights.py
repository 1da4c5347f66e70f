"""From divergences to one weight a training case.

Each case takes the frequent subgroup S* that contains it and has the lowest divergence; how far S* falls short of the
average becomes the case's weight. Poeta et al., "Divergence-Aware Training with Automatic Subgroup Mitigation for
Breast Tumor Segmentation" (Deep-Breath at MICCAI 2025) take w = |Δ(S*)|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.data.subgroups import Subgroups, mine_subgroups, subgroup_divergence, subgroup_membership
from nnunet_fair.training.config import FairConfig


@dataclass(frozen=True, repr=False)
class Refresh:
    """What one refresh found.

    Attributes:
        weights: float array of shape (n_train,), one a training case in the order given; mean 1 except under the
            rule ``published``.
        subgroup: each training case's S*, by name, of length n_train; "" for a case in no disadvantaged subgroup.
        divergence: the table of :func:`subgroup_divergence` over the scored cases, the most negative first.
        note: why the weights are neutral, in one sentence; "" where they are not.
    """

    weights: np.ndarray
    subgroup: tuple[str, ...]
    divergence: pd.DataFrame
    note: str = ""

    def __repr__(self) -> str:
        return f"Refresh(n_train={len(self.weights)}, n_subgroups={len(self.divergence)})"


def worst_subgroups(
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


def rule_weights(worst_divergence: np.ndarray, spread: float, config: FairConfig) -> np.ndarray:
    """Weights from each case's lowest divergence.

    With the shortfall d = max(0, −Δ*) and σ = ``spread``:

    - ``shortfall``: w = min(max_weight, 1 + strength · d/σ), then divided by the mean;
    - ``exponential``: w = min(max_weight, exp(strength · d/σ)), then divided by the mean;
    - ``published``: w = d where d > 0, as in Poeta et al., neither capped nor normalised.

    A case without shortfall has w = 1 before normalisation. Dividing by the mean keeps the size of the gradient
    step from drifting with the weights.

    Args:
        worst_divergence: Δ*, float array of shape (n_cases,), 0 for a case in no subgroup.
        spread: σ, the standard deviation of the scores; where it is 0 nobody falls short.
        config: the settings.

    Returns:
        Float array of shape (n_cases,).
    """
    shortfall = np.maximum(0.0, -worst_divergence)
    if config.rule == "published":
        return np.where(shortfall > 0, shortfall, 1.0)
    relative = shortfall / spread if spread > 0 else np.zeros_like(shortfall)
    if config.rule == "shortfall":
        weights = 1.0 + config.strength * relative
    else:
        weights = np.exp(np.minimum(config.strength * relative, np.log(config.max_weight)))
    weights = np.minimum(config.max_weight, weights)
    return weights / weights.mean() if len(weights) else weights


class SubgroupFinder:
    """Finds the frequent subgroups of the scored cases and turns scores into weights of the training cases.

    Subgroups are frequent among the *scored* cases, so they are mined again when that set changes, which it stops
    doing once every case has been seen; after that a refresh is two matrix products.

    Args:
        cases: attribute table of shape (n_scorable, n_attributes), indexed by case ID: every case that may be scored
            and has metadata.
        train_cases: attribute table of the training cases, of shape (n_train, n_attributes); a case without metadata
            has a row of missing values.
        config: the settings.
    """

    def __init__(self, cases: pd.DataFrame, train_cases: pd.DataFrame, config: FairConfig) -> None:
        self._cases = cases
        self._train_cases = train_cases
        self._config = config
        self._mined_for: tuple[str, ...] | None = None
        self._subgroups: Subgroups | None = None
        self._train_membership: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"SubgroupFinder(n_scorable={len(self._cases)}, n_train={len(self._train_cases)})"

    def refresh(self, scores: pd.Series) -> Refresh:
        """Weigh the training cases by what is known now.

        Args:
            scores: one score in [0, 1] a case, indexed by case ID, NaN where a case has none yet; cases without
                metadata count towards the average of all but are in no subgroup.

        Returns:
            The weights and where they come from; neutral weights, with the reason, where nothing can be said.
        """
        scores = scores[np.isfinite(scores.to_numpy(dtype=float))]
        if len(scores) == 0:
            return self._neutral("no case has been scored yet")
        self._mine(scores.index)
        divergence = subgroup_divergence(self._subgroups, scores.to_numpy(dtype=float))
        if len(divergence) == 0:
            return self._neutral(f"no subgroup is frequent among the {len(scores)} scored cases", divergence)
        spread = float(scores.std(ddof=0))
        if not spread > 0:
            return self._neutral(f"all {len(scores)} scored cases have the same score", divergence)

        n = divergence["n"].to_numpy(dtype=float)
        shrunk = divergence["divergence"].to_numpy() * n / (n + self._config.shrinkage)
        delta = divergence["divergence"].to_numpy() if self._config.rule == "published" else shrunk
        usable = np.isfinite(delta) & (delta < 0)
        if self._config.min_t > 0:
            usable &= np.abs(divergence["t"].to_numpy()) >= self._config.min_t
        worst, lowest = worst_subgroups(delta, self._train_membership, usable)
        names = self._subgroups.names
        return Refresh(
            weights=rule_weights(lowest, spread, self._config),
            subgroup=tuple(names[index] if index >= 0 else "" for index in worst),
            divergence=divergence.sort_values("divergence", kind="stable", ignore_index=True),
            note="" if (worst >= 0).any() else "no training case is in a subgroup below average",
        )

    def _mine(self, scored: pd.Index) -> None:
        if self._mined_for == tuple(scored):
            return
        self._subgroups = mine_subgroups(
            self._cases.reindex(scored),
            min_support=self._config.min_support,
            min_cases=self._config.min_cases,
            max_items=self._config.max_items,
        )
        self._train_membership = subgroup_membership(self._subgroups.itemsets, self._train_cases)
        self._mined_for = tuple(scored)

    def _neutral(self, note: str, divergence: pd.DataFrame | None = None) -> Refresh:
        n_train = len(self._train_cases)
        empty = subgroup_divergence(Subgroups((), (), np.zeros((0, 0), dtype=bool)), np.zeros(0))
        return Refresh(np.ones(n_train), ("",) * n_train, empty if divergence is None else divergence, note)
