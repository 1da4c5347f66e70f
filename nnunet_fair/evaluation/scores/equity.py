"""Group-fairness measures of the literature, each by its published name, with intervals.

For a score of which more is better, with I the mean of the cases that are in a group and I_a the mean of group a:

- equity-scaled score, ``es_sum``: I / (1 + Σ_a |I − I_a|), as the code of FairSeg (Tian et al., ICLR 2024) and of dMoE
  computes it;
- ``es_std``: I / (1 + std_a I_a), as FairSeg's first preprint writes it; with the standard deviation over the groups
  (``es_std_population``, ddof 0, as fairmedfm) or of a sample of groups (``es_std_sample``, ddof 1, as FairSeg's
  ``statistics.stdev``): three published numbers that differ;
- ``skewness``: (1 − min_a I_a) / (1 − max_a I_a), how much larger the worst group's error is than the best one's;
- ``minimum``, ``maximum``, ``gap`` and ``std`` of the group means.

For a distance, of which less is better, the equity-scaled values multiply: I · (1 + …); it has no skewness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.ndsc import NDSC
from nnunet_fair.evaluation.scores.cohort import GroupMembership, ScoredCohort
from nnunet_fair.metadata.group_order import group_order
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means

HIGHER_IS_BETTER = {"dsc": True, NDSC: True, "surface_dsc": True, "norm_hd": False}
"""The metrics the measures are computed of, where the per-case table has them."""

MEASURES = (
    *("mean", "minimum", "maximum", "gap", "std_population", "std_sample"),
    *("es_sum", "es_std_population", "es_std_sample", "skewness"),
)
EQUITY_COLUMNS = (
    *("attributes", "metric", "measure", "value", "low", "high"),
    *("n_cases", "n_groups", "smallest_group", "note"),
)
NO_VALUE = "cannot be estimated: a group has no case with this metric"
NO_INTERVAL = "no interval: a group has one case only"
NO_SPREAD = "no interval: the cases do not differ"
PERFECT_BEST = "cannot be estimated: the best group's mean is 1"


def group_measures(means: np.ndarray, overall: np.ndarray, *, higher_is_better: bool) -> np.ndarray:
    """The measures from group means.

    Args:
        means: float array of shape (n_replicates, n_groups), two or more groups.
        overall: float array of shape (n_replicates,), the mean over all cases.
        higher_is_better: False for a distance.

    Returns:
        Float array of shape (n_replicates, n_measures) in the order of ``MEASURES``; the skewness is NaN where the best
        group's mean is 1, and for a distance.
    """
    low, high = means.min(axis=1), means.max(axis=1)
    population, sample = means.std(axis=1), means.std(axis=1, ddof=1)
    spread = np.abs(overall[:, None] - means).sum(axis=1)
    penalties = [1 + spread, 1 + population, 1 + sample]
    scaled = [overall / p if higher_is_better else overall * p for p in penalties]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (1 - low) / (1 - high)
    skewness = np.where(np.isfinite(ratio) & (high < 1) & higher_is_better, ratio, np.nan)
    return np.stack([overall, low, high, high - low, population, sample, *scaled, skewness], axis=1)


def equity_table(cohort: ScoredCohort) -> pd.DataFrame:
    """The measures of every attribute and of every combination of attributes that cuts the cases into groups.

    Groups smaller than the cohort's ``min_group`` take no part, and an attribute or combination that is left with fewer
    than two groups has no row. The mean is over the cases of the groups that take part.

    Args:
        cohort: the scored cases; of ``dsc``, ``ndsc``, ``surface_dsc`` and ``norm_hd`` those that are there are used.

    Returns:
        Table with one row an attribute or combination (``age × site``), metric and measure: value, low and high (the
        bootstrap's interval), n_cases, n_groups, smallest_group (its number of cases) and a note where a value or an
        interval does not exist.
    """
    found = list(partitions(cohort))
    rows = [
        row
        for metric, higher_is_better in HIGHER_IS_BETTER.items()
        if found and metric in cohort.cases and cohort.cases[metric].notna().any()
        for row in _rows(cohort, found, metric, higher_is_better=higher_is_better)
    ]
    table = pd.DataFrame(rows, columns=list(EQUITY_COLUMNS))
    order = {partition.variable: position for position, partition in enumerate(found)}
    return table.sort_values("attributes", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def partitions(cohort: ScoredCohort) -> Iterator[GroupMembership]:
    """The groups of every attribute, then the cells of every combination, each with ``min_group`` cases or more.

    Args:
        cohort: the scored cases.

    Yields:
        One entry an attribute or combination with at least two such groups; its variable is the attributes joined by
        `` × ``, its names are the values joined the same way.
    """
    subgroups, least = cohort.groups.subgroups, cohort.groups.options.min_group
    columns: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    for column, itemset in enumerate(subgroups.itemsets):
        if itemset and subgroups.membership[:, column].sum() >= least:
            attributes, values = tuple(a for a, _ in itemset), tuple(v for _, v in itemset)
            columns.setdefault(attributes, {})[values] = column
    for attributes in sorted(columns, key=len):
        cells = columns[attributes]
        if len(cells) > 1:
            order = sorted(cells, key=lambda values: tuple(map(group_order, values)))
            yield GroupMembership(
                " × ".join(attributes),
                tuple(" × ".join(values) for values in order),
                subgroups.membership[:, [cells[values] for values in order]],
            )


def _rows(
    cohort: ScoredCohort, found: Sequence[GroupMembership], metric: str, *, higher_is_better: bool
) -> Iterator[dict[str, object]]:
    """One row a partition and measure, all from one set of replicates."""
    values = cohort.cases[metric].to_numpy(dtype=float)
    counted = np.isfinite(values)
    values = values[counted]
    memberships = [partition.membership[counted] for partition in found]
    ends_of = np.cumsum([0, *(membership.shape[1] for membership in memberships)])
    groups = np.column_stack(memberships)
    anybody = np.column_stack([membership.any(axis=1) for membership in memberships])

    def statistics(weights: np.ndarray) -> np.ndarray:
        means, overall = weighted_means(weights, values, groups), weighted_means(weights, values, anybody)
        parts = [
            group_measures(means[:, ends_of[i] : ends_of[i + 1]], overall[:, i], higher_is_better=higher_is_better)
            for i in range(len(found))
        ]
        return np.concatenate(parts, axis=1)

    options = cohort.groups.options
    intervals = bootstrap_intervals(
        statistics, len(values), n_resamples=options.n_resamples, confidence=options.confidence, seed=options.seed
    )
    ends = intervals.ends()
    for i, (partition, membership) in enumerate(zip(found, memberships, strict=True)):
        n = membership.sum(axis=0)
        for k, measure in enumerate(MEASURES):
            if measure == "skewness" and not higher_is_better:
                continue
            position = i * len(MEASURES) + k
            value = intervals.estimate[position]
            low, high = ends[position] if n.min() > 1 else (np.nan, np.nan)
            yield {
                "attributes": partition.variable,
                "metric": metric,
                "measure": measure,
                "value": value,
                "low": low,
                "high": high,
                "n_cases": int(membership.any(axis=1).sum()),
                "n_groups": len(n),
                "smallest_group": int(n.min()),
                "note": _note(measure, value, low, int(n.min())),
            }


def _note(measure: str, value: float, low: float, smallest: int) -> str:
    if smallest == 0:
        return NO_VALUE
    if np.isnan(value):
        return PERFECT_BEST if measure == "skewness" else NO_VALUE
    if smallest < 2:
        return NO_INTERVAL
    return NO_SPREAD if np.isnan(low) else ""
