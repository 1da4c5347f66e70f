"""Two sets of pCR predictions for the same cases: is B's AUC above A's, for whom, and who pays for a smaller disparity?

AUCs are compared by DeLong's method, everything else by the paired Bayesian bootstrap: a replicate weighs the cases
alike for both. The disagreement of decisions is McNemar's exact test (Psychometrika 12, 1947).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.evaluation.comparison.levelling import LEVELLING_COLUMNS, audit_row
from nnunet_fair.evaluation.scores.cohort import GroupMembership
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.pcr_calibration import brier_terms
from nnunet_fair.evaluation.scores.pcr_discrimination import PairedAuc, paired_auc
from nnunet_fair.evaluation.scores.pcr_groups import ALL, ALL_CASES
from nnunet_fair.evaluation.scores.pcr_score import PcrStatistics, group_rates
from nnunet_fair.subgroups.bootstrap import Statistic, bootstrap_intervals, weighted_means
from nnunet_fair.subgroups.search import false_discovery_rate

METRIC = "balanced_accuracy"
GROUP_COLUMNS = (
    *("variable", "group", "n", "n_pcr"),
    *(
        f"{name}_{end}"
        for name in (METRIC, "auc", "brier")
        for end in ("a", "b", "difference", "difference_low", "difference_high")
    ),
    *("auc_p", "auc_q"),
)


@dataclass(frozen=True, repr=False)
class PcrPair:
    """Two models' predictions for the same cases.

    Attributes:
        truth: bool array of shape (n_cases,).
        decisions: model A's and B's, bool arrays of shape (n_cases,).
        values: their probabilities, float arrays of shape (n_cases,), NaN where one has none.
    """

    truth: np.ndarray
    decisions: tuple[np.ndarray, np.ndarray]
    values: tuple[np.ndarray, np.ndarray]

    @property
    def has_values(self) -> np.ndarray:
        """The cases for which both have a probability, bool array of shape (n_cases,)."""
        return np.isfinite(self.values[0]) & np.isfinite(self.values[1])


@dataclass(frozen=True, repr=False)
class PcrComparison:
    """Two models compared; every difference is B minus A.

    Attributes:
        statistics: by name ``a``, ``b``, ``difference``, ``low`` and ``high``; NaN where one cannot be estimated.
        auc: the AUCs; None without probabilities.
        groups: the whole cohort and every group, see ``GROUP_COLUMNS``.
        audit: the levelling-down audit of the groups' balanced accuracy, see ``levelling.LEVELLING_COLUMNS``.
        only_a: cases that only A got right.
        only_b: cases that only B got right.
        p_decisions: McNemar's exact p; NaN where the models got the same cases right.
        n_cases: cases compared.
    """

    statistics: pd.DataFrame
    auc: PairedAuc | None
    groups: pd.DataFrame
    audit: pd.DataFrame
    only_a: int
    only_b: int
    p_decisions: float
    n_cases: int


def compare_pcr_predictions(
    pair: PcrPair,
    variables: Sequence[GroupMembership],
    attributes: Sequence[GroupMembership],
    options: AnalysisOptions,
) -> PcrComparison:
    """Compare two models.

    Args:
        pair: their predictions; both outcomes are among the cases.
        variables: the groups of the fairness score, over which the audit goes.
        attributes: the groups of the table.
        options: λ and the bootstrap.
    """
    how = options.subgroups
    entries = [GroupMembership(ALL, (ALL_CASES,), np.ones((len(pair.truth), 1), dtype=bool)), *attributes]
    deciding = [(entry, _deciding(pair.truth, entry, how.min_group)) for entry in variables]
    names, statistic = _statistics(pair, variables, deciding, entries, options.lambda_)
    found = bootstrap_intervals(
        statistic, len(pair.truth), n_resamples=how.n_resamples, confidence=how.confidence, seed=how.seed
    )
    n, ends = len(names), found.ends()
    table = pd.DataFrame(
        {
            "a": found.estimate[:n],
            "b": found.estimate[n : 2 * n],
            "difference": found.estimate[2 * n :],
            "low": ends[2 * n :, 0],
            "high": ends[2 * n :, 1],
        },
        index=names,
    )
    known = pair.has_values
    right = [decision == pair.truth for decision in pair.decisions]
    only_a, only_b = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    return PcrComparison(
        statistics=table[~table.index.str.startswith("group:")],
        auc=_paired(pair, known, how.confidence) if known.any() else None,
        groups=_group_table(pair, entries, table, how.confidence),
        audit=_audit(table, deciding),
        only_a=only_a,
        only_b=only_b,
        p_decisions=float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else float("nan"),
        n_cases=len(pair.truth),
    )


def _paired(pair: PcrPair, cases: np.ndarray, confidence: float) -> PairedAuc:
    return paired_auc(pair.truth[cases], *(value[cases] for value in pair.values), confidence=confidence)


def _deciding(truth: np.ndarray, entry: GroupMembership, min_group: int) -> np.ndarray:
    """The groups that are large enough and have both outcomes, bool array of shape (n_groups,)."""
    both = (entry.membership & truth[:, None]).any(axis=0) & (entry.membership & ~truth[:, None]).any(axis=0)
    return both & (entry.n >= min_group)


def _statistics(
    pair: PcrPair,
    variables: Sequence[GroupMembership],
    deciding: Sequence[tuple[GroupMembership, np.ndarray]],
    entries: Sequence[GroupMembership],
    lambda_: float,
) -> tuple[list[str], Statistic]:
    """The names of the statistics, and A's, B's and their difference as a function of case weights."""
    known = pair.has_values
    scores = [PcrStatistics(pair.truth, decision, variables, lambda_) for decision in pair.decisions]
    levels = [entry for entry, large in deciding if large.sum() >= 2]
    names = [*scores[0].names, "brier"]
    names += [f"{what}_group_{METRIC}:{entry.variable}" for entry in levels for what in ("worst", "best", "gap")]
    of_groups = [(entry.variable, name) for entry in entries for name in entry.names]
    names += [f"group:{measure}:{variable}={name}" for measure in (METRIC, "brier") for variable, name in of_groups]

    def of_model(weights: np.ndarray, k: int) -> np.ndarray:
        columns = [scores[k](weights)]
        terms = np.where(known, brier_terms(pair.truth, np.nan_to_num(pair.values[k])), 0.0)
        brier = [weighted_means(weights, terms, entry.membership & known[:, None]) for entry in entries]
        columns.append(brier[0])
        accuracies = {}
        for entry in {id(entry): entry for entry in (*entries, *levels)}.values():
            hits, false_alarms = group_rates(weights, pair.truth, pair.decisions[k], entry)
            accuracies[id(entry)] = (hits + 1 - false_alarms) / 2
        for entry, large in deciding:
            if large.sum() >= 2:
                level = accuracies[id(entry)][:, large]
                worst, best = level.min(axis=1), level.max(axis=1)
                columns.append(np.stack([worst, best, best - worst], axis=1))
        return np.concatenate([*columns, *(accuracies[id(entry)] for entry in entries), *brier], axis=1)

    def statistic(weights: np.ndarray) -> np.ndarray:
        a, b = (of_model(weights, k) for k in (0, 1))
        return np.concatenate([a, b, b - a], axis=1)

    return names, statistic


def _group_table(
    pair: PcrPair, entries: Sequence[GroupMembership], table: pd.DataFrame, confidence: float
) -> pd.DataFrame:
    """What changed for the whole cohort and for every group."""
    known = pair.has_values
    rows = []
    for entry in entries:
        for position, name in enumerate(entry.names):
            inside = entry.membership[:, position]
            row = {
                "variable": entry.variable,
                "group": name,
                "n": int(inside.sum()),
                "n_pcr": int((inside & pair.truth).sum()),
            }
            for measure in (METRIC, "brier"):
                found = table.loc[f"group:{measure}:{entry.variable}={name}"]
                row |= {f"{measure}_{end}": found[end] for end in ("a", "b", "difference")}
                row |= {f"{measure}_difference_{end}": found[end] for end in ("low", "high")}
            area = _paired(pair, inside & known, confidence)
            row |= {"auc_a": area.a, "auc_b": area.b, "auc_difference": area.difference, "auc_p": area.p}
            rows.append(row | {"auc_difference_low": area.low, "auc_difference_high": area.high})
    frame = pd.DataFrame(rows, columns=list(GROUP_COLUMNS))
    frame["auc_q"] = false_discovery_rate(frame["auc_p"].to_numpy(dtype=float))
    return frame


def _audit(table: pd.DataFrame, deciding: Sequence[tuple[GroupMembership, np.ndarray]]) -> pd.DataFrame:
    """Where each change of the gap in balanced accuracy came from."""
    rows = []
    for variable in [entry.variable for entry, large in deciding if large.sum() >= 2]:
        worst, best, gap = (table.loc[f"{what}_group_{METRIC}:{variable}"] for what in ("worst", "best", "gap"))
        change, rise, fall = ((row["difference"], row["low"], row["high"]) for row in (gap, worst, best))
        rows.append(audit_row(variable, METRIC, (gap["a"], gap["b"]), change, rise, fall))
    return pd.DataFrame(rows, columns=list(LEVELLING_COLUMNS))
