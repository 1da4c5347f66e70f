"""What a model does where there is nothing to find: false positives among the cases with an empty reference.

A case without the structure has no overlap to measure: whether the model leaves it empty is another question than how
well it outlines what is there, and the two are never mixed into one mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.scores.cohort import CohortGroups, has_structure
from nnunet_fair.subgroups.group_means import group_mean_intervals

FALSE_POSITIVE_METRICS = {
    "false_positive_rate": "share of the cases with any predicted voxel",
    "false_lesions": "connected components predicted, per case",
    "false_volume_mm3": "predicted volume in mm³, per case",
}
FALSE_POSITIVE_COLUMNS = (
    *("subgroup", "attributes", "kind", "n"),
    *(f"{name}{end}" for name in FALSE_POSITIVE_METRICS for end in ("", "_low", "_high")),
    *("decides", "reason"),
)


def false_positive_values(cases: pd.DataFrame) -> pd.DataFrame:
    """What was predicted in each case whose reference is empty.

    Args:
        cases: a per-case table indexed by case ID; cases whose masks were not measured are left out, and all are where
            the table has no volumes.

    Returns:
        Table of shape (n_cases_without_the_structure, 3): ``false_positive_rate`` (0 or 1), ``false_lesions`` and
        ``false_volume_mm3``.
    """
    columns = ["volume_prediction_mm3", "lesions_prediction"]
    if not set(columns) <= set(cases.columns):
        return pd.DataFrame(columns=list(FALSE_POSITIVE_METRICS), dtype=float)
    empty = cases[~has_structure(cases) & cases["volume_prediction_mm3"].notna()]
    volume, lesions = (empty[name].astype(float) for name in columns)
    return pd.DataFrame(
        {"false_positive_rate": (volume > 0).astype(float), "false_lesions": lesions, "false_volume_mm3": volume}
    )


def false_positive_table(cases: pd.DataFrame, groups: CohortGroups) -> pd.DataFrame:
    """False positives of every subgroup among the cases without the structure.

    Args:
        cases: what :func:`false_positive_values` gave.
        groups: the groups of exactly these cases.

    Returns:
        Table with one row a subgroup, all such cases first, and no row where there is none: subgroup, attributes, kind,
        n, then ``false_positive_rate``, ``false_lesions`` and ``false_volume_mm3``, means over the cases with the ends
        of their intervals (``_low``, ``_high``), decides and reason.
    """
    if cases.empty:
        return pd.DataFrame(columns=list(FALSE_POSITIVE_COLUMNS))
    table, options = groups.subgroup_columns(), groups.options
    for name in FALSE_POSITIVE_METRICS:
        means = group_mean_intervals(
            cases[name].to_numpy(dtype=float),
            groups.subgroups.membership,
            n_resamples=options.n_resamples,
            confidence=options.confidence,
            seed=options.seed,
        )
        table[name], table[f"{name}_low"], table[f"{name}_high"] = means.mean, means.low, means.high
    return table[list(FALSE_POSITIVE_COLUMNS)]


def policy_sentence(n_empty: int, n_cases: int, policy: EmptyMaskPolicy | None) -> str:
    """Which policy for empty masks is in force, and what it reaches.

    Args:
        n_empty: cases with an empty reference.
        n_cases: all cases.
        policy: the policy; None where the cases were scored elsewhere.
    """
    return (
        f"{n_empty} of {n_cases} cases have an empty reference. {_rule(policy)}, in performance, fairness and ranking "
        "only: groups are compared on the cases that hold the structure, and false positives are counted on the others."
    )


def absent_classes_sentence(absent: Mapping[str, tuple[int, int]], policy: EmptyMaskPolicy | None) -> str:
    """Which classes some references lack, and what that means for their numbers.

    Args:
        absent: the number of cases without each such class, and of all its cases.
        policy: see :func:`policy_sentence`.
    """
    shown = [f"{name} in {n_empty} of {n_cases} cases" for name, (n_empty, n_cases) in absent.items()]
    more = f" and {len(shown) - 5} more classes" if len(shown) > 5 else ""
    return (
        f"Some references lack a class: {', '.join(shown[:5])}{more}. {_rule(policy)}, in that class's own "
        "performance, fairness and ranking only: the mean over the classes is over those a case holds, groups are "
        "compared on the cases that hold the class, and false positives are counted on the others."
    )


def _rule(policy: EmptyMaskPolicy | None) -> str:
    """What two empty masks score."""
    meaning = {
        EmptyMaskPolicy.CHALLENGE: "two empty masks score DSC 0",
        EmptyMaskPolicy.PERFECT: "two empty masks score DSC 1",
        EmptyMaskPolicy.EXCLUDE: "two empty masks have no DSC",
    }
    return f"By the policy '{policy.value}' {meaning[policy]}" if policy else "They count as they were scored"


def n_empty_references(cases: pd.DataFrame) -> int:
    """How many cases have a reference without the structure."""
    return int(np.count_nonzero(~has_structure(cases)))
