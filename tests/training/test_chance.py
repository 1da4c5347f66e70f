"""Evidence against attributes dealt out at random."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.training.chance import MEASURES, dealt_out, find, permutation_p
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import SubgroupFinder
from nnunet_fair.training.method import ON_SAMPLING


def cohort(n: int, seed: int) -> pd.DataFrame:
    """Three attributes that have nothing to do with each other; a third of the cases are of group x."""
    rng = np.random.default_rng(seed)
    columns = {"group": np.where(np.arange(n) % 3 == 0, "x", "y")}
    columns |= {name: rng.choice(["a", "b", "c"], n) for name in ("first", "second")}
    return pd.DataFrame(columns, index=[f"c{i:03d}" for i in range(n)]).astype(object)


def of_itself(cases: pd.DataFrame) -> pd.Series:
    return pd.Series(cases.index, index=cases.index)


def finder(cases: pd.DataFrame) -> SubgroupFinder:
    return SubgroupFinder(cases, cases, FairConfig(), ON_SAMPLING)


def against_chance(cases: pd.DataFrame, scores: np.ndarray) -> tuple[str, float, float]:
    """The subgroup found, and the p values of its probability and of the weights' spread."""
    series = pd.Series(scores, index=cases.index)
    observed = find(finder(cases), series)
    chance = [find(finder(dealt_out(cases, of_itself(cases), number)), series) for number in range(19)]
    p_values = [
        permutation_p(getattr(observed, name), np.array([getattr(found, name) for found in chance]))
        for name in MEASURES
    ]
    return observed.subgroup, *p_values


def test_a_planted_group_is_more_than_chance():
    cases = cohort(90, 0)
    scores = np.random.default_rng(5).normal(0.8, 0.05, 90) - 0.15 * (cases["group"] == "x").to_numpy()
    assert against_chance(cases, scores) == ("group=x", 1 / 20, 1 / 20)


def test_scores_that_know_no_group_are_chance():
    p_values = [against_chance(cohort(60, seed), np.random.default_rng(seed).uniform(size=60))[1:] for seed in range(3)]
    assert np.median(p_values) > 0.2


def test_where_nothing_can_be_said_there_is_no_finding():
    cases = cohort(12, 0)
    same = find(finder(cases), pd.Series(0.5, index=cases.index))
    assert (same.subgroup, same.largest_probability, same.weight_spread) == ("", 0.0, 0.0)


@pytest.mark.parametrize(
    ("observed", "chance", "p"),
    [(0.5, [0.1, 0.2, 0.3], 1 / 4), (0.2, [0.1, 0.2, 0.3], 3 / 4), (0.0, [0.0] * 19, 1.0), (1.0, [0.0] * 19, 0.05)],
)
def test_the_observed_table_counts_among_the_permuted(observed, chance, p):
    assert permutation_p(observed, np.array(chance)) == pytest.approx(p)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_rows_are_dealt_to_patients_whole(seed, patients):
    cases = cohort(len(patients), 3)
    patient_of = pd.Series([f"p{number}" for number in patients], index=cases.index)
    cases = cases.groupby(patient_of).transform("first")
    dealt = dealt_out(cases, patient_of, seed)
    assert dealt.index.equals(cases.index)
    per_patient = [table.assign(patient=patient_of).drop_duplicates() for table in (cases, dealt)]
    assert all(len(table) == patient_of.nunique() for table in per_patient)
    rows = [sorted(map(tuple, table.drop(columns="patient").to_numpy())) for table in per_patient]
    assert rows[0] == rows[1]


def test_dealing_is_a_matter_of_the_seed():
    cases = cohort(30, 0)
    dealt = [dealt_out(cases, of_itself(cases), seed) for seed in (1, 1, 2)]
    assert dealt[0].equals(dealt[1]) and not dealt[0].equals(dealt[2])
