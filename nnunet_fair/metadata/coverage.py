"""How well the attributes cover the cases: missing values, group sizes, groups too small to matter."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from nnunet_fair.metadata.group_order import ordered_groups


def attribute_counts(groups: pd.DataFrame) -> pd.DataFrame:
    """Count the cases of every group.

    Args:
        groups: table of shape (n_cases, n_attributes) indexed by case ID; NaN where missing.

    Returns:
        Table with columns attribute, group, n, share (of all cases), groups in order (numbers by value); the
        missing values of an attribute, if any, come last as the group NaN.
    """
    rows: list[tuple[str, str | float, int]] = []
    for attribute in groups.columns:
        counts = groups[attribute].value_counts(dropna=True)
        for group in ordered_groups(counts.index):
            rows.append((attribute, str(group), int(counts[group])))
        n_missing = int(groups[attribute].isna().sum())
        if n_missing:
            rows.append((attribute, float("nan"), n_missing))
    table = pd.DataFrame(rows, columns=["attribute", "group", "n"]).astype({"n": int})
    table["share"] = table["n"] / max(len(groups), 1)
    return table


def sparse_attributes(groups: pd.DataFrame, min_present: float = 0.5) -> dict[str, int]:
    """Attributes known for fewer than a stated share of the cases.

    Args:
        groups: table of shape (n_cases, n_attributes); NaN where missing.
        min_present: the share, between 0 and 1.

    Returns:
        ``{attribute: number of cases that have a value}``.
    """
    present = groups.notna().sum()
    return {name: int(n) for name, n in present.items() if n < min_present * len(groups)}


def coverage_lines(
    groups: pd.DataFrame, *, min_present: float = 0.5, min_group: int = 5, only: Iterable[str] | None = None
) -> list[str]:
    """A report of the attributes for people: group sizes, missing values, warnings.

    Args:
        groups: table of shape (n_cases, n_attributes) indexed by case ID; NaN where missing.
        min_present: attributes with values for a smaller share of the cases are announced.
        min_group: groups with fewer cases are announced as too small to matter.
        only: the attributes to report; all when None.

    Returns:
        Lines to print, one an attribute and one a warning.
    """
    groups = groups if only is None else groups[list(only)]
    counts = attribute_counts(groups)
    lines = []
    for attribute, table in counts.groupby("attribute", sort=False):
        known = table.dropna(subset="group")
        sizes = (
            ", ".join(f"{group} {n}" for group, n in zip(known["group"], known["n"], strict=True)) or "no value at all"
        )
        n_missing = int(table.loc[table["group"].isna(), "n"].sum())
        lines.append(f"{attribute}: {sizes}" + (f"; {n_missing} missing" if n_missing else ""))
    for attribute, n_present in sparse_attributes(groups, min_present).items():
        lines.append(
            f"warning: {attribute} is known for only {n_present} of {len(groups)} cases ({n_present / len(groups):.0%})"
            "; its subgroups say little"
        )
    small = counts[(counts["n"] < min_group) & counts["group"].notna()]
    if len(small):
        shown = ", ".join(
            f"{attribute}={group} ({n})"
            for attribute, group, n in zip(small["attribute"][:12], small["group"][:12], small["n"][:12], strict=True)
        )
        more = f" and {len(small) - 12} more" if len(small) > 12 else ""
        lines.append(f"note: groups with fewer than {min_group} cases, too small to matter: {shown}{more}")
    return lines
