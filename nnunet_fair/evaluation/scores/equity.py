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

from collections.abc import Iterator

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.scores.cohort import GroupMembership, ScoredCohort
from nnunet_fair.metadata.group_order import group_order
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means

HIGHER_IS_BETTER = {"dsc": True, "surface_dsc": True, "norm_hd": False}
"""The metrics the measures are computed of, where the per-case table has them."""

MEASURES = (
    *("mean", "minimum", "maximum", "gap", "std_population", "std_sample"),
    *("es_sum", "es_std_population", "es_std_sample", "skewness"),
)
EQUITY_COLUMNS = (
    *("attributes", "metric", "measure", "value", "low", "high"),
    *("n_cases", "n_groups", "smallest_group", "note"),
)
NO_INTERVAL = "cannot be estimated: one case a group"
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
        cohort: the scored cases; of ``dsc``, ``surface_dsc`` and ``norm_hd`` those that are there are used.

    Returns:
        Table with one row an attribute or combination (``age × site``), metric and measure: value, low and high (the
        bootstrap's interval), n_cases, n_groups, smallest_group (its number of cases) and a note where a value or an
        interval does not exist.
    """
    rows = [
        row
        for partition in partitions(cohort)
        for metric, higher in HIGHER_IS_BETTER.items()
        if metric in cohort.cases
        for row in _rows(cohort, partition, metric, higher)
    ]
    return pd.DataFrame(rows, columns=list(EQUITY_COLUMNS))


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
    cohort: ScoredCohort, partition: GroupMembership, metric: str, higher_is_better: bool
) -> Iterator[dict[str, object]]:
    """One row a measure."""
    values = cohort.cases[metric].to_numpy(dtype=float)
    counted = np.isfinite(values) & partition.membership.any(axis=1)
    values, membership = values[counted], partition.membership[counted]
    n = membership.sum(axis=0)
    if not n.all():
        return
    everybody = np.ones((len(values), 1), dtype=bool)
    options = cohort.groups.options
    intervals = bootstrap_intervals(
        lambda weights: group_measures(
            weighted_means(weights, values, membership),
            weighted_means(weights, values, everybody)[:, 0],
            higher_is_better=higher_is_better,
        ),
        len(values),
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    ends = intervals.ends() if n.min() > 1 else np.full((len(MEASURES), 2), np.nan)
    for position, measure in enumerate(MEASURES):
        value = intervals.estimate[position]
        if measure == "skewness" and not higher_is_better:
            continue
        yield {
            "attributes": partition.variable,
            "metric": metric,
            "measure": measure,
            "value": value,
            "low": ends[position, 0],
            "high": ends[position, 1],
            "n_cases": len(values),
            "n_groups": len(n),
            "smallest_group": int(n.min()),
            "note": PERFECT_BEST if np.isnan(value) else NO_INTERVAL if n.min() < 2 else "",
        }
