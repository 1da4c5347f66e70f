"""The smallest gap in DSC between two groups that so many patients can show."""

from __future__ import annotations

import math

import pandas as pd
from scipy import optimize, stats

from nnunet_fair.errors import UserError

LEVEL = 0.05
POWER = 0.8


def smallest_gap(n_first: int, n_second: int, sd: float, *, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest difference of two means that a two-sided t-test finds with the given power.

    The difference δ for which the noncentral t distribution with n₁ + n₂ − 2 degrees of freedom and noncentrality
    δ / (σ √(1/n₁ + 1/n₂)) puts ``power`` beyond the critical values (Cohen, Statistical Power Analysis, 1988, chapter
    2). For large groups this is (z₁₋ₐ⸝₂ + z_power) σ √(1/n₁ + 1/n₂) = 2.80 σ √(1/n₁ + 1/n₂) with the defaults.

    Args:
        n_first: patients of one group.
        n_second: patients of the other.
        sd: standard deviation σ of the score within a group.
        level: of the test, two-sided.
        power: chance to find the difference.

    Returns:
        The difference, in the unit of ``sd``; NaN where a group has fewer than two patients.

    Raises:
        UserError: a standard deviation that is not above 0.
    """
    check_deviation(sd)
    if min(n_first, n_second) < 2:
        return float("nan")
    freedom = n_first + n_second - 2
    critical = float(stats.t.ppf(1 - level / 2, freedom))

    def lack(shift: float) -> float:
        # A difference in the wrong direction has a chance below 0.0001 here and is left out.
        return float(stats.nct.sf(critical, freedom, shift)) - power

    shift = float(optimize.brentq(lack, 0.0, critical + 10.0))
    return shift * sd * math.sqrt(1 / n_first + 1 / n_second)


def check_deviation(sd: float) -> None:
    """Refuse what is no standard deviation.

    Raises:
        UserError: not above 0.
    """
    if not sd > 0 or not math.isfinite(sd):
        raise UserError(f"`sd` is a standard deviation above 0, found {sd:g}")


def detectable_gaps(counts: pd.DataFrame, sd: float, *, min_group: int) -> pd.DataFrame:
    """The smallest gap that each attribute's patients can show.

    Args:
        counts: table with attribute, group and n (patients); one row a group.
        sd: standard deviation of the score within a group.
        min_group: groups with fewer patients are left out.

    Returns:
        Table with one row an attribute that has two such groups: attribute, n_groups, ``largest`` (the two largest
        groups, with their sizes), gap_largest (the smallest gap that these can show), smallest, gap_smallest (the two
        smallest), and gap_one_to_others (the smallest group against all others together).
    """
    rows = []
    for attribute, table in counts.groupby("attribute", sort=False):
        kept = table[table["n"] >= min_group].sort_values("n", kind="stable")
        if len(kept) < 2:
            continue
        (low, n_low), (lower, n_lower) = kept[["group", "n"]].iloc[:2].itertuples(index=False, name=None)
        (high, n_high), (higher, n_higher) = kept[["group", "n"]].iloc[:-3:-1].itertuples(index=False, name=None)
        rows.append(
            {
                "attribute": attribute,
                "n_groups": len(kept),
                "largest": f"{high} ({n_high}) and {higher} ({n_higher})",
                "gap_largest": smallest_gap(n_high, n_higher, sd),
                "smallest": f"{low} ({n_low}) and {lower} ({n_lower})",
                "gap_smallest": smallest_gap(n_low, n_lower, sd),
                "gap_one_to_others": smallest_gap(n_low, int(kept["n"].sum()) - n_low, sd),
            }
        )
    columns = ["attribute", "n_groups", "largest", "gap_largest", "smallest", "gap_smallest", "gap_one_to_others"]
    return pd.DataFrame(rows, columns=columns)
