"""Comparing two models on the same cases: paired differences, over one or several training seeds each.

A replicate of the bootstrap reweights the cases, with the same weights for both models (the comparison is paired), and,
where a model was trained with several seeds, the seeds of each model: a hierarchical bootstrap. Seeds are independent
unless the models were trained in pairs (same folds, initialisation and batch order); then a pair is drawn as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.comparison.false_positive_differences import (
    PairedFalsePositives,
    false_positive_differences,
    pair_false_positives,
)
from nnunet_fair.evaluation.comparison.paired_means import intervals_or_none, paired_differences_of_means
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import CohortGroups, has_structure, scored_cases
from nnunet_fair.evaluation.scores.false_positives import policy_sentence
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.score_intervals import NamedIntervals, ScoreStatistics
from nnunet_fair.subgroups.bootstrap import jackknife_weights
from nnunet_fair.subgroups.search import false_discovery_rate


@dataclass(frozen=True)
class PairedScores:
    """The per-case scores of two models on the cases both have.

    Attributes:
        case_ids: of length n_cases.
        dsc_a: float array of shape (n_seeds_a, n_cases).
        norm_hd_a: float array of shape (n_seeds_a, n_cases).
        dsc_b: float array of shape (n_seeds_b, n_cases).
        norm_hd_b: float array of shape (n_seeds_b, n_cases).
        left_out: IDs of cases without a score in some folder, and without false positives to compare.
        present: bool array of shape (n_cases,), the cases whose reference holds the structure.
        false_positives: what both models predicted in the others.
    """

    case_ids: tuple[str, ...]
    dsc_a: np.ndarray
    norm_hd_a: np.ndarray
    dsc_b: np.ndarray
    norm_hd_b: np.ndarray
    left_out: tuple[str, ...]
    present: np.ndarray
    false_positives: PairedFalsePositives

    @property
    def difference(self) -> np.ndarray:
        """B minus A, mean over the seeds of each, shape (n_cases,)."""
        return self.dsc_b.mean(axis=0) - self.dsc_a.mean(axis=0)


@dataclass(frozen=True)
class Comparison:
    """Two models compared; every difference is B minus A.

    Attributes:
        scores: the paired scores.
        groups: the cases' groups.
        a: intervals of model A's headline.
        b: intervals of model B's headline.
        difference: intervals of the differences.
        subgroups: per-subgroup differences, on the cases that hold the structure.
        false_positives: per-subgroup differences on the others; empty where all hold it.
        sentences: what a reader must know before the numbers.
        options: how it was computed.
        paired_seeds: whether the k-th seed of A and the k-th of B were drawn as one.
        classes: the comparison of each class, where there are several; everything else is then that of their mean.
    """

    scores: PairedScores
    groups: CaseGroups
    a: NamedIntervals
    b: NamedIntervals
    difference: NamedIntervals
    subgroups: pd.DataFrame
    false_positives: pd.DataFrame
    sentences: tuple[str, ...]
    options: AnalysisOptions
    paired_seeds: bool = False
    classes: dict[str, Comparison] = field(default_factory=dict)


def pair_scores(
    frames_a: Sequence[pd.DataFrame], frames_b: Sequence[pd.DataFrame], *, absent_allowed: bool = False
) -> PairedScores:
    """Put the per-case tables of two models side by side, by case ID.

    Args:
        frames_a: one table a seed of model A, indexed by case ID, with ``dsc`` and ``norm_hd``.
        frames_b: one table a seed of model B.
        absent_allowed: whether there may be false positives only, as of a class that no reference holds.

    Returns:
        The scores of the cases that have both metrics in every table.

    Raises:
        UserError: there is no such case.
    """
    frames = [*frames_a, *frames_b]
    every = sorted(set().union(*(frame.index for frame in frames)))
    complete = [scored_cases(frame).index for frame in frames]
    shared = sorted(set.intersection(*(set(index) for index in complete)))
    measured = next((frame for frame in frames if "volume_reference_mm3" in frame.columns), frames[0])
    invented = pair_false_positives(frames_a, frames_b)
    compared = {*shared, *invented.case_ids}
    if not compared or not (shared or absent_allowed):
        raise UserError("no case has a score in every table of A and B; there is nothing to compare")

    def stack(tables: Sequence[pd.DataFrame], metric: str) -> np.ndarray:
        return np.stack([table.loc[shared, metric].to_numpy(dtype=float) for table in tables])

    return PairedScores(
        case_ids=tuple(shared),
        dsc_a=stack(frames_a, "dsc"),
        norm_hd_a=stack(frames_a, "norm_hd"),
        dsc_b=stack(frames_b, "dsc"),
        norm_hd_b=stack(frames_b, "norm_hd"),
        left_out=tuple(case_id for case_id in every if case_id not in compared),
        present=has_structure(measured.loc[shared]),
        false_positives=invented,
    )


def seed_weights(n_seeds: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Replicate weights of the training seeds, such that the variance of their mean comes out right for few seeds.

    Dirichlet weights of concentration c give the mean of n values the variance s²(n − 1) / (n (n c + 1)), with s² the
    unbiased variance; c = (n − 2) / n makes that s² / n. With two seeds c is 0: one of them is drawn.

    Args:
        n_seeds: number of seeds.
        n_resamples: number of replicates.
        rng: random numbers.

    Returns:
        Float array of shape (n_resamples, n_seeds), rows summing to 1.
    """
    if n_seeds == 1:
        return np.ones((n_resamples, 1))
    if n_seeds == 2:
        return np.eye(2)[rng.integers(0, 2, n_resamples)]
    return rng.dirichlet(np.full(n_seeds, (n_seeds - 2) / n_seeds), n_resamples)


def compare_scores(
    scores: PairedScores,
    groups: CaseGroups,
    options: AnalysisOptions,
    *,
    paired_seeds: bool = False,
    policy: EmptyMaskPolicy | None = None,
) -> Comparison:
    """Compare two models.

    Args:
        scores: the paired scores.
        groups: the cases' groups.
        options: how.
        paired_seeds: the k-th seed of A and the k-th of B belong together.
        policy: what two empty masks scored; None where that is not known.

    Returns:
        The comparison.

    Raises:
        UserError: seeds are to be paired and the models have different numbers of them.
    """
    if paired_seeds and len(scores.dsc_a) != len(scores.dsc_b):
        raise UserError(
            f"seeds can be paired only where both models have as many: A has {len(scores.dsc_a)}, B "
            f"{len(scores.dsc_b)}; give the same seeds in the same order, or leave out `paired_seeds`"
        )
    how = options.subgroups
    case_ids = pd.Index(scores.case_ids)
    members = CohortGroups(groups.frame.reindex(case_ids), groups.variables, how)
    rng = np.random.default_rng(how.seed)
    weights = rng.standard_exponential((how.n_resamples, len(case_ids)))
    seeds_a = seed_weights(len(scores.dsc_a), how.n_resamples, rng)
    seeds_b = seeds_a if paired_seeds else seed_weights(len(scores.dsc_b), how.n_resamples, rng)

    def statistics(dsc: np.ndarray, norm_hd: np.ndarray) -> list[ScoreStatistics]:
        pairs = zip(dsc, norm_hd, strict=True)
        return [
            ScoreStatistics(d, h, members.memberships, how.min_group, options.lambda_, scores.present) for d, h in pairs
        ]

    model_a = statistics(scores.dsc_a, scores.norm_hd_a)
    model_b = statistics(scores.dsc_b, scores.norm_hd_b)
    names = model_a[0].names
    results: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for model, seeds in ((model_a, seeds_a), (model_b, seeds_b)):
        n_seeds = len(model)
        even = np.full((1, n_seeds), 1 / n_seeds)
        leave_one_out = jackknife_weights(len(case_ids))
        results.append(
            (
                _over_seeds(model, np.ones((1, len(case_ids))), even)[0],
                _over_seeds(model, weights, seeds),
                _over_seeds(model, leave_one_out, np.repeat(even, len(leave_one_out), axis=0)),
            )
        )
    of_a, of_b = results
    of_the_difference = (of_b[0] - of_a[0], of_b[1] - of_a[1], of_b[2] - of_a[2])
    a, b, difference = (
        NamedIntervals(names, intervals_or_none(estimate, replicates, jackknife, len(case_ids), how.confidence))
        for estimate, replicates, jackknife in (of_a, of_b, of_the_difference)
    )
    invented = scores.false_positives
    absent = CohortGroups(groups.frame.reindex(pd.Index(invented.case_ids)), groups.variables, how)
    n_empty = len(invented.case_ids)
    n_cases = int(scores.present.sum()) + n_empty
    return Comparison(
        scores=scores,
        groups=groups,
        a=a,
        b=b,
        difference=difference,
        subgroups=_subgroup_differences(scores, members, weights, seeds_a, seeds_b),
        false_positives=false_positive_differences(invented, absent, seeds_a, seeds_b),
        sentences=(policy_sentence(n_empty, n_cases, policy),) if n_empty else (),
        options=options,
        paired_seeds=paired_seeds,
    )


def _mean_of_groups(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The mean of each group, shape (n_groups,); NaN of one without a case."""
    n = inside.sum(axis=0)
    return np.divide(values @ inside, n, out=np.full(len(n), np.nan), where=n > 0)


def _over_seeds(model: list[ScoreStatistics], weights: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Each statistic of each seed's model, averaged over the seeds with the replicate's seed weights."""
    return np.sum([seeds[:, [k]] * statistics(weights) for k, statistics in enumerate(model)], axis=0)


DIFFERENCE_COLUMNS = (
    *("subgroup", "attributes", "kind", "n", "share", "mean_dsc_a", "mean_dsc_b"),
    *("difference", "difference_low", "difference_high", "p", "q", "improved", "worsened"),
    *("difference_norm_hd", "decides", "reason"),
)


def _subgroup_differences(
    scores: PairedScores, members: CohortGroups, weights: np.ndarray, seeds_a: np.ndarray, seeds_b: np.ndarray
) -> pd.DataFrame:
    """The paired difference of the mean DSC in every subgroup, the whole cohort first.

    p is that of Wilcoxon's signed-rank test on the cases' differences (mean over the seeds), q after correction for the
    false discovery rate over all rows.
    """
    present = scores.present
    members = CohortGroups(members.frame[present], members.variables, members.options)
    membership = members.subgroups.membership
    inside, n = membership.astype(float), membership.sum(axis=0)
    dsc_a, dsc_b = scores.dsc_a[:, present], scores.dsc_b[:, present]
    differences = scores.difference[present]
    estimate, ends = paired_differences_of_means(
        dsc_a, dsc_b, membership, weights[:, present], seeds_a, seeds_b, members.options.confidence
    )
    p = np.array([signed_rank_p(differences[column]) for column in membership.T])
    norm_hd = (scores.norm_hd_b.mean(axis=0) - scores.norm_hd_a.mean(axis=0))[present]
    table = members.subgroup_columns().assign(
        share=n / max(len(membership), 1),
        mean_dsc_a=_mean_of_groups(dsc_a.mean(axis=0), inside),
        mean_dsc_b=_mean_of_groups(dsc_b.mean(axis=0), inside),
        difference=estimate,
        difference_low=ends[:, 0],
        difference_high=ends[:, 1],
        p=p,
        q=false_discovery_rate(p),
        improved=((differences[:, None] > 0) & membership).sum(axis=0),
        worsened=((differences[:, None] < 0) & membership).sum(axis=0),
        difference_norm_hd=_mean_of_groups(norm_hd, inside),
    )
    return table[list(DIFFERENCE_COLUMNS)]


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; 1 where nothing differs, NaN with fewer than two cases.

    Args:
        differences: float array of shape (n_cases,).
    """
    if len(differences) < 2:
        return float("nan")
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences, zero_method="wilcox", method="auto").pvalue)
