"""A method against its baseline over the seeds: trainings with the same cases, initialisation and batch order."""

from __future__ import annotations

import pandas as pd
from scipy import stats

from benchmarks.effect.methods import METHODS


def seed_differences(per_run: pd.DataFrame, kind: str, missing: str, method: str, what: str = "group_dsc") -> pd.Series:
    """A method minus its baseline, seed by seed."""
    chosen = per_run[per_run["kind"] == kind].set_index("seed")
    own = chosen[(chosen["method"] == method) & (chosen["missing"] == missing)][what]
    return (own - chosen[chosen["method"] == METHODS[method].baseline][what]).dropna()


def t_interval(values: pd.Series) -> tuple[float, float]:
    """95 % interval of the mean over the seeds alone (Student's t)."""
    if len(values) < 2:
        return float("nan"), float("nan")
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return float(low), float(high)
