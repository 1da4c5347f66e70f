"""How far two attributes say the same: Cramér's V."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency


def cramers_v(first: pd.Series, second: pd.Series) -> tuple[float, float, int]:
    """Cramér's V of two attributes, over the cases that have both.

    V = √(χ² / n / (min(r, c) − 1)) for a table of r × c groups (Cramér, Mathematical Methods of Statistics, 1946), and
    its correction for the association that chance alone gives in small samples (Bergsma, Journal of the Korean
    Statistical Society 42, 2013): φ² − (r − 1)(c − 1)/(n − 1), not below 0, in place of φ² = χ²/n, with r and c reduced
    by (r − 1)²/(n − 1) and (c − 1)²/(n − 1).

    Args:
        first: groups, shape (n_cases,), indexed by case ID; NaN where unknown.
        second: likewise.

    Returns:
        V, corrected V, both from 0 (independent) to 1 (one tells the other) and NaN where an attribute has fewer than
        two groups; and the number of cases.
    """
    known = first.notna() & second.notna()
    table = pd.crosstab(first[known], second[known]).to_numpy()
    n, (n_rows, n_columns) = int(known.sum()), table.shape if table.size else (0, 0)
    if min(n_rows, n_columns) < 2:
        return float("nan"), float("nan"), n
    phi2 = float(chi2_contingency(table, correction=False).statistic) / n
    plain = math.sqrt(phi2 / (min(n_rows, n_columns) - 1))
    excess = max(0.0, phi2 - (n_rows - 1) * (n_columns - 1) / (n - 1))
    smaller = min(k - (k - 1) ** 2 / (n - 1) for k in (n_rows, n_columns)) - 1
    corrected = math.sqrt(excess / smaller) if smaller > 0 else float("nan")
    return min(plain, 1.0), min(corrected, 1.0) if math.isfinite(corrected) else corrected, n


def association_table(groups: pd.DataFrame) -> pd.DataFrame:
    """Cramér's V of every pair of attributes.

    Args:
        groups: table of shape (n_cases, n_attributes), NaN where unknown.

    Returns:
        Table with one row a pair: attribute, other, n, v, v_corrected; the strongest association first.
    """
    rows = []
    for first, second in itertools.combinations(groups.columns, 2):
        v, corrected, n = cramers_v(groups[first], groups[second])
        rows.append((first, second, n, v, corrected))
    table = pd.DataFrame(rows, columns=["attribute", "other", "n", "v", "v_corrected"])
    return table.sort_values("v_corrected", ascending=False, kind="stable", na_position="last", ignore_index=True)


def same_attributes(table: pd.DataFrame, at_least: float = 0.8) -> list[str]:
    """Sentences about attributes that nearly stand for each other, so that their gaps cannot be told apart."""
    near = table[table["v"].fillna(0) >= at_least]
    return [
        f"{row.attribute} and {row.other} say almost the same (Cramér's V {row.v:.2f}): their gaps cannot be told apart"
        for row in near.itertuples()
        if np.isfinite(row.v)
    ]
