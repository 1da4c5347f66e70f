"""The human ceiling by hand: a gap that is the readers', and one that is the model's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.readers_table import reader_gaps, readers_table
from nnunet_fair.subgroups.options import SubgroupOptions

NOISE = np.random.default_rng(2).normal(0, 0.03, 40)
OLD = np.arange(40) < 20


def _cohort(model: np.ndarray, readers: np.ndarray) -> ScoredCohort:
    cases = pd.DataFrame({"dsc": model, "norm_hd": 0.1, "readers_dsc": readers}, index=[f"C{i}" for i in range(40)])
    groups = pd.DataFrame({"age": np.where(OLD, "old", "young")}, index=cases.index)
    return ScoredCohort.of(cases, groups, options=SubgroupOptions(n_resamples=300))


def test_a_gap_that_is_the_readers_leaves_nothing():
    readers = np.where(OLD, 0.7, 0.9) + NOISE
    cohort = _cohort(readers - 0.1, readers)
    table = readers_table(cohort).set_index("subgroup")
    assert table.loc["age=old", "model_dsc"] == pytest.approx(0.6 + NOISE[:20].mean())
    assert table["shortfall"].to_numpy() == pytest.approx(0.1)
    assert table["beyond_readers"].iloc[1:].to_numpy() == pytest.approx(0, abs=1e-12)
    assert np.isnan(table["beyond_readers"].iloc[0])
    (gap,) = reader_gaps(cohort).itertuples()
    assert gap.gap_model == pytest.approx(gap.gap_readers) and gap.gap_beyond_readers == pytest.approx(0, abs=1e-12)
    assert (gap.n_cases, gap.n_groups, gap.smallest_group) == (40, 2, 20)


def test_a_gap_that_is_the_models_stays():
    readers = np.full(40, 0.9) + NOISE
    readers[39] = np.nan  # one reader only
    cohort = _cohort(np.where(OLD, 0.6, 0.8) + NOISE[::-1], readers)
    table = readers_table(cohort).set_index("subgroup")
    assert list(table["n"]) == [39, 20, 19]
    old = table.loc["age=old"]
    shortfall = (readers - cohort.dsc)[:39]
    assert old["beyond_readers"] == pytest.approx(shortfall[:20].mean() - shortfall.mean())
    assert 0 < old["beyond_readers_low"] < old["beyond_readers"] < old["beyond_readers_high"]
    assert reader_gaps(cohort)["gap_beyond_readers_low"].iloc[0] > 0.1


def test_nothing_without_a_second_reader():
    cohort = _cohort(NOISE + 0.5, np.full(40, np.nan))
    assert readers_table(cohort).empty and reader_gaps(cohort).empty
