"""The whole cohort and every group of a Task 2 evaluation: rates, discrimination and calibration with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.scores.cohort import GroupMembership
from nnunet_fair.evaluation.scores.pcr_calibration import (
    balanced_accuracy_interval,
    brier_terms,
    rate_interval,
    recalibration,
)
from nnunet_fair.evaluation.scores.pcr_discrimination import auc, auc_interval
from nnunet_fair.subgroups.group_means import GroupMeans, group_mean_intervals
from nnunet_fair.subgroups.options import SubgroupOptions

ALL, ALL_CASES = "all", "all cases"
MEASURES = ("tpr", "fpr", "balanced_accuracy")
OF_PROBABILITIES = ("auc", "brier", "observed_minus_predicted", "calibration_slope", "calibration_intercept")
COLUMNS = (
    *("variable", "group", "n", "n_pcr"),
    *(f"{name}{end}" for name in (*MEASURES, *OF_PROBABILITIES) for end in ("", "_low", "_high")),
)


def pcr_group_table(
    truth: np.ndarray,
    decision: np.ndarray,
    value: np.ndarray,
    memberships: Sequence[GroupMembership],
    options: SubgroupOptions,
) -> pd.DataFrame:
    """Everything that is told of the whole cohort and of every group.

    Args:
        truth: bool array of shape (n_cases,).
        decision: bool array of shape (n_cases,).
        value: float array of shape (n_cases,), probabilities; NaN where there is none.
        memberships: the groups of each attribute.
        options: coverage and replicates of the intervals.

    Returns:
        Table, the whole cohort first, see ``COLUMNS``: rates and balanced accuracy with exact intervals, AUC with
        Newcombe's, Brier score and observed minus predicted rate with bootstrap intervals, slope and intercept of the
        recalibration with Wald's. NaN where something cannot be estimated: a rate without a denominator, an AUC
        without both outcomes.
    """
    everybody = GroupMembership(ALL, (ALL_CASES,), np.ones((len(truth), 1), dtype=bool))
    entries = [everybody, *memberships]
    membership = np.concatenate([entry.membership for entry in entries], axis=1)
    names = [(entry.variable, name) for entry in entries for name in entry.names]
    means = {
        "brier": _means(brier_terms(truth, value), membership, options),
        "observed_minus_predicted": _means(truth - value, membership, options),
    }
    rows = []
    for position, (variable, group) in enumerate(names):
        inside = membership[:, position]
        row = {"variable": variable, "group": group, "n": int(inside.sum()), "n_pcr": int((inside & truth).sum())}
        row |= _rates(truth[inside], decision[inside], options.confidence)
        predicted = inside & np.isfinite(value)
        row |= _of_probabilities(truth[predicted], value[predicted], options.confidence)
        for name, found in means.items():
            row |= _columns(name, found.mean[position], found.low[position], found.high[position])
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _means(terms: np.ndarray, membership: np.ndarray, options: SubgroupOptions) -> GroupMeans:
    return group_mean_intervals(
        terms, membership, n_resamples=options.n_resamples, confidence=options.confidence, seed=options.seed
    )


def _columns(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _rates(truth: np.ndarray, decision: np.ndarray, confidence: float) -> dict[str, float]:
    """True- and false-positive rate and balanced accuracy."""
    counts = [(int((decision & cases).sum()), int(cases.sum())) for cases in (truth, ~truth)]
    (tpr, fpr) = (hits / n if n else float("nan") for hits, n in counts)
    ends = [rate_interval(hits, n, confidence=confidence) for hits, n in counts]
    specificity_ends = (1 - ends[1][1], 1 - ends[1][0])
    accuracy = balanced_accuracy_interval(tpr, 1 - fpr, (ends[0], specificity_ends))
    return {
        **_columns("tpr", tpr, *ends[0]),
        **_columns("fpr", fpr, *ends[1]),
        **_columns("balanced_accuracy", (tpr + 1 - fpr) / 2, *accuracy),
    }


def _of_probabilities(truth: np.ndarray, value: np.ndarray, confidence: float) -> dict[str, float]:
    """AUC and recalibration."""
    area, n_with = auc(truth, value), int(truth.sum())
    found = recalibration(truth, value, confidence=confidence)
    return {
        **_columns("auc", area, *auc_interval(area, n_with, len(truth) - n_with, confidence=confidence)),
        **_columns("calibration_slope", found.slope.value, found.slope.low, found.slope.high),
        **_columns("calibration_intercept", found.intercept.value, found.intercept.low, found.intercept.high),
    }
