"""Frequent subgroups of patients.

A subgroup is an itemset, a set of ``attribute = value`` items such as {age = 71+, menopause = post}. The frequent
itemsets depend on the attributes only: DivExplorer mines them once, and every later divergence
(:mod:`nnunet_fair.subgroups.divergence`) is a mean over a boolean membership matrix. Nothing here imports torch.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd

Item: TypeAlias = tuple[str, str]
Itemset: TypeAlias = tuple[Item, ...]


def itemset_name(itemset: Itemset) -> str:
    """A subgroup's name for people: ``age=71+, menopause=post``; ``all`` for the empty itemset."""
    return ", ".join(f"{attribute}={value}" for attribute, value in itemset) or "all"


@dataclass(frozen=True, repr=False)
class Subgroups:
    """The frequent subgroups of a cohort.

    Attributes:
        case_ids: IDs of the cases, of length n_cases.
        itemsets: the subgroups, of length n_subgroups, each a tuple of (attribute, value) in the attributes' order.
        membership: bool array of shape (n_cases, n_subgroups); True where the case is in the subgroup.
    """

    case_ids: tuple[str, ...]
    itemsets: tuple[Itemset, ...]
    membership: np.ndarray

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Each subgroup's name, see :func:`itemset_name`."""
        return tuple(itemset_name(itemset) for itemset in self.itemsets)

    def __repr__(self) -> str:
        # nnU-Net writes the text of every attribute of a trainer to debug.json: no case ID and no group may be in it.
        return f"Subgroups(n_cases={len(self.case_ids)}, n_subgroups={len(self.itemsets)})"


def support_threshold(n_cases: int, min_support: float, min_cases: int) -> int:
    """The smallest number of cases that makes a subgroup frequent: max(min_cases, ⌈min_support · n_cases⌉, 1).

    Written out because the product in floating point rounds 0.07 · 100 up to 8.
    """
    return max(min_cases, math.ceil(round(min_support * n_cases, 9)), 1)


def subgroup_membership(itemsets: tuple[Itemset, ...], cases: pd.DataFrame) -> np.ndarray:
    """Which cases belong to which subgroups.

    Args:
        itemsets: the subgroups, of length n_subgroups.
        cases: table of shape (n_cases, n_attributes), indexed by case ID; a missing value is in no subgroup.

    Returns:
        Bool array of shape (n_cases, n_subgroups).
    """
    items: Mapping[Item, np.ndarray] = {
        (attribute, value): (cases[attribute] == value).to_numpy(dtype=bool, na_value=False)
        for attribute, value in {item for itemset in itemsets for item in itemset}
    }
    membership = np.ones((len(cases), len(itemsets)), dtype=bool)
    for column, itemset in enumerate(itemsets):
        for item in itemset:
            membership[:, column] &= items[item]
    return membership


def mine_subgroups(
    cases: pd.DataFrame, *, min_support: float, min_cases: int = 1, max_items: int | None = None
) -> Subgroups:
    """Find every frequent subgroup of a cohort with DivExplorer's FP-growth.

    Args:
        cases: table of shape (n_cases, n_attributes), indexed by case ID; values are group names, missing values (NaN)
            form no subgroup.
        min_support: smallest share of the cases a subgroup must hold, in (0, 1].
        min_cases: smallest number of cases a subgroup must hold.
        max_items: largest number of items in a subgroup; None for no limit.

    Returns:
        The subgroups, the largest first; ties in the order of their names. No subgroup at all is a valid answer.
    """
    # DivExplorer writes items as "attribute=value" and would split a value that holds "=", takes a column without any
    # value badly (TypeError) and makes the text "nan" a group: it is given codes, and only columns that have values.
    coded = pd.DataFrame(index=range(len(cases)))
    meaning: dict[str, Item] = {}
    for position, attribute in enumerate(cases.columns):
        codes, values = pd.factorize(cases[attribute], sort=True)
        if len(values) == 0:
            continue
        column = f"a{position}"
        coded[column] = pd.Series([f"v{code}" if code >= 0 else None for code in codes], dtype=object)
        meaning.update({f"{column}=v{code}": (str(attribute), value) for code, value in enumerate(values)})

    threshold = support_threshold(len(cases), min_support, min_cases)
    itemsets: list[Itemset] = []
    if meaning and threshold <= len(cases) and _any_frequent(coded, threshold):
        itemsets = [
            tuple(meaning[item] for item in sorted(found, key=lambda item: int(item[1 : item.index("=")])))
            for found in _divexplorer_itemsets(coded, threshold)
            if max_items is None or len(found) <= max_items
        ]
    membership = subgroup_membership(tuple(itemsets), cases)
    order = sorted(range(len(itemsets)), key=lambda i: (-int(membership[:, i].sum()), itemset_name(itemsets[i])))
    return Subgroups(
        case_ids=tuple(map(str, cases.index)),
        itemsets=tuple(itemsets[i] for i in order),
        membership=membership[:, order],
    )


def _any_frequent(coded: pd.DataFrame, threshold: int) -> bool:
    """Whether any single item is frequent; DivExplorer raises a TypeError where none is."""
    return any(coded[column].value_counts().max() >= threshold for column in coded.columns)


def _divexplorer_itemsets(coded: pd.DataFrame, threshold: int) -> list[frozenset[str]]:
    """The non-empty frequent itemsets as DivExplorer names them."""
    from divexplorer import DivergenceExplorer

    outcome = "outcome"  # never an attribute's code; its values do not matter for the itemsets
    table = coded.assign(**{outcome: np.arange(len(coded), dtype=float)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library's own calls of pandas
        found = DivergenceExplorer(table).get_pattern_divergence(
            # Half a case below the threshold: the library compares shares in floating point.
            min_support=(threshold - 0.5) / len(coded),
            quantitative_outcomes=[outcome],
            attributes=list(coded.columns),
            FPM_algorithm="fpgrowth",
        )
    return [itemset for itemset in found["itemset"] if len(itemset)]
