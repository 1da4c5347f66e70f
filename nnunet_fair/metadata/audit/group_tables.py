"""Tables of the audit: intersections, missing values and sizes by group."""

from __future__ import annotations

import itertools

import pandas as pd

from nnunet_fair.metadata.group_order import ordered_groups

MISSING = "(missing)"


def pair_counts(groups: pd.DataFrame) -> pd.DataFrame:
    """Cases of every intersection of two attributes' groups, missing values as the group ``(missing)``.

    Args:
        groups: table of shape (n_cases, n_attributes), NaN where unknown.

    Returns:
        Table: attribute, group, other, other_group, n; groups in their order.
    """
    filled = groups.where(groups.notna(), MISSING)
    rows = []
    for first, second in itertools.combinations(filled.columns, 2):
        counts = pd.crosstab(filled[first], filled[second])
        for group, other in itertools.product(ordered_groups(counts.index), ordered_groups(counts.columns)):
            rows.append((first, group, second, other, int(counts.loc[group, other])))
    return pd.DataFrame(rows, columns=["attribute", "group", "other", "other_group", "n"])


def missingness(groups: pd.DataFrame) -> pd.DataFrame:
    """How often each attribute is missing in the groups of the others: missing by chance, or not.

    Args:
        groups: table of shape (n_cases, n_attributes), NaN where unknown.

    Returns:
        Table: attribute, group, other (which is missing), n (cases of the group), n_missing, share; attributes that are
        never missing are left out.
    """
    rows = []
    for other in groups.columns[groups.isna().any()]:
        for attribute in groups.columns.drop(other):
            for group in ordered_groups(groups[attribute].dropna().unique()):
                inside = groups.loc[groups[attribute] == group, other]
                n_missing = int(inside.isna().sum())
                rows.append((attribute, group, other, len(inside), n_missing, n_missing / len(inside)))
    return pd.DataFrame(rows, columns=["attribute", "group", "other", "n", "n_missing", "share"])


def size_table(groups: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Label volume and voxel size by group.

    Args:
        groups: table of shape (n_cases, n_attributes), NaN where unknown.
        measured: from ``measure_labels``, indexed by case ID.

    Returns:
        Table with one row a group, the whole cohort first (attribute ``""``): attribute, group, n (cases with a label),
        n_empty, and for each size its median, lower (25 %) and upper (75 %) quartile; volumes without empty labels.
    """
    rows = []
    members: list[tuple[str, str, pd.Index]] = [("", "all cases", groups.index)]
    for attribute in groups.columns:
        for group in ordered_groups(groups[attribute].dropna().unique()):
            members.append((attribute, group, groups.index[groups[attribute] == group]))
    for attribute, group, inside in members:
        sizes = measured.reindex(inside).dropna(how="all")
        row: dict[str, object] = {"attribute": attribute, "group": group, "n": len(sizes)}
        row["n_empty"] = int((sizes["label_volume_mm3"] == 0).sum())
        for column in measured.columns:
            values = sizes.loc[sizes["label_volume_mm3"] > 0, column] if column == "label_volume_mm3" else sizes[column]
            quartiles = values.quantile([0.5, 0.25, 0.75]).tolist()
            row |= dict(zip((f"{column}_{part}" for part in ("median", "lower", "upper")), quartiles, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)
