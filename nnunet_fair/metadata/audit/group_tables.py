"""Tables of the audit: intersections, missing values and sizes by group."""

from __future__ import annotations

import itertools

import pandas as pd

from nnunet_fair.metadata.group_order import ordered_groups

MISSING = "(missing)"


def pair_counts(groups: pd.DataFrame, patients: pd.Series | None = None) -> pd.DataFrame:
    """Cases and patients of every intersection of two attributes' groups, missing values as the group ``(missing)``.

    Args:
        groups: table of shape (n_cases, n_attributes), NaN where unknown.
        patients: the patient of each case, indexed by case ID; None where every case is one.

    Returns:
        Table: attribute, group, other, other_group, n (cases), patients; groups in their order.
    """
    filled = groups.where(groups.notna(), MISSING)
    of_case = _of_case(groups, patients)
    rows = []
    for first, second in itertools.combinations(filled.columns, 2):
        cells = of_case.groupby([filled[first], filled[second]]).agg(["size", "nunique"])
        counted = {cell: tuple(counts) for cell, counts in zip(cells.index, cells.to_numpy(), strict=True)}
        names = [ordered_groups(filled[attribute].unique()) for attribute in (first, second)]
        for group, other in itertools.product(*names):
            n, n_patients = counted.get((group, other), (0, 0))
            rows.append((first, group, second, other, int(n), int(n_patients)))
    return pd.DataFrame(rows, columns=["attribute", "group", "other", "other_group", "n", "patients"])


def triple_counts(groups: pd.DataFrame, patients: pd.Series | None = None) -> pd.DataFrame:
    """Cases and patients of the intersections of three attributes' groups that occur, missing values left out.

    Args:
        groups: table of shape (n_cases, n_attributes), NaN where unknown.
        patients: the patient of each case, indexed by case ID; None where every case is one.

    Returns:
        Table: attribute (three, joined by `` × ``), group (likewise), n (cases), patients; of each three attributes the
        largest first.
    """
    of_case = _of_case(groups, patients)
    rows = []
    for names in itertools.combinations(groups.columns, 3):
        cells = of_case.groupby([groups[name] for name in names]).agg(["size", "nunique"])
        cells = cells.sort_values("nunique", ascending=False, kind="stable")
        for values, (n, n_patients) in zip(cells.index, cells.to_numpy(), strict=True):
            rows.append((" × ".join(names), " × ".join(map(str, values)), int(n), int(n_patients)))
    return pd.DataFrame(rows, columns=["attribute", "group", "n", "patients"])


def class_table(groups: pd.DataFrame, volumes: pd.DataFrame) -> pd.DataFrame:
    """How many cases of every group hold each class, and how much of it.

    Args:
        groups: table of shape (n_cases, n_attributes), NaN where unknown.
        volumes: volume of each class, shape (n_cases, n_classes), in mm³; NaN without a label.

    Returns:
        Table with one row a group and class, the whole cohort first (attribute ``""``): attribute, group, class, n
        (cases with a label), n_with (those that hold the class), and median, lower and upper quartile of its volume
        among these.
    """
    rows = []
    for attribute, group, inside in _members(groups):
        labelled = volumes.reindex(inside).dropna(how="all")
        for name in volumes.columns:
            held = labelled.loc[labelled[name] > 0, name]
            rows.append((attribute, group, name, len(labelled), len(held), *held.quantile([0.5, 0.25, 0.75])))
    sizes = [f"volume_mm3_{part}" for part in ("median", "lower", "upper")]
    return pd.DataFrame(rows, columns=["attribute", "group", "class", "n", "n_with", *sizes])


def _of_case(groups: pd.DataFrame, patients: pd.Series | None) -> pd.Series:
    """The patient of each case, the case itself where nothing is known."""
    return pd.Series(groups.index, index=groups.index) if patients is None else patients.reindex(groups.index)


def _members(groups: pd.DataFrame) -> list[tuple[str, str, pd.Index]]:
    """Attribute, group and cases of the whole cohort and of every group."""
    members: list[tuple[str, str, pd.Index]] = [("", "all cases", groups.index)]
    for attribute in groups.columns:
        for group in ordered_groups(groups[attribute].dropna().unique()):
            members.append((attribute, group, groups.index[groups[attribute] == group]))
    return members


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
    for attribute, group, inside in _members(groups):
        sizes = measured.reindex(inside).dropna(how="all")
        row: dict[str, object] = {"attribute": attribute, "group": group, "n": len(sizes)}
        row["n_empty"] = int((sizes["label_volume_mm3"] == 0).sum())
        for column in measured.columns:
            values = sizes.loc[sizes["label_volume_mm3"] > 0, column] if column == "label_volume_mm3" else sizes[column]
            quartiles = values.quantile([0.5, 0.25, 0.75]).tolist()
            row |= dict(zip((f"{column}_{part}" for part in ("median", "lower", "upper")), quartiles, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)
