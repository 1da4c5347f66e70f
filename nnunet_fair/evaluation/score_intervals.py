"""Confidence intervals of the headline: performance, fairness, gaps, worst group, group means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.bootstrap import Intervals, bootstrap_intervals, weighted_means
from nnunet_fair.evaluation.challenge_score import CHALLENGE_LAMBDA, ranking_score


@dataclass(frozen=True)
class GroupMembership:
    """The groups of one variable as a matrix.

    Attributes:
        variable: the variable's name.
        names: group names in their order, of length n_groups.
        membership: bool array of shape (n_cases, n_groups).
    """

    variable: str
    names: tuple[str, ...]
    membership: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Number of cases of each group, shape (n_groups,)."""
        return self.membership.sum(axis=0)


def group_memberships(groups: pd.DataFrame, case_ids: pd.Index, variables: Sequence[str]) -> list[GroupMembership]:
    """The groups of each variable that has any.

    Args:
        groups: table of shape (n_cases_with_metadata, n_attributes), indexed by case ID.
        case_ids: the cases, of length n_cases.
        variables: columns of ``groups``.

    Returns:
        One entry a variable with at least one group among the cases.
    """
    entries = []
    for variable in variables:
        values = groups[variable].reindex(case_ids)
        names = tuple(sorted(values.dropna().unique(), key=str))
        if names:
            membership = np.stack([(values == name).to_numpy(dtype=bool, na_value=False) for name in names], axis=1)
            entries.append(GroupMembership(variable, names, membership))
    return entries


@dataclass(frozen=True)
class ScoreStatistics:
    """The headline's statistics as a function of case weights.

    Attributes:
        dsc: float array of shape (n_cases,).
        norm_hd: float array of shape (n_cases,).
        variables: the groups of the fairness variables.
        min_group: smallest number of cases with which a group may be named the worst.
        lambda_: weight of the fairness in the ranking.
    """

    dsc: np.ndarray
    norm_hd: np.ndarray
    variables: tuple[GroupMembership, ...]
    min_group: int
    lambda_: float = CHALLENGE_LAMBDA

    @property
    def names(self) -> tuple[str, ...]:
        """The statistics in the order of the columns of :meth:`__call__`."""
        names = ["mean_dsc", "mean_norm_hd", "performance", "fairness", "ranking", "worst_group_dsc"]
        for entry in self.variables:
            names += [f"{what}:{entry.variable}" for what in ("fairness", "gap_dsc", "gap_norm_hd", "worst_group_dsc")]
            names += [
                f"{what}:{entry.variable}={name}" for what in ("mean_dsc", "mean_norm_hd") for name in entry.names
            ]
        return tuple(names)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """The statistics.

        Args:
            weights: float array of shape (n_replicates, n_cases), not negative.

        Returns:
            Float array of shape (n_replicates, n_statistics); NaN where a group has no weight.
        """
        everybody = np.ones((len(self.dsc), 1), dtype=bool)
        mean_dsc = weighted_means(weights, self.dsc, everybody)[:, 0]
        mean_norm_hd = weighted_means(weights, self.norm_hd, everybody)[:, 0]
        performance = 0.5 * (mean_dsc + 1 - mean_norm_hd)
        columns: list[np.ndarray] = []
        fairness, worst = [], []
        for entry in self.variables:
            dsc = weighted_means(weights, self.dsc, entry.membership)
            norm_hd = weighted_means(weights, self.norm_hd, entry.membership)
            gap_dsc, gap_norm_hd = np.ptp(dsc, axis=1), np.ptp(norm_hd, axis=1)
            counted = dsc[:, entry.n >= self.min_group]
            worst.append(counted.min(axis=1) if counted.shape[1] else np.full(len(weights), np.nan))
            fairness.append(1 - 0.5 * (gap_dsc + gap_norm_hd))
            columns += [fairness[-1], gap_dsc, gap_norm_hd, worst[-1], *dsc.T, *norm_hd.T]
        nothing = np.full(len(weights), np.nan)
        overall_fairness = np.mean(fairness, axis=0) if fairness else nothing
        known = [column for column in worst if np.isfinite(column).any()]
        head = [
            mean_dsc,
            mean_norm_hd,
            performance,
            overall_fairness,
            ranking_score(performance, overall_fairness, self.lambda_),
            np.min(known, axis=0) if known else nothing,
        ]
        return np.stack([*head, *columns], axis=1)


@dataclass(frozen=True)
class NamedIntervals:
    """Intervals looked up by the statistic's name.

    Attributes:
        names: of length n_statistics.
        values: their intervals.
    """

    names: tuple[str, ...]
    values: Intervals

    def row(self, name: str, method: str = "bca") -> tuple[float, float, float]:
        """Estimate, lower and upper end of one statistic; the percentile interval where BCa has none.

        Raises:
            ValueError: there is no such statistic.
        """
        position = self.names.index(name)
        ends = self.values.bca[position] if method == "bca" else self.values.percentile[position]
        if not np.isfinite(ends).all():
            ends = self.values.percentile[position]
        return float(self.values.estimate[position]), float(ends[0]), float(ends[1])


def score_intervals(statistics: ScoreStatistics, *, n_resamples: int, confidence: float, seed: int) -> NamedIntervals:
    """Intervals of every headline statistic from one set of replicates.

    Args:
        statistics: the statistics.
        n_resamples: number of replicates.
        confidence: coverage, in (0, 1).
        seed: seed of the replicates.

    Returns:
        The intervals by name.
    """
    intervals = bootstrap_intervals(
        statistics, len(statistics.dsc), n_resamples=n_resamples, confidence=confidence, seed=seed
    )
    return NamedIntervals(statistics.names, intervals)
