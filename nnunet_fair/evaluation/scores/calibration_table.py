"""Whether the model's probabilities are right, and whether it knows when it fails, for every subgroup.

Every case counts the same, however large its structure is: the share of a bin in a group is the mean of its cases'
shares. So the Brier score of a group is the mean of its cases', and its calibration error that of a voxel drawn from a
case drawn at random.

Source of the interval of Spearman's correlation: Bonett and Wright, Psychometrika 65 (2000).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.evaluation.metrics.calibration import (
    BIN_COLUMNS,
    CALIBRATION_PROBLEM,
    N_BINS,
    SAID,
    SHARES,
    TRUE,
)
from nnunet_fair.evaluation.scores.cohort import CohortGroups, ScoredCohort
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means

STATISTICS = ("ece", "brier", "volume_ratio")
KNOWS = "knows_when_it_fails"
CALIBRATION_TABLE_COLUMNS = (
    *("subgroup", "attributes", "kind", "n"),
    *(f"{name}{end}" for name in (*STATISTICS, KNOWS) for end in ("", "_low", "_high")),
    *("decides", "reason", "note"),
)
RELIABILITY_COLUMNS = (
    *("subgroup", "attributes", "kind", "n", "bin_from", "bin_to", "n_cases", "share", "said", "true"),
    "decides",
)
LEAST_CORRELATED = 5
TOO_FEW = f"{KNOWS} cannot be estimated: fewer than {LEAST_CORRELATED} cases"
CONSTANT = f"{KNOWS} cannot be estimated: DSC or uncertainty is the same in every case"


def measured(cohort: ScoredCohort) -> ScoredCohort | None:
    """The cases whose probabilities were measured; None where there is none."""
    if not set(BIN_COLUMNS) <= set(cohort.cases.columns):
        return None
    inside = cohort.cases["brier"].notna()
    groups = CohortGroups(cohort.groups.frame[inside], cohort.groups.variables, cohort.groups.options)
    return ScoredCohort(cohort.cases[inside], groups) if inside.any() else None


def calibration_table(cohort: ScoredCohort) -> pd.DataFrame:
    """Calibration of every subgroup.

    Args:
        cohort: the scored cases with what
            :func:`nnunet_fair.evaluation.metrics.calibration.case_calibration` measured, where it was.

    Returns:
        Table with one row a subgroup of the measured cases, all of them first, and no row where none was measured:
        subgroup, attributes, kind, n; with the ends of their intervals (``_low``, ``_high``) ``ece`` (expected
        calibration error of 15 bins), ``brier``, ``volume_ratio`` (expected over true volume, the geometric mean over
        the cases; an expected volume below 1 mm³ counts as 1 mm³) and ``knows_when_it_fails`` (Spearman's correlation
        of uncertainty and 1 − DSC: 1 where the worse case is always the more uncertain one); decides, reason and a note
        where something does not exist.
    """
    found = measured(cohort)
    if found is None:
        return pd.DataFrame(columns=list(CALIBRATION_TABLE_COLUMNS))
    options, membership = found.groups.options, found.groups.subgroups.membership
    table = found.groups.subgroup_columns()
    intervals = bootstrap_intervals(
        _Statistics(found, membership),
        len(found),
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    several = table["n"].to_numpy()[:, None] > 1
    values = intervals.estimate.reshape(len(STATISTICS), -1).copy()
    ends = intervals.ends().reshape(len(STATISTICS), -1, 2)
    values[-1], ends[-1] = np.exp(values[-1]), np.exp(ends[-1])  # of the mean logarithm
    for name, value, end in zip(STATISTICS, values, ends, strict=True):
        table[name] = value
        table[f"{name}_low"], table[f"{name}_high"] = np.where(several, end, np.nan).T
    uncertainty = found.cases["uncertainty"].to_numpy(dtype=float)
    known = [
        spearman(uncertainty[inside], 1 - found.dsc[inside], confidence=options.confidence) for inside in membership.T
    ]
    for position, suffix in enumerate(("", "_low", "_high")):
        table[f"{KNOWS}{suffix}"] = [row[position] for row in known]
    few = table["n"] < LEAST_CORRELATED
    table["note"] = np.select([table[KNOWS].notna(), few], ["", TOO_FEW], CONSTANT)
    return table[list(CALIBRATION_TABLE_COLUMNS)]


def reliability_table(cohort: ScoredCohort) -> pd.DataFrame:
    """What the model said and what was true, by bin of probability, for the whole cohort and every group.

    Args:
        cohort: see :func:`calibration_table`.

    Returns:
        Table with one row a subgroup and bin that holds a voxel: subgroup, attributes, kind, n, bin_from, bin_to,
        n_cases (cases with a voxel in the bin), share (of the voxels), said (mean probability), true (share of
        foreground) and decides. Combinations of attributes are left out.
    """
    found = measured(cohort)
    if found is None:
        return pd.DataFrame(columns=list(RELIABILITY_COLUMNS))
    shares, said, true = (found.cases[list(names)].to_numpy(dtype=float) for names in (SHARES, SAID, TRUE))
    rows = []
    subgroups = found.groups.subgroup_columns().itertuples()
    for row, inside in zip(subgroups, found.groups.subgroups.membership.T, strict=True):
        if row.kind == "combination" or not row.n:
            continue
        for k in np.flatnonzero(shares[inside].sum(axis=0) > 0):
            share = shares[inside, k].mean()
            rows.append(
                {
                    **{name: getattr(row, name) for name in ("subgroup", "attributes", "kind", "n", "decides")},
                    "bin_from": k / N_BINS,
                    "bin_to": (k + 1) / N_BINS,
                    "n_cases": int(np.count_nonzero(shares[inside, k])),
                    "share": share,
                    "said": said[inside, k].mean() / share,
                    "true": true[inside, k].mean() / share,
                }
            )
    return pd.DataFrame(rows, columns=list(RELIABILITY_COLUMNS))


def calibration_warnings(cases: pd.DataFrame) -> list[str]:
    """What a reader must know before the calibration.

    Args:
        cases: the per-case table.
    """
    if CALIBRATION_PROBLEM not in cases.columns:
        return []
    n = int((cases[CALIBRATION_PROBLEM] != "").sum())
    if not n:
        return []
    return [f"The calibration of {n} of {len(cases)} cases could not be measured; the others' is shown."]


class _Statistics:
    """The statistics of every subgroup as a function of case weights, all subgroups of one statistic after another."""

    def __init__(self, cohort: ScoredCohort, membership: np.ndarray) -> None:
        cases = cohort.cases
        self._membership = membership
        self._difference = cases[list(SAID)].to_numpy(dtype=float) - cases[list(TRUE)].to_numpy(dtype=float)
        self._brier = cases["brier"].to_numpy(dtype=float)
        expected = np.maximum(cases["volume_expected_mm3"].to_numpy(dtype=float), 1.0)
        self._log_ratio = np.log(expected / cases["volume_reference_mm3"].to_numpy(dtype=float))

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        membership = self._membership
        error = np.full((len(weights), membership.shape[1]), np.nan)
        for group, inside in enumerate(membership.T):
            own = weights[:, inside]
            total = own.sum(axis=1)
            off = np.abs(own @ self._difference[inside]).sum(axis=1)
            error[:, group] = np.divide(off, total, out=error[:, group], where=total > 0)
        means = [weighted_means(weights, values, membership) for values in (self._brier, self._log_ratio)]
        return np.concatenate([error, *means], axis=1)


def spearman(first: np.ndarray, second: np.ndarray, *, confidence: float) -> tuple[float, float, float]:
    """Spearman's rank correlation with Bonett and Wright's interval.

    Args:
        first: float array of shape (n_cases,).
        second: float array of shape (n_cases,).
        confidence: coverage of the interval.

    Returns:
        The correlation and the ends of its interval; NaN with fewer than five cases or without spread.
    """
    if len(first) < LEAST_CORRELATED or not np.ptp(first) or not np.ptp(second):
        return (np.nan,) * 3
    value = float(stats.spearmanr(first, second).statistic)
    if abs(value) >= 1:
        return value, np.nan, np.nan
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt((1 + value**2 / 2) / (len(first) - 3))
    low, high = np.tanh(np.arctanh(value) + np.array([-half, half]))
    return value, float(low), float(high)
