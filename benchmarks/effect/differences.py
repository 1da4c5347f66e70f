"""A method against its baseline over the seeds: trainings with the same cases, initialisation and batch order."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from scipy import stats

from benchmarks.effect.methods import METHODS


def seed_differences(per_run: pd.DataFrame, kind: str, missing: str, method: str, what: str = "group_dsc") -> pd.Series:
    """A method minus its baseline, seed by seed."""
    chosen = per_run[per_run["kind"] == kind].set_index("seed")
    own = chosen[(chosen["method"] == method) & (chosen["missing"] == missing)][what]
    return (own - chosen[chosen["method"] == METHODS[method].baseline][what]).dropna()


def shared_differences(per_run: pd.DataFrame, methods: Iterable[str], what: str = "group_dsc") -> pd.DataFrame:
    """Methods minus their baselines on the pairs of cohort and seed that all of them have.

    Args:
        per_run: one row a run, with ``kind``, ``missing``, ``method`` and ``seed``.
        methods: keys of ``METHODS``, trained with complete metadata.
        what: column that is compared.

    Returns:
        Table of shape (n_pairs, n_methods) with the index ``(kind, seed)``.
    """
    kinds = per_run["kind"].unique()
    found = {
        method: pd.concat({kind: seed_differences(per_run, kind, "none", method, what) for kind in kinds})
        for method in methods
    }
    return pd.DataFrame(found).dropna()


def t_interval(values: pd.Series) -> tuple[float, float]:
    """95 % interval of the mean over the seeds alone (Student's t)."""
    if len(values) < 2:
        return float("nan"), float("nan")
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return float(low), float(high)
