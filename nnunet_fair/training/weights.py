"""From divergences to one weight a training case.

How far a case's subgroups fall short of the average becomes its weight. Either each case takes the frequent subgroup S*
that contains it and has the lowest divergence, as Poeta et al. do ("Divergence-Aware Training with Automatic Subgroup
Mitigation for Breast Tumor Segmentation", Deep-Breath at MICCAI 2025; they take w = |Δ(S*)|), or the shortfall is
averaged over all subgroups by the evidence for each, see ``evidence``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.evidence import MISSING, informed_membership, membership_probability, subgroup_evidence
from nnunet_fair.subgroups.itemsets import Subgroups, mine_subgroups, subgroup_membership
from nnunet_fair.training.config import FairConfig

SMALL_SHORTFALL = 0.001
"""A case whose subgroups make it expect less than a tenth of a Dice point below average is named in none."""


@dataclass(frozen=True, repr=False)
class Refresh:
    """What one refresh found.

    Attributes:
        weights: float array of shape (n_train,), one a training case in the order given; mean 1 except under the
            rule ``published``.
        subgroup: each training case's S*, by name, of length n_train; "" for a case in no disadvantaged subgroup.
        divergence: the table of :func:`subgroup_divergence` over the scored cases, the most negative first, with a
            further column ``probability``: that the subgroup is the disadvantaged one, see ``evidence``; NaN where the
            search is for the lowest.
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
        self.train_cases = train_cases
        self._config = config
        self._mined_for: tuple[str, ...] | None = None
        self._subgroups: Subgroups | None = None
        self._train_membership: np.ndarray | None = None
        self._scored_probability: np.ndarray | None = None
        self._train_probability: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"SubgroupFinder(n_scorable={len(self._cases)}, n_train={len(self.train_cases)})"

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

        if self._config.averages:
            worst, lowest, probability = self._averaged(scores, divergence["t"].to_numpy())
        else:
            worst, lowest = self._lowest(divergence)
            probability = np.nan
        divergence = divergence.assign(probability=probability)
        names = self._subgroups.names
        return Refresh(
            weights=rule_weights(lowest, spread, self._config),
            subgroup=tuple(names[index] if index >= 0 else "" for index in worst),
            divergence=divergence.sort_values("divergence", kind="stable", ignore_index=True),
            note="" if (worst >= 0).any() else "no training case is in a subgroup below average",
        )

    def _averaged(self, scores: pd.Series, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each case's subgroup that contributes most, −1 for none, its expected divergence, and the probabilities."""
        evidence = subgroup_evidence(
            scores.to_numpy(dtype=float), self._scored_probability, np.array(list(map(len, self._subgroups.itemsets)))
        )
        posterior = evidence.posterior
        if self._config.min_t > 0:
            posterior = np.where(np.abs(t) >= self._config.min_t, posterior, 0.0)
        own_scores = scores.reindex(self.train_cases.index).to_numpy(dtype=float)
        membership = informed_membership(self._train_probability, own_scores, evidence)
        contribution = membership * (posterior * evidence.shortfall)
        worst = contribution.argmax(axis=1)
        told = contribution.max(axis=1) >= SMALL_SHORTFALL
        return np.where(told, worst, -1), -contribution.sum(axis=1), posterior

    def _lowest(self, divergence: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Each case's subgroup with the lowest divergence after shrinkage, −1 for none, and that divergence."""
        n = divergence["n"].to_numpy(dtype=float)
        shrunk = divergence["divergence"].to_numpy() * n / (n + self._config.shrinkage)
        delta = divergence["divergence"].to_numpy() if self._config.rule == "published" else shrunk
        usable = np.isfinite(delta) & (delta < 0)
        if self._config.min_t > 0:
            usable &= np.abs(divergence["t"].to_numpy()) >= self._config.min_t
        return worst_subgroups(delta, self._train_membership, usable)

    def _mine(self, scored: pd.Index) -> None:
        if self._mined_for == tuple(scored):
            return
        known = self._cases.reindex(scored)
        self._subgroups = mine_subgroups(
            self._with_missing(known),
            min_support=self._config.min_support,
            min_cases=self._config.min_cases,
            max_items=self._config.max_items,
        )
        itemsets = self._subgroups.itemsets
        if self._config.averages:
            self._scored_probability = membership_probability(itemsets, known, known)
            same = known.equals(self.train_cases)  # as with score_cases "train", once every case has been seen
            self._train_probability = (
                self._scored_probability
                if same
                else membership_probability(itemsets, self.train_cases, self.train_cases)
            )
        else:
            self._train_membership = subgroup_membership(itemsets, self._with_missing(self.train_cases))
        self._mined_for = tuple(scored)

    def _with_missing(self, cases: pd.DataFrame) -> pd.DataFrame:
        """The table with missing values as a group of their own, where the settings ask for it.

        A case without any metadata stays in no group.
        """
        if not self._config.missing_as_group:
            return cases
        return cases.where(cases.notna() | cases.isna().all(axis=1).to_numpy()[:, None], MISSING)

    def _neutral(self, note: str, divergence: pd.DataFrame | None = None) -> Refresh:
        n_train = len(self.train_cases)
        empty = subgroup_divergence(Subgroups((), (), np.zeros((0, 0), dtype=bool)), np.zeros(0))
        table = (empty if divergence is None else divergence).assign(probability=np.nan)
        return Refresh(np.ones(n_train), ("",) * n_train, table, note)
