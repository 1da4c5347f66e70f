"""The levelling-down audit of a threshold: what choosing it by the ranking score did to the groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.comparison.levelling import LEVELLED_DOWN, MIXED, levelling_verdict
from nnunet_fair.evaluation.scores.cohort import GroupMembership
from nnunet_fair.evaluation.scores.pcr_score import PcrStatistics, group_rates
from nnunet_fair.subgroups.options import MIN_GROUP

AUDIT_COLUMNS = (
    *("variable", "gap_balanced_accuracy", "gap_ranking", "gap_change"),
    *("worst_change", "best_change", "verdict"),
)


def threshold_audit(
    truth: np.ndarray, by_accuracy: np.ndarray, by_ranking: np.ndarray, variables: Sequence[GroupMembership]
) -> tuple[pd.DataFrame, str]:
    """Compare decisions by two thresholds.

    Args:
        truth: bool array of shape (n_cases,).
        by_accuracy: decisions at the threshold chosen by balanced accuracy, bool array of shape (n_cases,).
        by_ranking: decisions at the threshold chosen by the ranking score, bool array of shape (n_cases,).
        variables: the groups of the ranking's fairness.

    Returns:
        One row a variable with two groups of :data:`MIN_GROUP` cases or more: the gap between the best and the worst
        group's balanced accuracy at either threshold, the change of it and of both groups' level (ranking minus
        balanced accuracy), and the verdict. And one sentence on what the ranking's threshold won and cost.
    """
    rows = []
    for variable in variables:
        levels = [_group_accuracies(truth, decision, variable) for decision in (by_accuracy, by_ranking)]
        if len(levels[0]) < 2:
            continue
        (worst_a, best_a), (worst_b, best_b) = ((level.min(), level.max()) for level in levels)
        change = (best_b - worst_b) - (best_a - worst_a)
        verdict = levelling_verdict(change, worst_b - worst_a, best_b - best_a)
        values = (best_a - worst_a, best_b - worst_b, change, worst_b - worst_a, best_b - best_a)
        rows.append(dict(zip(AUDIT_COLUMNS, (variable.variable, *values, verdict), strict=True)))
    table = pd.DataFrame(rows, columns=list(AUDIT_COLUMNS))
    everybody = np.ones((1, len(truth)))
    a, b = (
        dict(zip(statistics.names, statistics(everybody)[0], strict=True))
        for statistics in (PcrStatistics(truth, decision, variables) for decision in (by_accuracy, by_ranking))
    )
    down = table.loc[table["verdict"].isin((LEVELLED_DOWN, MIXED)), "variable"]
    meaning = f" Levelling down: the best group of {', '.join(down)} fell." if len(down) else ""
    sentence = (
        f"The threshold by ranking instead of balanced accuracy: ranking {a['ranking']:.3f} → {b['ranking']:.3f}, "
        f"disparity {a['fairness_disparity']:.3f} → {b['fairness_disparity']:.3f}, balanced accuracy "
        f"{a['balanced_accuracy']:.3f} → {b['balanced_accuracy']:.3f}.{meaning}"
    )
    return table, sentence


def _group_accuracies(truth: np.ndarray, decision: np.ndarray, variable: GroupMembership) -> np.ndarray:
    """Balanced accuracy of the groups that are large enough and have both outcomes."""
    hits, false_alarms = (rate[0] for rate in group_rates(np.ones((1, len(truth))), truth, decision, variable))
    accuracies = (hits + 1 - false_alarms) / 2
    return accuracies[(variable.n >= MIN_GROUP) & np.isfinite(accuracies)]
