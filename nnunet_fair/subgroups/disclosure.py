"""Which groups of patients may be published, so that no number speaks of a few patients only.

A table of group sizes and means gives away more than its rows: the whole less the groups shown is the group not shown
(26 - 25 = one patient, and her score). Three steps, as official statistics take them (Hundepool et al., "Statistical
Disclosure Control", Wiley 2012): a table whose attribute is (nearly) unique is refused, small groups are merged, and
what is left is checked for every sum that could be made from it, over all attributes together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

MIN_CASES = 5
"""Numbers about fewer patients than this could be traced back to them."""
OTHER, OTHER_OR_UNKNOWN = "other groups", "other groups or unknown"
_MAX_COMBINATIONS = 100_000  # sets of cases looked at before an attribute counts as too fine to be checked


@dataclass(frozen=True)
class PublishableGroups:
    """The groups that may be published.

    Attributes:
        frame: table of shape (n_cases, n_attributes), indexed like the input: the name under which each case's group is
            published, NaN where it is unknown; attributes that were refused are not in it.
        refused: the sentence about each attribute that was refused.
        merged: attributes of which groups were merged.
    """

    frame: pd.DataFrame
    refused: dict[str, str]
    merged: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a reader has to know, one sentence an attribute; no value is named."""
        merged = [
            f"{name}: groups of fewer than {MIN_CASES} cases, and what would tell their number, are merged."
            for name in self.merged
        ]
        return (*self.refused.values(), *merged)


def publishable_groups(
    groups: pd.DataFrame, parts: pd.Series | None = None, *, may_lack: bool = False
) -> PublishableGroups:
    """Merge and refuse until nothing about fewer than five cases can be computed from sizes and means.

    Every group published has at least five cases, and so have the cases in none; neither a single attribute nor
    several together allow a sum over fewer. Attributes are taken in the order of their columns, so an earlier one is
    kept where two cannot both be.

    Args:
        groups: table of shape (n_cases, n_attributes): the cases the numbers are about, NaN where unknown.
        parts: what further divides the cases of a group in what is published (the outcome), shape (n_cases,), no NaN:
            all of this then holds for the cases of each part as well. None where nothing does.
        may_lack: whether a group may have no case of a part; else it has five of each, so that belonging to the group
            does not tell the part.

    Returns:
        The groups.
    """
    parts = pd.Series(0, index=groups.index) if parts is None else parts.reindex(groups.index)
    cases_of_parts = [(parts == part).to_numpy() for part in parts.unique()]
    kept: dict[str, pd.Series] = {}
    refused, merged = {}, []
    published = np.ones((len(groups), 1), dtype=bool)
    for name in groups.columns:
        column, reason = merge_small(groups[name], parts, may_lack=may_lack)
        if column is None:
            refused[name] = f"{name} is not shown: {reason}."
            continue
        members = np.column_stack([(column == value).to_numpy() for value in sorted(column.dropna().unique(), key=str)])
        together = np.column_stack([published, members])
        if any(singles_out(together[cases]) for cases in cases_of_parts) or singles_out(together):
            refused[name] = (
                f"{name} is not shown: its groups and those shown would together tell about fewer than "
                f"{MIN_CASES} cases."
            )
            continue
        kept[name], published = column, together
        if not column.equals(groups[name].astype(object)):
            merged.append(name)
    return PublishableGroups(pd.DataFrame(kept, index=groups.index, dtype=object), refused, tuple(merged))


def merge_small(
    values: pd.Series, parts: pd.Series | None = None, *, may_lack: bool = False
) -> tuple[pd.Series | None, str]:
    """One attribute with its small groups merged.

    Args:
        values: group names, shape (n_cases,); NaN where unknown.
        parts: see :func:`publishable_groups`.
        may_lack: see :func:`publishable_groups`.

    Returns:
        The column with groups of at least five cases (of each part), and at least five or no cases without one; None,
        and why, where the attribute may not be published.
    """
    sizes = values.value_counts()
    if sizes.empty:
        return None, "no case has a value"
    if len(sizes) > 1 and sizes.sum() < MIN_CASES * len(sizes):
        return None, (
            f"with {len(sizes)} different values it has fewer than {MIN_CASES} cases a value, so its values identify "
            "patients"
        )
    parts = pd.Series(0, index=values.index) if parts is None else parts

    def too_small(inside: pd.Series) -> bool:
        """Whether some cases of ``inside`` are few; nobody is not."""
        n = parts[inside].value_counts().reindex(parts.unique(), fill_value=0)
        return bool(inside.any() and ((n < MIN_CASES) & ((n > 0) | (not may_lack))).any())

    together = [name for name in sizes.index if too_small(values == name)]
    unknown = values.isna()
    merged = values.isin(together) | (unknown & too_small(unknown))
    if too_small(merged):
        merged |= unknown
    large = sizes.drop(together).sort_values(kind="stable")
    if too_small(merged) and len(large):
        merged |= values == large.index[0]
    if not merged.any():
        return values.astype(object), ""
    if too_small(merged) or merged.all():
        return None, f"its groups of fewer than {MIN_CASES} cases leave nothing to compare"
    with_unknown = bool((merged & unknown).any())
    name = OTHER_OR_UNKNOWN if with_unknown else OTHER
    while name in sizes.index:
        name += " (merged)"
    return values.astype(object).where(~merged, name), ""


def singles_out(membership: np.ndarray) -> bool:
    """Whether sums over published sets of cases can be combined to a sum over fewer than five cases.

    Sizes and means give the sum of any additive quantity over each set. A combination of them speaks of few cases
    where the row space of the sets holds a vector that is zero for all other cases: then the projection onto that
    space, cut to those cases, has the eigenvalue 1.

    Args:
        membership: bool array of shape (n_cases, n_sets).

    Returns:
        True too where there are too many combinations to look at.
    """
    if not membership.size:
        return False
    # Cases in the same sets cannot be told apart: one column for all of them.
    patterns, sizes = np.unique(membership, axis=0, return_counts=True)
    inside = patterns.any(axis=1)
    patterns, sizes = patterns[inside], sizes[inside]
    _, singular, rows = np.linalg.svd(patterns.T.astype(float), full_matrices=False)
    basis = rows[singular > 1e-9 * singular.max(initial=0.0)]
    projection = basis.T @ basis
    for n_looked_at, chosen in enumerate(_small_unions(sizes, np.diag(projection))):
        part = projection[np.ix_(chosen, chosen)]
        if n_looked_at >= _MAX_COMBINATIONS or np.linalg.eigvalsh(part)[-1] > 1 - 1e-7:
            return True
    return False


def _small_unions(sizes: np.ndarray, leverage: np.ndarray) -> Iterator[list[int]]:
    """The unions of columns with fewer than five cases whose leverages add up to 1, which an eigenvalue of 1 needs."""
    order = [int(column) for column in np.argsort(-leverage, kind="stable") if sizes[column] < MIN_CASES]

    def grow(chosen: list[int], start: int, n_cases: int, total: float) -> Iterator[list[int]]:
        for position in range(start, len(order)):
            column = order[position]
            n_left = MIN_CASES - 1 - n_cases
            if total + n_left * leverage[column] < 1 - 1e-7:
                return  # the columns that follow have no more leverage than this one
            if sizes[column] > n_left:
                continue
            union = [*chosen, column]
            if total + leverage[column] >= 1 - 1e-7:
                yield union
            yield from grow(union, position + 1, n_cases + int(sizes[column]), total + leverage[column])

    yield from grow([], 0, 0, 0.0)
