"""Is a difference absent, or not seen? Equivalence tests, and the smallest difference these numbers of patients show.

That a difference is not significant says nothing in its favour: with few patients nothing is. Two one-sided tests
(Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987; Lakens, Social Psychological and Personality
Science 8, 2017) ask the opposite question: is the difference smaller than a margin δ that somebody named beforehand? It
is, at the 5 % level, where the 90 % interval of the difference lies within ±δ. And the smallest difference that a
two-sided test at 5 % finds in 80 % of studies of this size, the audit's ``smallest_gap``, says what cannot be seen.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.metadata.audit.detectable_gap import smallest_gap

LEVEL = 0.05
EQUIVALENCE_COLUMNS = (
    *("subgroup", "attributes", "kind", "n", "n_others", "difference", "low", "high"),
    *("margin", "p_equivalence", "equivalent", "smallest_detectable", "note", "decides", "reason"),
)
TOO_FEW = "cannot be estimated: fewer than two cases on one side"
NO_SPREAD = "cannot be estimated: the scores do not differ"


@dataclass(frozen=True)
class Equivalence:
    """Two groups compared by two one-sided Welch tests.

    Attributes:
        difference: mean of the first minus mean of the second.
        low: lower end of the interval of coverage 1 − 2 · level.
        high: its upper end.
        p: the larger p of the two tests; below the level the difference is smaller than the margin.
    """

    difference: float
    low: float
    high: float
    p: float


def equivalence_test(first: np.ndarray, second: np.ndarray, margin: float, *, level: float = LEVEL) -> Equivalence:
    """Whether two groups' means differ by less than a margin.

    Args:
        first: float array of shape (n_first,), two or more scores.
        second: float array of shape (n_second,), two or more scores.
        margin: δ > 0, the largest difference that does not matter, named before the scores are looked at.
        level: of the test.

    Returns:
        The tests; the interval and p are NaN where neither group has any spread.

    Raises:
        ValueError: a group has fewer than two cases, or the margin is not positive.
    """
    if min(len(first), len(second)) < 2 or not margin > 0:
        raise ValueError(
            f"expected two groups of two cases or more and a margin above 0, found {len(first)}, "
            f"{len(second)} and {margin}"
        )
    difference = float(np.mean(first) - np.mean(second))
    if not (np.ptp(first) or np.ptp(second)):
        return Equivalence(difference, np.nan, np.nan, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one group without spread is no loss of precision
        interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(1 - 2 * level)
        above = stats.ttest_ind(first + margin, second, equal_var=False, alternative="greater").pvalue
        below = stats.ttest_ind(first - margin, second, equal_var=False, alternative="less").pvalue
    return Equivalence(difference, float(interval.low), float(interval.high), float(max(above, below)))


def smallest_detectable(cohort: ScoredCohort) -> np.ndarray:
    """The smallest difference in DSC that a subgroup and the cases outside it can show.

    Args:
        cohort: the scored cases.

    Returns:
        Float array of shape (n_subgroups,), from the pooled standard deviation; NaN with fewer than two cases on a
        side, and where the scores do not differ.
    """
    differences = np.full(cohort.groups.subgroups.membership.shape[1], np.nan)
    for column, inside in enumerate(cohort.groups.subgroups.membership.T):
        first, second = cohort.dsc[inside], cohort.dsc[~inside]
        if min(len(first), len(second)) > 1:
            squares = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
            pooled = float(np.sqrt(squares / max(len(cohort) - 2, 1)))
            if pooled > 0:
                differences[column] = smallest_gap(len(first), len(second), pooled)
    return differences


def equivalence_table(cohort: ScoredCohort, margin: float) -> pd.DataFrame:
    """Every subgroup's DSC against the cases outside it: the same within a margin, different, or not to be told.

    Args:
        cohort: the scored cases.
        margin: see :func:`equivalence_test`.

    Returns:
        Table with one row a subgroup: n, n_others, difference (inside minus outside), low and high (90 % interval,
        Welch), p_equivalence, equivalent (p below 5 %), smallest_detectable (:func:`smallest_detectable`), a note where
        something does not exist, decides and reason.
    """
    rows = []
    subgroups, columns = cohort.groups.subgroups, cohort.groups.subgroup_columns()
    columns["detectable"] = smallest_detectable(cohort)
    for inside, row in zip(subgroups.membership.T, columns.itertuples(), strict=True):
        if row.kind == "all":
            continue
        first, second = cohort.dsc[inside], cohort.dsc[~inside]
        found, note = Equivalence(np.nan, np.nan, np.nan, np.nan), TOO_FEW
        if min(len(first), len(second)) > 1:
            found = equivalence_test(first, second, margin)
            note = "" if np.isfinite(found.p) else NO_SPREAD
        rows.append(
            {
                "subgroup": row.subgroup,
                "attributes": row.attributes,
                "kind": row.kind,
                "n": len(first),
                "n_others": len(second),
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "margin": margin,
                "p_equivalence": found.p,
                "equivalent": bool(found.p < LEVEL),
                "smallest_detectable": row.detectable,
                "note": note,
                "decides": row.decides,
                "reason": row.reason,
            }
        )
    return pd.DataFrame(rows, columns=list(EQUIVALENCE_COLUMNS))
