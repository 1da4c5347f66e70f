"""Does a gap remain when lesion size no longer matters? The gap of the DSC beside two that leave size out.

DSC is higher for larger lesions, so groups whose tumours differ in size differ in DSC under a model that treats all
alike. The gap of nDSC (:mod:`nnunet_fair.evaluation.metrics.ndsc`) takes the size out of the score, case by case; the
gap at equal size takes it out of the comparison: every group's mean is averaged over thirds of lesion size with the
cohort's shares of them (direct standardisation), over the thirds in which every group has a case.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.ndsc import NDSC
from nnunet_fair.evaluation.scores.cohort import GroupMembership, ScoredCohort
from nnunet_fair.evaluation.scores.equity import partitions
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means

N_SIZE_STRATA = 3
GAPS = ("gap_dsc", "gap_ndsc", "gap_equal_size")
SIZE_NEUTRAL_COLUMNS = (
    *("attributes", "n_cases", "n_groups", "smallest_group"),
    *(f"{name}{end}" for name in GAPS for end in ("", "_low", "_high")),
    *("n_size_strata", "note"),
)
NO_STRATUM = "gap at equal size cannot be estimated: no third of lesion size holds a case of every group"
NO_NDSC = "gap of nDSC cannot be estimated: the images' volumes are not known"
ONE_CASE = "no interval: a group has one case only"


def size_strata(volumes: pd.Series, n_strata: int = N_SIZE_STRATA) -> np.ndarray:
    """The tumour-size third (by default) each case belongs to.

    Args:
        volumes: reference volumes in mm³, shape (n_cases,); a case without a lesion has 0.
        n_strata: number of strata of equal size.

    Returns:
        Int array of shape (n_cases,): 0 for the smallest tumours; −1 for a case without a lesion.
    """
    strata = np.full(len(volumes), -1)
    lesion = (volumes > 0).to_numpy()
    if lesion.any():
        edges = np.quantile(volumes[lesion], np.arange(1, n_strata) / n_strata)
        strata[lesion] = np.searchsorted(edges, volumes[lesion].to_numpy(dtype=float), side="left")
    return strata


def usable_strata(membership: np.ndarray, strata: np.ndarray) -> list[int]:
    """The strata in which every group has a case.

    Args:
        membership: bool array of shape (n_cases, n_groups).
        strata: int array of shape (n_cases,), −1 outside every stratum.
    """
    return [s for s in range(strata.max(initial=-1) + 1) if membership[strata == s].any(axis=0).all()]


def standardised_means(
    weights: np.ndarray, values: np.ndarray, membership: np.ndarray, strata: np.ndarray
) -> np.ndarray:
    """Group means standardised to the cohort's lesion sizes, so that a group is not worse merely for smaller tumours.

    Args:
        weights: float array of shape (n_replicates, n_cases).
        values: float array of shape (n_cases,).
        membership: bool array of shape (n_cases, n_groups).
        strata: int array of shape (n_cases,), −1 outside every stratum.

    Returns:
        Float array of shape (n_replicates, n_groups); NaN where no stratum holds a case of every group.
    """
    total, shares = np.zeros((len(weights), membership.shape[1])), np.zeros((len(weights), 1))
    for stratum in usable_strata(membership, strata):
        inside = strata == stratum
        share = weights[:, inside].sum(axis=1, keepdims=True)
        total += share * weighted_means(weights[:, inside], values[inside], membership[inside])
        shares += share
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(shares > 0, total / shares, np.nan)


def size_stratified_gap(dsc: np.ndarray, membership: np.ndarray, strata: np.ndarray) -> tuple[float, int]:
    """The gap between groups whose means are standardised to the cohort's tumour sizes.

    Args:
        dsc: float array of shape (n_cases,).
        membership: bool array of shape (n_cases, n_groups).
        strata: int array of shape (n_cases,), −1 outside every stratum.

    Returns:
        Largest minus smallest standardised mean, over the strata in which every group has a case, and their number;
        NaN where there is none.
    """
    means = standardised_means(np.ones((1, len(dsc))), dsc, membership, strata)[0]
    return float(np.ptp(means)), len(usable_strata(membership, strata))


def size_neutral_table(cohort: ScoredCohort) -> pd.DataFrame:
    """The three gaps of every attribute and of every combination of attributes.

    Args:
        cohort: the scored cases, with ``volume_reference_mm3`` and, where it is known, ``ndsc``.

    Returns:
        Table with one row an attribute or combination that has two groups of ``min_group`` cases: n_cases, n_groups,
        smallest_group, gap_dsc, gap_ndsc and gap_equal_size, each with the ends of its bootstrap interval (``_low``,
        ``_high``), all from the same replicates, n_size_strata and a note where something does not exist.
    """
    volumes = cohort.cases["volume_reference_mm3"].astype(float)
    strata = size_strata(volumes)
    ndsc = cohort.cases[NDSC].to_numpy(dtype=float) if NDSC in cohort.cases else np.full(len(cohort), np.nan)
    rows = [_row(cohort, partition, ndsc, strata) for partition in partitions(cohort)]
    return pd.DataFrame(rows, columns=list(SIZE_NEUTRAL_COLUMNS))


def _row(cohort: ScoredCohort, partition: GroupMembership, ndsc: np.ndarray, strata: np.ndarray) -> dict[str, object]:
    """One attribute or combination."""
    membership, dsc = partition.membership, cohort.dsc
    scored = np.isfinite(ndsc)
    known = membership[scored].any(axis=0).all()

    def gaps(weights: np.ndarray) -> np.ndarray:
        of_ndsc = np.full((len(weights), 1), np.nan)
        if known:
            of_ndsc = weighted_means(weights[:, scored], ndsc[scored], membership[scored])
        at_equal_size = standardised_means(weights, dsc, membership, strata)
        means = [weighted_means(weights, dsc, membership), of_ndsc, at_equal_size]
        return np.stack([np.ptp(m, axis=1) for m in means], axis=1)

    options, n = cohort.groups.options, membership.sum(axis=0)
    found = bootstrap_intervals(
        gaps, len(dsc), n_resamples=options.n_resamples, confidence=options.confidence, seed=options.seed
    )
    ends = found.ends() if n.min() > 1 else np.full((len(GAPS), 2), np.nan)
    strata_used = len(usable_strata(membership, strata))
    notes = [(ONE_CASE, n.min() < 2), (NO_NDSC, not known), (NO_STRATUM, not strata_used)]
    row: dict[str, object] = {
        "attributes": partition.variable,
        "n_cases": int(membership.any(axis=1).sum()),
        "n_groups": len(n),
        "smallest_group": int(n.min()),
        "n_size_strata": strata_used,
        "note": "; ".join(text for text, holds in notes if holds),
    }
    for name, value, (low, high) in zip(GAPS, found.estimate, ends, strict=True):
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return row
