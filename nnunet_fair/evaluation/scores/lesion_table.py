"""Lesions found, missed and invented, by subgroup and by size.

Of the lesions of a group's patients together: TP, those found; FN, those missed; FP, predicted ones that are none.
Sensitivity is TP / (TP + FN), precision TP / (TP + FP), F1 2TP / (2TP + FP + FN), and the lesion-wise DSC the mean over
all TP + FN + FP with a missed and a false one counting 0, as BraTS defines them; false lesions are counted per case.
The rules for "found" are those of :mod:`nnunet_fair.evaluation.metrics.lesions`. A missed or found lesion has the size
of the reference, a false one its own.

Intervals: replicates draw patients, and a patient's lesions stay together, because they are found or missed together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.lesions import REFERENCE, equivalent_diameter, is_found
from nnunet_fair.evaluation.metrics.options import TOUCH
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals

ALL_SIZES = "all"
RATES = ("sensitivity", "precision", "f1", "lesion_dsc", "false_per_case")
LESION_GROUP_COLUMNS = (
    *("subgroup", "attributes", "kind", "size", "n", "n_with", "n_lesions", "n_found", "n_false"),
    *(f"{name}{end}" for name in RATES for end in ("", "_low", "_high")),
    *("note", "decides", "reason"),
)
ML = 1000.0  # mm³
NO_LESION = "cannot be estimated: no lesion"
FEW_PATIENTS = "no interval of the sensitivity: lesions in one case only"
NO_SPREAD = "no interval of the sensitivity: the same in every case"


@dataclass(frozen=True)
class SizeClass:
    """Which lesions are looked at.

    Attributes:
        name: for people.
        low: smallest volume (or diameter), included.
        high: largest volume (or diameter), not included.
        by_diameter: whether the limits are diameters in mm and not volumes in mm³.
    """

    name: str
    low: float = 0.0
    high: float = np.inf
    by_diameter: bool = False

    def holds(self, lesions: pd.DataFrame) -> np.ndarray:
        """Which lesions are of this size, bool array of shape (n_lesions,)."""
        size = lesions["diameter_mm" if self.by_diameter else "volume_mm3"].to_numpy(dtype=float)
        return (size >= self.low) & (size < self.high)


def size_classes(lesions: pd.DataFrame) -> tuple[SizeClass, ...]:
    """All lesions, thirds of the reference's lesions, and absolute sizes.

    Args:
        lesions: one row a lesion.

    Returns:
        The classes; without those in mL where the lesions are areas of 2D images, and without thirds where there are
        fewer than three lesions.
    """
    classes = [SizeClass(ALL_SIZES)]
    volumes = lesions.loc[lesions["kind"] == REFERENCE, "volume_mm3"].to_numpy(dtype=float)
    solid = bool(np.allclose(lesions["diameter_mm"], [equivalent_diameter(v) for v in lesions["volume_mm3"]]))
    if len(volumes) >= 3:
        first, second = np.quantile(volumes, [1 / 3, 2 / 3])
        unit, scale = ("mL", ML) if solid else ("mm²", 1.0)
        low, high = f"{first / scale:.3g}", f"{second / scale:.3g}"
        classes += [
            SizeClass(f"smallest third (< {low} {unit})", 0.0, first),
            SizeClass(f"middle third ({low} to {high} {unit})", first, second),
            SizeClass(f"largest third (≥ {high} {unit})", second),
        ]
    if solid:
        classes += [
            SizeClass("< 1 mL", 0.0, ML),
            SizeClass("1 to 5 mL", ML, 5 * ML),
            SizeClass("≥ 5 mL", 5 * ML),
        ]
    return (
        *classes,
        SizeClass("< 10 mm", 0.0, 10.0, by_diameter=True),
        SizeClass("≥ 10 mm", 10.0, by_diameter=True),
    )


def lesion_table(cohort: ScoredCohort, lesions: pd.DataFrame, *, matching: str = TOUCH) -> pd.DataFrame:
    """Lesions of every subgroup and size.

    Args:
        cohort: the cases that hold the structure; only their lesions are counted.
        lesions: one row a lesion with ``case_id`` and the fields of
            :class:`nnunet_fair.evaluation.metrics.lesions.Lesion`.
        matching: the rule for "found".

    Returns:
        Table with one row a size and subgroup, the whole cohort first: subgroup, attributes, kind, size, n (cases),
        n_with (cases with a lesion of that size in the reference), n_lesions, n_found, n_false, then sensitivity,
        precision, f1, lesion_dsc and false_per_case with the ends of their intervals (``_low``, ``_high``), a note
        where something does not exist, decides and reason. No row where no lesion was measured.
    """
    place = {case_id: position for position, case_id in enumerate(cohort.cases.index)}
    own = lesions[lesions["case_id"].isin(place)]
    if own.empty:
        return pd.DataFrame(columns=list(LESION_GROUP_COLUMNS))
    position = own["case_id"].map(place).to_numpy(dtype=int)
    found, is_reference = is_found(own, matching), (own["kind"] == REFERENCE).to_numpy()
    tables = []
    for size in size_classes(own):
        inside = size.holds(own)
        counts = _Counts(
            found=_per_case(position, inside & is_reference & found, len(cohort)),
            lesions=_per_case(position, inside & is_reference, len(cohort)),
            false=_per_case(position, inside & ~is_reference & ~found, len(cohort)),
            dsc=_per_case(position, inside & is_reference & found, len(cohort), own["dsc"].to_numpy(dtype=float)),
        )
        tables.append(_of_size(cohort, counts).assign(size=size.name))
    return pd.concat(tables, ignore_index=True)[list(LESION_GROUP_COLUMNS)]


@dataclass(frozen=True, repr=False)
class _Counts:
    """Lesions of each case, float arrays of shape (n_cases,); ``dsc`` is the sum over those found."""

    found: np.ndarray
    lesions: np.ndarray
    false: np.ndarray
    dsc: np.ndarray

    def rates(self, weights: np.ndarray, membership: np.ndarray) -> np.ndarray:
        """``RATES`` of every group, float array of shape (n_replicates, 5 · n_groups); NaN without a denominator."""
        inside = membership.astype(float)
        totals = (weights @ (inside * values[:, None]) for values in (self.found, self.lesions, self.false, self.dsc))
        found, lesions, false, dsc = totals
        cases = weights @ inside
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = [
                found / lesions,
                found / (found + false),
                2 * found / (found + lesions + false),
                dsc / (lesions + false),
                false / cases,
            ]
        return np.concatenate(rates, axis=1)


def _per_case(position: np.ndarray, chosen: np.ndarray, n_cases: int, values: np.ndarray | None = None) -> np.ndarray:
    """Number of chosen lesions, or the sum of a value over them, in each case."""
    return np.bincount(position[chosen], weights=None if values is None else values[chosen], minlength=n_cases).astype(
        float
    )


def _of_size(cohort: ScoredCohort, counts: _Counts) -> pd.DataFrame:
    """The rows of one size."""
    options, membership = cohort.groups.options, cohort.groups.subgroups.membership
    intervals = bootstrap_intervals(
        lambda weights: counts.rates(weights, membership),
        len(cohort),
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    values, ends = intervals.estimate.reshape(len(RATES), -1), intervals.ends().reshape(len(RATES), -1, 2)
    table = cohort.groups.subgroup_columns()
    whole = {name: (membership.T @ getattr(counts, name)).astype(int) for name in ("lesions", "found", "false")}
    table = table.assign(
        n_with=membership.T @ (counts.lesions > 0).astype(int), **{f"n_{k}": v for k, v in whole.items()}
    )
    for row, name in enumerate(RATES):
        table[name], table[f"{name}_low"], table[f"{name}_high"] = values[row], ends[row, :, 0], ends[row, :, 1]
    without = table["sensitivity_low"].isna()
    table["note"] = np.select(
        [table["n_lesions"] == 0, table["n_with"] == 1, without], [NO_LESION, FEW_PATIENTS, NO_SPREAD], ""
    )
    return table
