"""The MAMA-MIA challenge's Task 1 score: performance, fairness, ranking.

P = ½ (mean DSC + 1 − mean NormHD) over all cases; for each variable, Δ is the largest minus the smallest group mean and
F_v = 1 − ½ (Δ_DSC + Δ_NormHD); F is the mean of F_v over the variables; ranking = (1 − λ) P + λ F with λ = ½.
Source: the scoring definition of the MAMA-MIA challenge (2025), Task 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.options import CHALLENGE_LAMBDA

Score = TypeVar("Score", float, np.ndarray)


@dataclass(frozen=True)
class FairnessOfVariable:
    """The fairness of one variable.

    Attributes:
        fairness: F_v, higher is better.
        gap_dsc: largest minus smallest group mean of the DSC.
        gap_norm_hd: largest minus smallest group mean of the NormHD.
        n_groups: groups with a scored case.
        n_missing: scored cases without a value, which are in no group.
    """

    fairness: float
    gap_dsc: float
    gap_norm_hd: float
    n_groups: int
    n_missing: int


@dataclass(frozen=True)
class SegmentationScore:
    """The Task 1 score of a set of cases.

    Attributes:
        performance: P; NaN without any scored case.
        mean_dsc: mean DSC.
        mean_norm_hd: mean NormHD.
        fairness: F; NaN where no variable has a group.
        by_variable: the fairness of each variable that has at least one group.
        uncomputable: variables without any value, left out of F.
        ranking: (1 − λ) P + λ F.
        lambda_: λ.
        n_cases: cases that were scored.
    """

    performance: float
    mean_dsc: float
    mean_norm_hd: float
    fairness: float
    by_variable: dict[str, FairnessOfVariable]
    uncomputable: tuple[str, ...]
    ranking: float
    lambda_: float
    n_cases: int


def performance_score(dsc: np.ndarray, norm_hd: np.ndarray) -> float:
    """P = ½ (mean DSC + 1 − mean NormHD); both of shape (n_cases,); NaN without cases."""
    return 0.5 * (float(np.mean(dsc)) + (1 - float(np.mean(norm_hd)))) if len(dsc) else float("nan")


def ranking_score(performance: Score, fairness: Score, lambda_: float = CHALLENGE_LAMBDA) -> Score:
    """(1 − λ) P + λ F."""
    return (1 - lambda_) * performance + lambda_ * fairness


def segmentation_score(cohort: ScoredCohort, *, lambda_: float = CHALLENGE_LAMBDA) -> SegmentationScore:
    """The Task 1 score.

    Args:
        cohort: the scored cases; those without a group enter the performance and no group.
        lambda_: weight of the fairness in the ranking, in [0, 1].

    Returns:
        The score.
    """
    dsc, norm_hd = cohort.cases["dsc"].astype(float), cohort.cases["norm_hd"].astype(float)
    by_variable: dict[str, FairnessOfVariable] = {}
    uncomputable = []
    for variable in cohort.groups.variables:
        group_of_case = cohort.groups.frame[variable]
        if not group_of_case.notna().any():
            uncomputable.append(str(variable))
            continue
        mean_dsc = dsc.groupby(group_of_case.to_numpy()).mean()
        mean_norm_hd = norm_hd.groupby(group_of_case.to_numpy()).mean()
        gap_dsc, gap_norm_hd = mean_dsc.max() - mean_dsc.min(), mean_norm_hd.max() - mean_norm_hd.min()
        by_variable[str(variable)] = FairnessOfVariable(
            fairness=float(1 - 0.5 * (gap_dsc + gap_norm_hd)),
            gap_dsc=float(gap_dsc),
            gap_norm_hd=float(gap_norm_hd),
            n_groups=len(mean_dsc),
            n_missing=int(group_of_case.isna().sum()),
        )
    performance = performance_score(dsc.to_numpy(), norm_hd.to_numpy())
    fairness = float(np.mean([entry.fairness for entry in by_variable.values()])) if by_variable else float("nan")
    return SegmentationScore(
        performance=performance,
        mean_dsc=float(dsc.mean()),
        mean_norm_hd=float(norm_hd.mean()),
        fairness=fairness,
        by_variable=by_variable,
        uncomputable=tuple(uncomputable),
        ranking=ranking_score(performance, fairness, lambda_),
        lambda_=lambda_,
        n_cases=len(dsc),
    )
