"""The subgroups an analysis looks at: every group of every attribute and the frequent combinations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.metadata.group_order import ordered_groups
from nnunet_fair.subgroups.itemsets import Subgroups, mine_subgroups, subgroup_membership
from nnunet_fair.subgroups.options import SubgroupOptions


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
