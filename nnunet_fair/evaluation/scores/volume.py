"""Too small or too large? The volume errors of every subgroup: who is systematically under-segmented.

Of each case with the structure: the relative error (prediction − reference) / reference and the difference in mm³. Of a
group: the mean of both, and the limits of agreement of the difference, mean ± 1.96 standard deviations, between which
19 of 20 patients are expected (Bland and Altman, Lancet 327, 1986), each with its bootstrap interval.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means
from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.search import false_discovery_rate

LIMIT = 1.96
STATISTICS = ("relative_error", "bias_mm3", "limit_low_mm3", "limit_high_mm3")
VOLUME_COLUMNS = (
    *("subgroup", "attributes", "kind", "n"),
    *(f"{name}{end}" for name in STATISTICS for end in ("", "_low", "_high")),
    *("sd_mm3", "t", "p", "q", "tendency", "note", "decides", "reason"),
)
TOO_SMALL, TOO_LARGE, NO_TENDENCY = "too small", "too large", "none seen"
NO_CASE = "cannot be estimated: no case"
ONE_CASE = "no limits and no intervals: one case only"
NO_SPREAD = "no interval: the errors do not differ"


def volume_table(cohort: ScoredCohort) -> pd.DataFrame:
    """The volume errors of every subgroup.

    Args:
        cohort: the scored cases; those whose volumes were not measured or whose reference is empty are left out.

    Returns:
        Table with one row a subgroup, the whole cohort first: subgroup, attributes, kind, n, relative_error, bias_mm3,
        limit_low_mm3 and limit_high_mm3, each with the ends of its interval (``_low``, ``_high``), sd_mm3 of the
        differences, t, p and q (Welch, relative error against the cases outside, corrected over all rows), tendency
        (``too small`` or ``too large`` where the interval of the relative error is wholly on one side of 0), a note
        where something does not exist, decides and reason. No row where no volume was measured.
    """
    names = ["volume_reference_mm3", "volume_prediction_mm3"]
    if not set(names) <= set(cohort.cases.columns):
        return pd.DataFrame(columns=list(VOLUME_COLUMNS))
    reference, prediction = (cohort.cases[name].to_numpy(dtype=float) for name in names)
    measured = (reference > 0) & np.isfinite(prediction)
    if not measured.any():
        return pd.DataFrame(columns=list(VOLUME_COLUMNS))
    difference = (prediction - reference)[measured]
    relative = difference / reference[measured]
    membership, options = cohort.groups.subgroups.membership[measured], cohort.groups.options
    n = membership.sum(axis=0)
    intervals = bootstrap_intervals(
        lambda weights: _statistics(weights, relative, difference, membership),
        len(difference),
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    values, ends = intervals.estimate.reshape(len(STATISTICS), -1), intervals.ends().reshape(len(STATISTICS), -1, 2)
    # The divisor of a sample's standard deviation: the weighted one has n.
    with np.errstate(divide="ignore", invalid="ignore"):
        widen = np.where(n > 1, np.sqrt(n / (n - 1.0)), np.nan)
    sd = (values[3] - values[1]) / LIMIT * widen
    for row, sign in ((2, -1), (3, 1)):
        shift = values[1] + sign * LIMIT * sd - values[row]
        values[row] += shift
        ends[row] += shift[:, None]
    ends[:, n < 2] = np.nan
    table = cohort.groups.subgroup_columns().assign(n=n, sd_mm3=sd)
    for row, name in enumerate(STATISTICS):
        table[name], table[f"{name}_low"], table[f"{name}_high"] = values[row], ends[row, :, 0], ends[row, :, 1]
    scores = np.full(len(measured), np.nan)
    scores[measured] = relative
    test = subgroup_divergence(cohort.groups.subgroups, scores)
    table["t"], table["p"] = test["t"].to_numpy(), test["p"].to_numpy()
    table["q"] = false_discovery_rate(table["p"].to_numpy())
    low, high = table["relative_error_low"], table["relative_error_high"]
    table["tendency"] = np.select([high < 0, low > 0, low.notna()], [TOO_SMALL, TOO_LARGE, NO_TENDENCY], "")
    table["note"] = np.select([n == 0, n == 1, low.isna()], [NO_CASE, ONE_CASE, NO_SPREAD], "")
    return table[list(VOLUME_COLUMNS)]


def _statistics(
    weights: np.ndarray, relative: np.ndarray, difference: np.ndarray, membership: np.ndarray
) -> np.ndarray:
    """``STATISTICS`` of every subgroup, float array of shape (n_replicates, 4 · n_subgroups)."""
    error, bias = weighted_means(weights, relative, membership), weighted_means(weights, difference, membership)
    # Deviations from the mean of all keep the squares from cancelling.
    centre = difference.mean()
    squares = weighted_means(weights, (difference - centre) ** 2, membership)
    sd = np.sqrt(np.clip(squares - (bias - centre) ** 2, 0, None))
    return np.concatenate([error, bias, bias - LIMIT * sd, bias + LIMIT * sd], axis=1)
