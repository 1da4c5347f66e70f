"""The subgroups an analysis looks at: every group of every attribute and the frequent combinations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.metadata.group_order import ordered_groups
from nnunet_fair.subgroups.bootstrap import CONFIDENCE, N_RESAMPLES
from nnunet_fair.subgroups.itemsets import Subgroups, mine_subgroups, subgroup_membership

MIN_GROUP = 10
MIN_SUPPORT = 0.05
MAX_ITEMS = 3
FAILURE_DSC = 0.1


@dataclass(frozen=True)
class SubgroupOptions:
    """How subgroups are found and described.

    Attributes:
        min_group: groups with fewer cases are shown but decide nothing.
        min_support: smallest share of the cases a combination of attributes must hold.
        max_items: largest number of attributes in a combination.
        failure_dsc: a case with a DSC of 0 or below this is a failure.
        n_resamples: bootstrap replicates.
        confidence: coverage of the intervals.
        seed: seed of the bootstrap.
    """

    min_group: int = MIN_GROUP
    min_support: float = MIN_SUPPORT
    max_items: int = MAX_ITEMS
    failure_dsc: float = FAILURE_DSC
    n_resamples: int = N_RESAMPLES
    confidence: float = CONFIDENCE
    seed: int = 0


def find_subgroups(groups: pd.DataFrame, options: SubgroupOptions) -> Subgroups:
    """Every group of every attribute, then the frequent combinations of two and more.

    Args:
        groups: table of shape (n_cases, n_attributes), indexed by case ID; NaN is in no group.
        options: support and size of the combinations.

    Returns:
        The subgroups: single groups in the order of the columns and their names, whatever their size; combinations as
        DivExplorer finds them, the largest first.
    """
    single = [
        ((str(attribute), value),)
        for attribute in groups.columns
        for value in ordered_groups(groups[attribute].dropna().unique())
    ]
    mined = mine_subgroups(
        groups, min_support=options.min_support, min_cases=options.min_group, max_items=options.max_items
    )
    itemsets = tuple(single + [itemset for itemset in mined.itemsets if len(itemset) > 1])
    return Subgroups(
        case_ids=tuple(map(str, groups.index)), itemsets=itemsets, membership=subgroup_membership(itemsets, groups)
    )


def false_discovery_rate(p: np.ndarray) -> np.ndarray:
    """Benjamini–Hochberg adjusted p-values of those that exist; NaN stays NaN.

    Args:
        p: float array of shape (n_tests,).

    Returns:
        Float array of shape (n_tests,).
    """
    q = np.full(len(p), np.nan)
    tested = np.isfinite(p)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested])
    return q
