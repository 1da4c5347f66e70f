"""The MAMA-MIA challenge's Task 2 score: prediction of pathologic complete response (pCR).

Performance is the balanced accuracy. For each variable, disparity = (largest − smallest true-positive rate) +
(largest − smallest false-positive rate) over its groups. A rate without a denominator counts 0, and so do both rates of
a group whose truths and predictions are one single class: the official script reads them off a confusion matrix, which
then is no 2 × 2, so a group all of whose patients have pCR, all predicted, counts a true-positive rate of 0. The
fairness disparity is the mean over the variables, clipped to [0, 1]; with λ = ½,
ranking = (1 − λ) · balanced accuracy + λ · (1 − fairness disparity). Beside it stands the same over the rates that can
be estimated: a rate without a denominator is left out, none is made 0.
Source: the scoring definition of the MAMA-MIA challenge (2025), Task 2; equalised odds: Hardt, Price and Srebro,
"Equality of Opportunity in Supervised Learning", NeurIPS 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.challenge_score import Score
from nnunet_fair.evaluation.scores.cohort import GroupMembership, group_memberships
from nnunet_fair.evaluation.scores.options import CHALLENGE_LAMBDA
from nnunet_fair.subgroups.bootstrap import weighted_means


@dataclass(frozen=True)
class PcrScore:
    """The Task 2 score of a set of predictions.

    Attributes:
        balanced_accuracy: mean of the true-positive and the true-negative rate.
        disparity_by_variable: equalised-odds disparity of each variable that has a group.
        uncomputable: variables without any value, left out.
        fairness_disparity: mean disparity, clipped to [0, 1]; NaN where no variable has a group.
        ranking: (1 − λ) · balanced accuracy + λ · (1 − fairness disparity).
        lambda_: λ.
        n_cases: cases scored.
        estimable_by_variable: the disparity over the rates that have a denominator; NaN where fewer than two groups
            have one.
        estimable_disparity: their mean, clipped to [0, 1], over the variables that have one; NaN where none has.
        estimable_ranking: the ranking with it.
    """

    balanced_accuracy: float
    disparity_by_variable: dict[str, float]
    uncomputable: tuple[str, ...]
    fairness_disparity: float
    ranking: float
    lambda_: float
    n_cases: int
    estimable_by_variable: dict[str, float]
    estimable_disparity: float
    estimable_ranking: float


def pcr_ranking(balanced_accuracy: Score, fairness_disparity: Score, lambda_: float = CHALLENGE_LAMBDA) -> Score:
    """(1 − λ) · balanced accuracy + λ · (1 − fairness disparity)."""
    return (1 - lambda_) * balanced_accuracy + lambda_ * (1 - fairness_disparity)


def pcr_score(
    truth: pd.Series, prediction: pd.Series, groups: pd.DataFrame, *, lambda_: float = CHALLENGE_LAMBDA
) -> PcrScore:
    """The Task 2 score.

    Args:
        truth: bool, shape (n_cases,), indexed by case ID.
        prediction: bool, shape (n_cases,), indexed by case ID.
        groups: table of shape (n_cases_with_metadata, n_variables), indexed by case ID; NaN where unknown.
        lambda_: weight of the fairness in the ranking, in [0, 1].

    Returns:
        The score.

    Raises:
        UserError: every prediction is the same, which the challenge refuses, or the truth has one class only.
    """
    prediction = prediction.reindex(truth.index)
    if prediction.nunique() < 2:
        raise UserError(
            f"all {len(prediction)} predictions are {'pCR' if prediction.iloc[0] else 'no pCR'}; the challenge refuses "
            "constant predictions"
        )
    if truth.nunique() < 2:
        raise UserError(f"all {len(truth)} cases have the same outcome, so there is no balanced accuracy")
    balanced_accuracy = float(balanced_accuracy_score(truth.to_numpy(dtype=bool), prediction.to_numpy(dtype=bool)))
    memberships = group_memberships(groups, truth.index, list(groups.columns))
    everybody = np.ones((1, len(truth)))
    arrays = truth.to_numpy(dtype=bool), prediction.to_numpy(dtype=bool)
    disparities, estimable = (
        {entry.variable: float(spread(everybody, *arrays, entry)[0]) for entry in memberships}
        for spread in (equalised_odds_disparity, estimable_disparity)
    )
    disparity = float(np.clip(np.mean(list(disparities.values())), 0, 1)) if disparities else float("nan")
    exists = [value for value in estimable.values() if not np.isnan(value)]
    sane = float(np.clip(np.mean(exists), 0, 1)) if exists else float("nan")
    return PcrScore(
        balanced_accuracy=balanced_accuracy,
        disparity_by_variable=disparities,
        uncomputable=tuple(str(name) for name in groups.columns if name not in disparities),
        fairness_disparity=disparity,
        ranking=pcr_ranking(balanced_accuracy, disparity, lambda_),
        lambda_=lambda_,
        n_cases=len(truth),
        estimable_by_variable=estimable,
        estimable_disparity=sane,
        estimable_ranking=pcr_ranking(balanced_accuracy, sane, lambda_),
    )


def group_rates(
    weights: np.ndarray, truth: np.ndarray, prediction: np.ndarray, entry: GroupMembership
) -> tuple[np.ndarray, np.ndarray]:
    """True- and false-positive rate of each group.

    Args:
        weights: float array of shape (n_replicates, n_cases).
        truth: bool array of shape (n_cases,).
        prediction: bool array of shape (n_cases,).
        entry: the groups of one variable.

    Returns:
        Two float arrays of shape (n_replicates, n_groups); NaN where a rate has no denominator.
    """
    positive = prediction.astype(float)
    return (
        weighted_means(weights, positive, entry.membership & truth[:, None]),
        weighted_means(weights, positive, entry.membership & ~truth[:, None]),
    )


def equalised_odds_disparity(
    weights: np.ndarray, truth: np.ndarray, prediction: np.ndarray, entry: GroupMembership
) -> np.ndarray:
    """The official disparity of one variable, shape (n_replicates,); see :func:`group_rates` for the arguments."""
    # The false-positive rate of a group of one class is 0 already: nobody in it is a false positive.
    all_hits = ~(entry.membership & ~(truth & prediction)[:, None]).any(axis=0)
    hits, false_alarms = (np.nan_to_num(rate, nan=0.0) for rate in group_rates(weights, truth, prediction, entry))
    return np.ptp(np.where(all_hits, 0.0, hits), axis=1) + np.ptp(false_alarms, axis=1)


def estimable_disparity(
    weights: np.ndarray, truth: np.ndarray, prediction: np.ndarray, entry: GroupMembership
) -> np.ndarray:
    """The disparity over the rates that have a denominator, shape (n_replicates,).

    Args:
        weights: see :func:`group_rates`.
        truth: see :func:`group_rates`.
        prediction: see :func:`group_rates`.
        entry: see :func:`group_rates`.

    Returns:
        The spreads' sum; NaN where fewer than two groups have a true-positive, or a false-positive, rate.
    """
    total = np.zeros(len(weights))
    for rate in group_rates(weights, truth, prediction, entry):
        exists = np.isfinite(rate)
        highest, lowest = (
            np.where(exists, rate, fill).max(axis=1) if fill < 0 else np.where(exists, rate, fill).min(axis=1)
            for fill in (-np.inf, np.inf)
        )
        with np.errstate(invalid="ignore"):
            total += np.where(exists.sum(axis=1) >= 2, highest - lowest, np.nan)
    return total


@dataclass(frozen=True)
class PcrStatistics:
    """The Task 2 headline as a function of case weights, for the bootstrap.

    Attributes:
        truth: bool array of shape (n_cases,).
        prediction: bool array of shape (n_cases,).
        variables: the groups.
        lambda_: weight of the fairness.
    """

    truth: np.ndarray
    prediction: np.ndarray
    variables: Sequence[GroupMembership]
    lambda_: float = CHALLENGE_LAMBDA

    @property
    def names(self) -> tuple[str, ...]:
        """The statistics in the order of the columns of :meth:`__call__`."""
        return (
            *("balanced_accuracy", "fairness_disparity", "ranking"),
            *(f"disparity:{entry.variable}" for entry in self.variables),
        )

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Statistics of shape (n_replicates, n_statistics) for weights of shape (n_replicates, n_cases)."""
        everybody = GroupMembership("all", ("all",), np.ones((len(self.truth), 1), dtype=bool))
        hit, false_alarm = (rate[:, 0] for rate in group_rates(weights, self.truth, self.prediction, everybody))
        accuracy = (hit + 1 - false_alarm) / 2
        disparities = [
            equalised_odds_disparity(weights, self.truth, self.prediction, entry) for entry in self.variables
        ]
        overall = np.clip(np.mean(disparities, axis=0), 0, 1) if disparities else np.full(len(weights), np.nan)
        return np.stack([accuracy, overall, pcr_ranking(accuracy, overall, self.lambda_), *disparities], axis=1)
