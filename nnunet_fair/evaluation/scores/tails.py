"""The worst cases of a group: a mean hides them, and a patient may be one of them.

The conditional value at risk of a score at a share α is the mean of the worst α of the cases (Rockafellar and Uryasev,
Journal of Risk 2, 2000); where α · n is no whole number, the last case counts in part. With q the score next to them,
each case moves it by min(x − q, 0) / α: the spread of these divided by √n is its standard error (Trindade et al.,
Journal of Banking & Finance 31, 2007), and Student's t has as many degrees of freedom as there are worst cases but one.
A bootstrap cannot do that: it never draws a case worse than the worst (docs/evaluation.md has the coverage of both).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.subgroups.options import CONFIDENCE

WORST_SHARE = 0.1
LEAST_WORST_CASES = 3
"""With fewer cases in the worst share there is no interval: a spread cannot be told from them."""
WORST_COLUMNS = ("n_worst", "worst_dsc", "low", "high", "note")
TOO_FEW = f"no interval: fewer than {LEAST_WORST_CASES} cases in the worst share"
NO_SPREAD = "no interval: the worst cases do not differ"
NO_CASE = "cannot be estimated: no case"


def worst_share_mean(values: np.ndarray, share: float = WORST_SHARE) -> float:
    """Mean of the worst share of scores.

    Args:
        values: float array of shape (n_cases,), higher is better.
        share: α in (0, 1].

    Returns:
        The mean; NaN without any case.

    Raises:
        ValueError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0 and at most 1, found {share}")
    taken = share * len(values)
    counted = np.clip(taken - np.arange(len(values)), 0, 1)
    return float(counted @ np.sort(values) / taken) if len(values) else math.nan


def worst_share_interval(
    values: np.ndarray, share: float = WORST_SHARE, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of the mean of the worst share, see the module.

    Args:
        values: float array of shape (n_cases,), scores in [0, 1], higher is better.
        share: α in (0, 1].
        confidence: coverage, in (0, 1).

    Returns:
        Its ends, inside [0, 1]; NaN with fewer than ``LEAST_WORST_CASES`` worst cases, and where these do not differ.
    """
    n = len(values)
    n_worst = share * n
    # The tolerance: 0.3 · 10 is 2.9999999999999996.
    if n_worst < LEAST_WORST_CASES - 1e-9:
        return math.nan, math.nan
    ordered = np.sort(values)
    edge = ordered[min(math.ceil(n_worst - 1e-9), n - 1)]
    error = float(np.minimum(ordered - edge, 0).std(ddof=1)) / share / math.sqrt(n)
    if error <= 0:
        return math.nan, math.nan
    half = float(stats.t.ppf((1 + confidence) / 2, n_worst - 1)) * error
    mean = worst_share_mean(values, share)
    return max(mean - half, 0.0), min(mean + half, 1.0)


def worst_shares(cohort: ScoredCohort, *, share: float = WORST_SHARE) -> pd.DataFrame:
    """The mean DSC of the worst share of every subgroup's cases, with its interval.

    Args:
        cohort: the scored cases.
        share: see :func:`worst_share_mean`.

    Returns:
        Table in the order of the cohort's subgroups: n_worst (α · n), worst_dsc, low, high and a note where an interval
        or a value does not exist.
    """
    rows = []
    for inside in cohort.groups.subgroups.membership.T:
        values = cohort.dsc[inside]
        low, high = worst_share_interval(values, share, confidence=cohort.groups.options.confidence)
        note = ""
        if math.isnan(low):
            few = share * len(values) < LEAST_WORST_CASES - 1e-9
            note = NO_CASE if not len(values) else TOO_FEW if few else NO_SPREAD
        rows.append((share * len(values), worst_share_mean(values, share), low, high, note))
    return pd.DataFrame(rows, columns=list(WORST_COLUMNS))


def worst_share_table(cohort: ScoredCohort, *, share: float = WORST_SHARE) -> pd.DataFrame:
    """:func:`worst_shares` beside what every table of subgroups says of them.

    Args:
        cohort: the scored cases.
        share: see :func:`worst_share_mean`.

    Returns:
        Table with one row a subgroup, the whole cohort first: subgroup, attributes, kind, n, n_worst, worst_dsc, low,
        high, note, decides and reason.
    """
    columns = cohort.groups.subgroup_columns()
    for position, (name, values) in enumerate(worst_shares(cohort, share=share).items(), start=4):
        columns.insert(position, str(name), values)
    return columns
