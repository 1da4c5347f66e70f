"""What a fairness score made of means does not see: the worst group, spread inside groups, tumour size."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.scores.cohort import GroupMembership, ScoredCohort
from nnunet_fair.evaluation.scores.size_neutral import size_strata, size_stratified_gap

BEYOND_MEANS_COLUMNS = (
    *("variable", "n_groups", "worst_group", "worst_group_dsc", "best_group", "best_group_dsc", "gap_dsc"),
    *("max_performance_gap", "between_group_variance", "within_group_sd", "largest_group_sd"),
    *("size_stratified_gap", "n_size_strata"),
)


def beyond_means(cohort: ScoredCohort) -> pd.DataFrame:
    """Fairness measures of the DSC for each variable, over its groups of at least ``min_group`` cases.

    Args:
        cohort: the scored cases, with ``volume_reference_mm3``.

    Returns:
        Table with one row a variable that has two such groups:
        worst_group, best_group and their mean DSC; gap_dsc, best minus worst;
        max_performance_gap, the mean over the groups of (best group's mean − the group's mean);
        between_group_variance, the variance of the group means weighted by the groups' sizes;
        within_group_sd, the pooled standard deviation inside the groups, and largest_group_sd;
        size_stratified_gap, the gap that remains between groups standardised to one distribution of tumour size
        (:mod:`nnunet_fair.evaluation.scores.size_neutral`), and the number of size strata it could use.
    """
    dsc = cohort.dsc
    strata = size_strata(cohort.cases["volume_reference_mm3"])
    rows = []
    for entry in cohort.groups.memberships:
        kept = np.flatnonzero(entry.n >= cohort.groups.options.min_group)
        if len(kept) < 2:
            continue
        members = [dsc[entry.membership[:, column]] for column in kept]
        means, sizes = np.array([m.mean() for m in members]), np.array([len(m) for m in members])
        squares = sum(((m - m.mean()) ** 2).sum() for m in members)
        freedom = sizes.sum() - len(kept)
        gap, n_strata = size_stratified_gap(dsc, entry.membership[:, kept], strata)
        rows.append(
            {
                "variable": entry.variable,
                "n_groups": len(kept),
                "worst_group": entry.names[kept[means.argmin()]],
                "worst_group_dsc": means.min(),
                "best_group": entry.names[kept[means.argmax()]],
                "best_group_dsc": means.max(),
                "gap_dsc": np.ptp(means),
                "max_performance_gap": (means.max() - means).mean(),
                "between_group_variance": np.average((means - np.average(means, weights=sizes)) ** 2, weights=sizes),
                "within_group_sd": np.sqrt(squares / freedom) if freedom > 0 else np.nan,
                "largest_group_sd": max((m.std(ddof=1) for m in members if len(m) > 1), default=np.nan),
                "size_stratified_gap": gap,
                "n_size_strata": n_strata,
            }
        )
    return pd.DataFrame(rows, columns=list(BEYOND_MEANS_COLUMNS))


def size_table(cohort: ScoredCohort) -> pd.DataFrame:
    """Mean DSC of each group inside each tumour-size stratum, and the gap there.

    Args:
        cohort: as in :func:`beyond_means`; a group with fewer than ``min_group`` cases in the whole cohort is left out.

    Returns:
        Table with one row a variable and stratum in which two groups have cases: variable, stratum (1 the smallest
        tumours), volume_from_mm3, volume_to_mm3, n, worst_group, worst_group_dsc, best_group, best_group_dsc, gap_dsc.
    """
    volumes, min_group = cohort.cases["volume_reference_mm3"], cohort.groups.options.min_group
    strata = size_strata(volumes)
    rows = [
        {**row, "stratum": stratum + 1}
        for entry in cohort.groups.memberships
        for stratum in range(strata.max(initial=-1) + 1)
        if (row := _size_row(entry, cohort.dsc, volumes, strata == stratum, min_group)) is not None
    ]
    return pd.DataFrame(rows, columns=list(SIZE_COLUMNS))


SIZE_COLUMNS = (
    *("variable", "stratum", "volume_from_mm3", "volume_to_mm3", "n"),
    *("worst_group", "worst_group_dsc", "best_group", "best_group_dsc", "gap_dsc"),
)


def _size_row(
    entry: GroupMembership, dsc: np.ndarray, volumes: pd.Series, inside: np.ndarray, min_group: int
) -> dict[str, object] | None:
    """One variable in one size stratum; None where there are not two groups to compare."""
    means = {
        name: dsc[inside & member].mean()
        for name, member, n in zip(entry.names, entry.membership.T, entry.n, strict=True)
        if n >= min_group and (inside & member).any()
    }
    if len(means) < 2:
        return None
    worst, best = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    return {
        "variable": entry.variable,
        "volume_from_mm3": volumes[inside].min(),
        "volume_to_mm3": volumes[inside].max(),
        "n": int(inside.sum()),
        "worst_group": worst,
        "worst_group_dsc": means[worst],
        "best_group": best,
        "best_group_dsc": means[best],
        "gap_dsc": means[best] - means[worst],
    }
