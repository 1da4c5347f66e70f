"""The subgroup table: every attribute group and every frequent combination, with what means hide."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.ndsc import NDSC
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.equivalence import smallest_detectable
from nnunet_fair.evaluation.scores.tails import worst_shares
from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.group_means import group_mean_intervals
from nnunet_fair.subgroups.options import SubgroupOptions
from nnunet_fair.subgroups.search import false_discovery_rate


def subgroup_table(cohort: ScoredCohort) -> pd.DataFrame:
    """Describe every subgroup.

    Args:
        cohort: the scored cases, with ``hd95_mm``.

    Returns:
        Table with one row a subgroup, the whole cohort first: subgroup, attributes (joined by `` × ``), kind
        (``all``, ``group`` or ``combination``), n, share, mean_dsc with its interval, median_dsc, sd_dsc,
        worst_decile_dsc (10th percentile), mean_norm_hd with its interval, median_hd95_mm, failures, failure_rate,
        divergence (of the mean DSC from the cohort's), t and p (Welch, against the cases outside the subgroup), q
        (p after false-discovery-rate correction over all rows), divergence_norm_hd, smallest_detectable (difference
        from the cases outside that so many cases can show), worst_tenth_dsc and mean_ndsc with their intervals (NaN
        where they are not known), decides and reason.
    """
    subgroups, options = cohort.groups.subgroups, cohort.groups.options
    table = cohort.groups.subgroup_columns().drop(columns="n")
    divergence = subgroup_divergence(subgroups, cohort.dsc).drop(columns="subgroup")
    table = table.join(divergence.rename(columns={"support": "share", "mean_score": "mean_dsc"}))
    table["divergence_norm_hd"] = subgroup_divergence(subgroups, cohort.norm_hd)["divergence"]
    table["q"] = false_discovery_rate(table["p"].to_numpy())
    descriptions = [_describe(cohort.cases[inside], options) for inside in subgroups.membership.T]
    table = table.join(pd.DataFrame(descriptions, index=table.index))
    ndsc = cohort.cases[NDSC].to_numpy(dtype=float) if NDSC in cohort.cases else np.full(len(cohort), np.nan)
    for metric, values in (("dsc", cohort.dsc), ("norm_hd", cohort.norm_hd), (NDSC, ndsc)):
        means = group_mean_intervals(
            values,
            subgroups.membership,
            n_resamples=options.n_resamples,
            confidence=options.confidence,
            seed=options.seed,
        )
        table[f"mean_{metric}_low"], table[f"mean_{metric}_high"] = means.low, means.high
        if metric == NDSC:
            table["mean_ndsc"] = means.mean
    table["smallest_detectable"] = smallest_detectable(cohort)
    worst = worst_shares(cohort)
    for end, column in (("", "worst_dsc"), ("_low", "low"), ("_high", "high")):
        table[f"worst_tenth_dsc{end}"] = worst[column]
    return table[list(SUBGROUP_COLUMNS)]


SUBGROUP_COLUMNS = (
    *("subgroup", "attributes", "kind", "n", "share"),
    *("mean_dsc", "mean_dsc_low", "mean_dsc_high", "median_dsc", "sd_dsc", "worst_decile_dsc"),
    *("mean_norm_hd", "mean_norm_hd_low", "mean_norm_hd_high", "median_hd95_mm", "failures", "failure_rate"),
    *("divergence", "t", "p", "q", "divergence_norm_hd", "smallest_detectable"),
    *("worst_tenth_dsc", "worst_tenth_dsc_low", "worst_tenth_dsc_high"),
    *("mean_ndsc", "mean_ndsc_low", "mean_ndsc_high", "decides", "reason"),
)


def is_failure(dsc: pd.Series, failure_dsc: float) -> pd.Series:
    """Whether each case is a failure: no overlap at all, or a DSC below the threshold."""
    return (dsc == 0) | (dsc < failure_dsc)


def _describe(cases: pd.DataFrame, options: SubgroupOptions) -> dict[str, float]:
    """What the mean of a subgroup hides."""
    dsc = cases["dsc"].astype(float)
    failures = int(is_failure(dsc, options.failure_dsc).sum())
    return {
        "median_dsc": dsc.median(),
        "sd_dsc": dsc.std(),
        "worst_decile_dsc": dsc.quantile(0.1),
        "mean_norm_hd": cases["norm_hd"].astype(float).mean(),
        # Infinite distances are values above every other here, so that a missed lesion cannot improve the median.
        "median_hd95_mm": _median(cases["hd95_mm"]),
        "failures": failures,
        "failure_rate": failures / len(cases) if len(cases) else np.nan,
    }


def _median(values: pd.Series) -> float:
    """The median with infinity as a value; NaN where nothing was measured."""
    ordered = np.sort(values.dropna().to_numpy(dtype=float))
    if not len(ordered):
        return float("nan")
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low) if low == high else float((low + high) / 2)
