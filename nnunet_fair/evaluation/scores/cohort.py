"""The scored cohort: which cases count, their scores and the groups they are in, worked out once and handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from nnunet_fair.metadata.group_order import ordered_groups
from nnunet_fair.subgroups.itemsets import Subgroups
from nnunet_fair.subgroups.options import SubgroupOptions
from nnunet_fair.subgroups.search import find_subgroups

KINDS = ("all", "group", "combination")


def scored_cases(cases: pd.DataFrame) -> pd.DataFrame:
    """The rows of a per-case table that have both metrics of the score."""
    return cases[cases["dsc"].notna() & cases["norm_hd"].notna()]


def has_structure(cases: pd.DataFrame) -> np.ndarray:
    """Whether the reference of each case holds the structure; True where its volume was not measured.

    Args:
        cases: a per-case table.

    Returns:
        Bool array of shape (n_cases,).
    """
    if "volume_reference_mm3" not in cases.columns:
        return np.ones(len(cases), dtype=bool)
    return (cases["volume_reference_mm3"].astype(float) != 0).to_numpy()


@dataclass(frozen=True, repr=False)
class GroupMembership:
    """The groups of one variable as a matrix.

    Attributes:
        variable: the variable's name.
        names: group names in their order, of length n_groups.
        membership: bool array of shape (n_cases, n_groups).
    """

    variable: str
    names: tuple[str, ...]
    membership: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Number of cases of each group, shape (n_groups,)."""
        return self.membership.sum(axis=0)


def group_memberships(groups: pd.DataFrame, case_ids: pd.Index, variables: Sequence[str]) -> list[GroupMembership]:
    """The groups of each variable that has any.

    Args:
        groups: table of shape (n_cases_with_metadata, n_attributes), indexed by case ID.
        case_ids: the cases, of length n_cases.
        variables: columns of ``groups``.

    Returns:
        One entry a variable with at least one group among the cases.
    """
    entries = []
    for variable in variables:
        values = groups[variable].reindex(case_ids)
        names = tuple(ordered_groups(values.dropna().unique()))
        if names:
            membership = np.stack([(values == name).to_numpy(dtype=bool, na_value=False) for name in names], axis=1)
            entries.append(GroupMembership(variable, names, membership))
    return entries


@dataclass(frozen=True, repr=False)
class CohortGroups:
    """The groups the cases of a cohort are in.

    Attributes:
        frame: table of shape (n_cases, n_attributes), indexed by case ID, one row a case of the cohort; NaN where
            unknown.
        variables: the columns that decide the fairness score.
        options: how subgroups are found and described.
    """

    frame: pd.DataFrame
    variables: tuple[str, ...]
    options: SubgroupOptions = field(default_factory=SubgroupOptions)

    @cached_property
    def memberships(self) -> tuple[GroupMembership, ...]:
        """The groups of each variable that has any, in the order of the variables."""
        return tuple(group_memberships(self.frame, self.frame.index, self.variables))

    @cached_property
    def subgroups(self) -> Subgroups:
        """The whole cohort, every group of every attribute and the frequent combinations."""
        found = find_subgroups(self.frame, self.options)
        everybody = np.ones(len(self.frame), bool)
        return Subgroups(found.case_ids, ((), *found.itemsets), np.column_stack([everybody, found.membership]))

    def subgroup_columns(self) -> pd.DataFrame:
        """What every table of subgroups says of them.

        Returns:
            Table of shape (n_subgroups, 6) in the order of :attr:`subgroups`: subgroup, attributes (joined by
            `` × ``), kind (``all``, ``group`` or ``combination``), n, decides and reason.
        """
        itemsets, n, least = self.subgroups.itemsets, self.subgroups.membership.sum(axis=0), self.options.min_group
        return pd.DataFrame(
            {
                "subgroup": list(self.subgroups.names),
                "attributes": [" × ".join(attribute for attribute, _ in itemset) for itemset in itemsets],
                "kind": [KINDS[min(len(itemset), 2)] for itemset in itemsets],
                "n": n,
                "decides": n >= least,
                "reason": np.where(n >= least, "", f"fewer than {least} cases: shown, decides nothing"),
            }
        )


@dataclass(frozen=True, repr=False)
class ScoredCohort:
    """The cases that have a score, and their groups.

    Attributes:
        cases: the per-case table of these cases, indexed by case ID, with ``dsc`` and ``norm_hd`` and what else was
            measured.
        groups: the groups of exactly these cases.
    """

    cases: pd.DataFrame
    groups: CohortGroups

    @classmethod
    def of(
        cls,
        cases: pd.DataFrame,
        groups: pd.DataFrame,
        variables: Sequence[str] | None = None,
        options: SubgroupOptions | None = None,
    ) -> ScoredCohort:
        """The cohort of a per-case table.

        Args:
            cases: table indexed by case ID with ``dsc`` and ``norm_hd``; cases without one of them are left out.
            groups: table of shape (n_cases_with_metadata, n_attributes), indexed by case ID; NaN where unknown. Cases
                without a row are in no group.
            variables: columns of ``groups`` that decide the fairness score; None takes all.
            options: how subgroups are found; None for the defaults.
        """
        scored = scored_cases(cases)
        names = tuple(groups.columns if variables is None else variables)
        return cls(scored, CohortGroups(groups.reindex(scored.index), names, options or SubgroupOptions()))

    @cached_property
    def dsc(self) -> np.ndarray:
        """DSC of the cases, float array of shape (n_cases,)."""
        return self.cases["dsc"].to_numpy(dtype=float)

    @cached_property
    def norm_hd(self) -> np.ndarray:
        """NormHD of the cases, float array of shape (n_cases,)."""
        return self.cases["norm_hd"].to_numpy(dtype=float)

    @cached_property
    def present(self) -> np.ndarray:
        """Whether each case's reference holds the structure, bool array of shape (n_cases,)."""
        return has_structure(self.cases)

    def with_structure(self) -> ScoredCohort:
        """The cases whose reference holds the structure; this very cohort where all do."""
        if self.present.all():
            return self
        groups = CohortGroups(self.groups.frame[self.present], self.groups.variables, self.groups.options)
        return ScoredCohort(self.cases[self.present], groups)

    def __len__(self) -> int:
        return len(self.cases)
