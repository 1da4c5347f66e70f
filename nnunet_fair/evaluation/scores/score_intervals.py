"""Confidence intervals of the headline: performance, fairness, gaps, worst group, group means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_fair.evaluation.scores.challenge_score import ranking_score
from nnunet_fair.evaluation.scores.cohort import GroupMembership, ScoredCohort
from nnunet_fair.evaluation.scores.options import CHALLENGE_LAMBDA
from nnunet_fair.subgroups.bootstrap import Intervals, bootstrap_intervals, weighted_means
from nnunet_fair.subgroups.options import SubgroupOptions

PER_VARIABLE = (
    *("fairness", "gap_dsc", "gap_norm_hd"),
    *("worst_group_dsc", "best_group_dsc", "worst_group_norm_hd", "best_group_norm_hd"),
    *("deciding_gap_dsc", "deciding_gap_norm_hd"),
)
"""The statistics of each variable; worst and best group, and the gap between them that may decide a headline, are
those of the groups of at least ``min_group`` cases."""


ACROSS_VARIABLES = {
    "mean_deciding_gap_dsc": "deciding_gap_dsc",
    "mean_worst_group_dsc": "worst_group_dsc",
    "mean_best_group_dsc": "best_group_dsc",
}
"""Means over the variables with at least two groups of ``min_group`` cases, and what they are means of."""


@dataclass(frozen=True)
class ScoreStatistics:
    """The headline's statistics as a function of case weights.

    Attributes:
        dsc: float array of shape (n_cases,).
        norm_hd: float array of shape (n_cases,).
        variables: the groups of the fairness variables.
        min_group: smallest number of cases with which a group may be named the worst.
        lambda_: weight of the fairness in the ranking.
        present: bool array of shape (n_cases,), the cases that hold the structure, on which groups are compared; None
            for all. The score itself counts every case.
    """

    dsc: np.ndarray
    norm_hd: np.ndarray
    variables: tuple[GroupMembership, ...]
    min_group: int
    lambda_: float = CHALLENGE_LAMBDA
    present: np.ndarray | None = None

    @classmethod
    def of(cls, cohort: ScoredCohort, lambda_: float = CHALLENGE_LAMBDA) -> ScoreStatistics:
        """The statistics of a cohort."""
        groups = cohort.groups
        return cls(cohort.dsc, cohort.norm_hd, groups.memberships, groups.options.min_group, lambda_, cohort.present)

    @property
    def names(self) -> tuple[str, ...]:
        """The statistics in the order of the columns of :meth:`__call__`."""
        names = ["mean_dsc", "mean_norm_hd", "performance", "fairness", "ranking", "worst_group_dsc", *ACROSS_VARIABLES]
        for entry in self.variables:
            names += [f"{what}:{entry.variable}" for what in PER_VARIABLE]
            names += [
                f"{what}:{entry.variable}={name}" for what in ("mean_dsc", "mean_norm_hd") for name in entry.names
            ]
        return tuple(names)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """The statistics.

        Args:
            weights: float array of shape (n_replicates, n_cases), not negative.

        Returns:
            Float array of shape (n_replicates, n_statistics); NaN where a group has no weight, and for the worst and
            best group where none has ``min_group`` cases.
        """
        everybody = np.ones((len(self.dsc), 1), dtype=bool)
        mean_dsc = weighted_means(weights, self.dsc, everybody)[:, 0]
        mean_norm_hd = weighted_means(weights, self.norm_hd, everybody)[:, 0]
        performance = 0.5 * (mean_dsc + 1 - mean_norm_hd)
        blocks = [self._of_variable(entry, weights) for entry in self.variables]
        nothing = np.full(len(weights), np.nan)
        fairness = np.mean([block[0] for block in blocks], axis=0) if blocks else nothing
        worst = [block[PER_VARIABLE.index("worst_group_dsc")] for block in blocks]
        worst = [column for column in worst if np.isfinite(column).any()]
        compared = [b for b, e in zip(blocks, self.variables, strict=True) if np.sum(self._decides(e)) > 1]
        columns = [[block[PER_VARIABLE.index(name)] for block in compared] for name in ACROSS_VARIABLES.values()]
        head = [
            mean_dsc,
            mean_norm_hd,
            performance,
            fairness,
            ranking_score(performance, fairness, self.lambda_),
            np.min(worst, axis=0) if worst else nothing,
            *(np.mean(values, axis=0) if values else nothing for values in columns),
        ]
        return np.stack([*head, *(column for block in blocks for column in block)], axis=1)

    def _compared(self, entry: GroupMembership) -> np.ndarray:
        """The cases of each group that groups are compared on, bool array of shape (n_cases, n_groups)."""
        return entry.membership if self.present is None else entry.membership & self.present[:, None]

    def _decides(self, entry: GroupMembership) -> np.ndarray:
        """Which groups have enough such cases, bool array of shape (n_groups,)."""
        return self._compared(entry).sum(axis=0) >= self.min_group

    def _of_variable(self, entry: GroupMembership, weights: np.ndarray) -> list[np.ndarray]:
        """The statistics of one variable: ``PER_VARIABLE``, then the group means of DSC and NormHD."""
        dsc = weighted_means(weights, self.dsc, entry.membership)
        norm_hd = weighted_means(weights, self.norm_hd, entry.membership)
        gap_dsc, gap_norm_hd = np.ptp(dsc, axis=1), np.ptp(norm_hd, axis=1)
        decides = self._decides(entry)
        if decides.any():
            compared = self._compared(entry)[:, decides]
            of_dsc, of_hd = (weighted_means(weights, values, compared) for values in (self.dsc, self.norm_hd))
            low, high = of_dsc.min(axis=1), of_dsc.max(axis=1)
            near, far = of_hd.min(axis=1), of_hd.max(axis=1)
            extremes = [low, high, far, near, high - low, far - near]
        else:
            extremes = [np.full(len(weights), np.nan)] * 6
        return [1 - 0.5 * (gap_dsc + gap_norm_hd), gap_dsc, gap_norm_hd, *extremes, *dsc.T, *norm_hd.T]


@dataclass(frozen=True)
class NamedIntervals:
    """Intervals looked up by the statistic's name.

    Attributes:
        names: of length n_statistics.
        values: their intervals.
    """

    names: tuple[str, ...]
    values: Intervals

    def row(self, name: str) -> tuple[float, float, float]:
        """Estimate, lower and upper end of one statistic, see :meth:`Intervals.ends`.

        Raises:
            ValueError: there is no such statistic.
        """
        position = self.names.index(name)
        low, high = self.values.ends()[position]
        return float(self.values.estimate[position]), float(low), float(high)


def score_intervals(statistics: ScoreStatistics, options: SubgroupOptions) -> NamedIntervals:
    """Intervals of every headline statistic from one set of replicates.

    Args:
        statistics: the statistics.
        options: number of replicates, confidence and seed.

    Returns:
        The intervals by name.
    """
    intervals = bootstrap_intervals(
        statistics,
        len(statistics.dsc),
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    return NamedIntervals(statistics.names, intervals)
