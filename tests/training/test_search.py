"""The two searches, fitted to a few cases by hand."""

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.evidence import informed_membership, membership_probability, subgroup_evidence
from nnunet_fair.subgroups.itemsets import mine_subgroups
from nnunet_fair.subgroups.shortfalls import AveragedSearch
from nnunet_fair.training.search import LowestSearch, lowest_subgroups

CASES = pd.DataFrame(
    {"age": ["old"] * 6 + ["young"] * 6, "site": ["s", "t", None] * 4}, [f"c{i}" for i in range(12)], dtype=object
)
SCORES = pd.Series([0.2, 0.4, 0.3, 0.4, 0.2, 0.3, 0.7, 0.8, 0.7, 0.6, 0.9, 0.7], CASES.index)
SUBGROUPS = mine_subgroups(CASES, min_support=0.1)
DIVERGENCE = subgroup_divergence(SUBGROUPS, SCORES.to_numpy())


def test_averages_are_the_sum_over_subgroups_of_membership_probability_and_shortfall():
    train = CASES.iloc[[7, 0, 2, 11]].rename({"c11": "elsewhere"})
    found = AveragedSearch(SUBGROUPS, CASES, train, train).shortfalls(SCORES, DIVERGENCE, 0.0)
    sizes = np.array([len(itemset) for itemset in SUBGROUPS.itemsets])
    evidence = subgroup_evidence(SCORES.to_numpy(), membership_probability(SUBGROUPS.itemsets, CASES, CASES), sizes)
    known = membership_probability(SUBGROUPS.itemsets, train, train)
    membership = informed_membership(known, np.array([0.8, 0.2, 0.3, np.nan]), evidence)
    assert found.probability == pytest.approx(evidence.posterior)
    assert found.amount == pytest.approx(membership @ (evidence.posterior * evidence.shortfall))
    old = SUBGROUPS.names.index("age=old")
    assert found.subgroup[1] == old and found.subgroup[0] == -1
    assert found.probability[old] > 0.5 and found.amount[1] > 0.2 > 0.01 > found.amount[0]


def test_every_case_scored_is_the_same_table_as_the_training_cases():
    same = AveragedSearch(SUBGROUPS, CASES, CASES, CASES).shortfalls(SCORES, DIVERGENCE, 0.0)
    copied = AveragedSearch(SUBGROUPS, CASES, CASES.iloc[::-1], CASES).shortfalls(SCORES, DIVERGENCE, 0.0)
    assert same.amount == pytest.approx(copied.amount[::-1])


@pytest.mark.parametrize("search", [AveragedSearch, LowestSearch])
def test_a_subgroup_at_min_t_counts_and_one_below_does_not(search):
    fitted = search(SUBGROUPS, CASES, CASES, CASES)
    old = DIVERGENCE["t"].abs()[SUBGROUPS.names.index("age=old")]
    assert old == DIVERGENCE["t"].abs().max()
    at, above = (fitted.shortfalls(SCORES, DIVERGENCE, min_t) for min_t in (old, old + 1e-9))
    assert (at.subgroup[:6] == SUBGROUPS.names.index("age=old")).all() and (at.amount[:6] > 0.1).all()
    assert (above.subgroup == -1).all() and not above.amount.any()


def test_who_falls_short_by_less_than_a_tenth_of_a_point_is_named_in_no_subgroup():
    for shortfall, named in ((0.0015, False), (0.0025, True)):  # half of it below the mean of all
        cases = CASES[["age"]]
        scores = pd.Series([0.7 - shortfall] * 6 + [0.7] * 6, cases.index)
        subgroups = mine_subgroups(cases, min_support=0.1)
        divergence = subgroup_divergence(subgroups, scores.to_numpy())
        found = AveragedSearch(subgroups, cases, cases, cases).shortfalls(scores, divergence, 0.0)
        assert found.amount[0] == pytest.approx(shortfall / 2, rel=0.01)
        assert bool(found.subgroup[0] >= 0) is named


def test_the_lowest_subgroup_and_its_divergence_as_measured():
    found = LowestSearch(SUBGROUPS, CASES, CASES, CASES).shortfalls(SCORES, DIVERGENCE, 0.0)
    expected = [
        min(
            (row.divergence for row, member in zip(DIVERGENCE.itertuples(), members, strict=True) if member),
            default=0.0,
        )
        for members in SUBGROUPS.membership
    ]
    assert found.amount == pytest.approx([max(0.0, -value) for value in expected])
    assert np.isnan(found.probability).all() and len(found.probability) == len(SUBGROUPS.itemsets)
    assert (found.subgroup[:6] >= 0).all()


def test_a_divergence_that_is_no_number_is_passed_over():
    divergence = DIVERGENCE.assign(divergence=[np.nan, *DIVERGENCE["divergence"][1:]])
    found = LowestSearch(SUBGROUPS, CASES, CASES, CASES).shortfalls(SCORES, divergence, 0.0)
    assert 0 not in found.subgroup and np.isfinite(found.amount).all()


def test_without_subgroups_nobody_is_in_one():
    worst, lowest = lowest_subgroups(np.zeros(0), np.zeros((3, 0), bool), np.zeros(0, bool))
    assert worst.tolist() == [-1] * 3 and lowest.tolist() == [0.0] * 3


def test_of_equal_subgroups_the_first_wins():
    worst, _ = lowest_subgroups(np.array([-0.1, -0.1]), np.ones((1, 2), bool), np.ones(2, bool))
    assert worst.tolist() == [0]
