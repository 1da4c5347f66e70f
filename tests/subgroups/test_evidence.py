"""The evidence for each subgroup, worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_fair.subgroups.evidence import (
    MISSING,
    PRIOR_OF_NONE,
    Evidence,
    informed_membership,
    membership_probability,
    subgroup_evidence,
)


def frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["age", "density"], index=[f"c{i}" for i in range(len(rows))], dtype=object)


def test_membership_by_hand():
    reference = frame([("old", "d"), ("old", "d"), ("old", "a"), ("young", "d"), ("young", "a"), (None, "d")])
    cases = frame([("old", "d"), ("old", "a"), ("old", None), (None, "d"), (None, None), (None, "a")])
    itemsets = ((("age", "old"),), (("age", "old"), ("density", "d")))
    found = membership_probability(itemsets, cases, reference)
    # age=old is known of five: 3 of 5. Both: of 3 old with known density 2 are d; of 3 d with known age 2 are old.
    # Of (None, None) nothing is known: it is in no subgroup
    assert found[:, 0].tolist() == pytest.approx([1, 1, 1, 3 / 5, 0, 3 / 5])
    assert found[:, 1].tolist() == pytest.approx([1, 0, 2 / 3, 2 / 3, 0, 0])


def test_nothing_comparable_is_no_member():
    reference = frame([("old", None), ("young", None)])
    cases = frame([("old", None)])
    assert membership_probability(((("age", "old"), ("density", "d")),), cases, reference).tolist() == [[0.0]]


def test_not_known_is_a_value_that_every_case_has_or_has_not():
    cases = frame([("old", "d"), (None, "d"), (None, None), ("old", None)])
    itemsets = ((("age", MISSING),), (("age", MISSING), ("density", "d")))
    found = membership_probability(itemsets, cases, cases)
    assert found[:, 0].tolist() == [0, 1, 0, 0]  # of the third case nothing is known
    assert found[:, 1].tolist() == [0, 1, 0, 0]


def test_evidence_by_hand():
    # one subgroup of two of four cases: 0.2 and 0.4 against 0.6 and 0.8. Mean 0.5, RSS0 = 0.2, RSS_S = 0.04
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    membership = np.array([[1.0], [1.0], [0.0], [0.0]])
    found = subgroup_evidence(scores, membership, np.array([1]))
    factor = (0.2 / 0.04) ** 2 / 2  # n / 2 = 2, and the square root of n = 4 for the further parameter
    odds = factor * (1 - PRIOR_OF_NONE) / PRIOR_OF_NONE
    assert found.posterior.tolist() == pytest.approx([odds / (1 + odds)])
    assert found.shortfall.tolist() == pytest.approx([0.2])  # 0.5 − 0.3
    assert (found.inside[0], found.outside[0], found.variance[0]) == pytest.approx((0.3, 0.7, 0.01))


def test_who_scores_higher_has_no_shortfall():
    found = subgroup_evidence(np.array([0.9, 0.8, 0.1, 0.2]), np.array([[1.0], [1], [0], [0]]), np.ones(1))
    assert found.posterior.tolist() == [0.0] and found.shortfall.tolist() == [0.0]


def test_uncertain_membership_counts_in_part():
    # the third case is in the subgroup with probability one half and scores half-way: the line fits exactly
    scores, membership = np.array([0.2, 0.8, 0.5]), np.array([[1.0], [0.0], [0.5]])
    found = subgroup_evidence(scores, membership, np.array([1]))
    assert found.shortfall.tolist() == pytest.approx([0.3])
    assert found.posterior[0] > 0.99


def test_no_subgroup_and_a_subgroup_of_everybody():
    found = subgroup_evidence(np.array([0.1, 0.9]), np.zeros((2, 0)), np.zeros(0))
    assert found.posterior.shape == found.shortfall.shape == (0,)
    found = subgroup_evidence(np.array([0.1, 0.9]), np.ones((2, 1)), np.ones(1))
    assert found.posterior.tolist() == [0.0] and found.shortfall.tolist() == [0.0]


def test_a_score_tells_who_is_a_member():
    evidence = Evidence(*(np.array([value]) for value in (0.9, 0.2, 0.4, 0.8, 0.04)))
    # log ratio at 0.4: 0.4² / 0.08 = 2; at 0.6, half-way, 0; known membership and a case without a score stay
    probability = np.array([[0.25], [0.25], [0.25], [1.0], [0.0]])
    found = informed_membership(probability, np.array([0.4, 0.6, np.nan, 0.9, 0.1]), evidence)
    odds = np.exp(2) / 3
    assert found[:, 0].tolist() == pytest.approx([odds / (1 + odds), 0.25, 0.25, 1.0, 0.0])


def test_scores_do_not_change_known_memberships():
    # to the bit: complete metadata weigh the same whoever scores what
    rng = np.random.default_rng(5)
    membership = rng.integers(0, 2, (40, 6)).astype(float)
    scores = rng.random(40)
    evidence = subgroup_evidence(scores, membership, np.ones(6))
    assert (informed_membership(membership, scores, evidence) == membership).all()


@given(
    scores=st.lists(st.floats(0, 1), min_size=4, max_size=30),
    seed=st.integers(0, 1000),
)
def test_probabilities_are_probabilities(scores, seed):
    membership = np.random.default_rng(seed).integers(0, 2, (len(scores), 5)).astype(float)
    found = subgroup_evidence(np.array(scores), membership, np.array([1, 1, 2, 2, 2]))
    assert (found.posterior >= 0).all() and found.posterior.sum() <= 1 + 1e-9
    assert (found.shortfall >= 0).all() and (found.shortfall <= 1).all()
    informed = informed_membership(np.full((len(scores), 5), 0.5), np.array(scores), found)
    assert (informed >= 0).all() and (informed <= 1).all()


def test_evidence_grows_with_the_cases():
    def probability(n: int) -> float:
        membership = (np.arange(n) % 4 == 0).astype(float)[:, None]
        scores = 0.7 - 0.1 * membership[:, 0] + np.random.default_rng(3).normal(0, 0.1, n)
        return float(subgroup_evidence(scores, membership, np.ones(1)).posterior[0])

    assert probability(20) < 0.9 < probability(200)


def test_every_number_of_items_has_the_same_prior():
    # two single attributes share 5/12, four conjunctions another 5/12; all six hold the same cases: equal evidence
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    membership = np.repeat([[1.0], [1.0], [0.0], [0.0]], 6, axis=1)
    found = subgroup_evidence(scores, membership, np.array([1, 2, 2, 1, 2, 2]))
    single, pair = (1 - PRIOR_OF_NONE) / 2 / 2, (1 - PRIOR_OF_NONE) / 2 / 4
    factor = (0.2 / 0.04) ** 2 / 2
    expected = factor * np.array([single, pair, pair, single, pair, pair])
    assert found.posterior == pytest.approx(expected / (expected.sum() + PRIOR_OF_NONE))


def evidence_by_definition(scores, membership, sizes):
    """Posterior, shortfall, inside, outside and variance by least squares, one subgroup at a time."""
    n = len(scores)
    rows, weights = [], []
    of_size = {size: 1 / len(set(sizes)) / list(sizes).count(size) for size in sizes}
    for column, size in zip(membership.T, sizes, strict=True):
        design = np.column_stack([np.ones(n), column])
        (outside, slope), *_ = np.linalg.lstsq(design, scores, rcond=None)
        rss = ((scores - design @ [outside, slope]) ** 2).sum()
        factor = (((scores - scores.mean()) ** 2).sum() / rss) ** (n / 2) / np.sqrt(n)
        weights.append((1 - PRIOR_OF_NONE) * of_size[size] * factor if slope < 0 else 0.0)
        rows.append((max(0.0, scores.mean() - outside - slope), outside + slope, outside, rss / n))
    return [np.array(weights) / (sum(weights) + PRIOR_OF_NONE), *np.array(rows).T]


@pytest.mark.parametrize("seed", range(4))
def test_evidence_equals_least_squares(seed):
    rng = np.random.default_rng(seed)
    scores, sizes = rng.random(25), np.array([1, 2, 2, 1, 3, 2])
    membership = np.where(rng.random((25, 6)) < 0.3, rng.random((25, 6)), rng.random((25, 6)) < 0.4)
    scores -= 0.2 * membership[:, 1] * (seed % 2)  # with and without a disadvantaged subgroup
    found = subgroup_evidence(scores, membership, sizes)
    expected = evidence_by_definition(scores, membership, sizes)
    fields = (found.posterior, found.shortfall, found.inside, found.outside, found.variance)
    for mine, other in zip(fields, expected, strict=True):
        assert mine == pytest.approx(other, rel=1e-9)


def test_a_subgroup_that_explains_every_score_leaves_a_trace_of_variance():
    scores = np.array([0.2, 0.2, 0.8, 0.8])
    found = subgroup_evidence(scores, np.array([[1.0], [1], [0], [0]]), np.ones(1))
    assert found.variance.tolist() == pytest.approx([1e-12 * 0.36 / 4])
    assert found.posterior[0] == pytest.approx(1.0) and found.shortfall.tolist() == pytest.approx([0.3])


def test_scores_that_differ_by_rounding_are_no_evidence():
    membership = np.array([[1.0], [1], [0], [0]])
    for spread, is_evidence in ((1e-11, False), (1e-9, True)):
        found = subgroup_evidence(0.5 - spread * membership[:, 0], membership, np.ones(1))
        assert bool(found.posterior[0] > 0.5) is is_evidence
        assert bool(found.shortfall[0] > 0) is is_evidence
    assert subgroup_evidence(np.full(4, 0.5), membership, np.ones(1)).posterior.tolist() == [0.0]


def test_thousands_of_cases_overflow_nothing():
    membership = (np.arange(20_000)[:, None] % [2, 3]) == 0
    scores = 0.7 - 0.3 * membership[:, 0] + 0.001 * np.sin(np.arange(20_000))
    found = subgroup_evidence(scores, membership.astype(float), np.array([1, 1]))
    assert found.posterior.tolist() == pytest.approx([1.0, 0.0])


def test_a_score_far_from_both_groups_is_decided_and_no_warning():
    evidence = Evidence(*(np.array([value]) for value in (0.9, 0.2, 0.4, 0.8, 1e-9)))
    found = informed_membership(np.array([[0.5], [0.5], [0.5]]), np.array([0.1, 0.95, 0.6]), evidence)
    assert found[:, 0].tolist() == pytest.approx([1.0, 0.0, 0.5])


def test_membership_equals_counting():
    rng = np.random.default_rng(8)
    columns = ["age", "density", "site"]
    reference, cases = (
        pd.DataFrame(rng.choice(["x", "y", None], (60, 3), p=[0.4, 0.35, 0.25]), columns=columns, dtype=object)
        for _ in range(2)
    )
    itemsets = ((("age", "x"),), (("age", "x"), ("site", "y")), (("age", "y"), ("density", "x"), ("site", MISSING)))
    found = membership_probability(itemsets, cases, reference)

    def fits(row, attribute, value):
        """Whether a case has the value, has another one, or neither is known."""
        if value == MISSING:
            return row[attribute] is None
        return None if row[attribute] is None else row[attribute] == value

    for row, case in enumerate(cases.to_dict("records")):
        for column, itemset in enumerate(itemsets):
            known = [item for item in itemset if fits(case, *item) is not None]
            unknown = [item for item in itemset if fits(case, *item) is None]
            expected = float(all(fits(case, *item) for item in known))
            if unknown and expected:
                alike = [
                    other
                    for other in reference.to_dict("records")
                    if all(fits(other, *item) for item in known) and all(fits(other, *i) is not None for i in unknown)
                ]
                expected = np.mean([all(fits(other, *i) for i in unknown) for other in alike]) if alike else 0.0
            if all(value is None for value in case.values()):
                expected = 0.0
            assert found[row, column] == pytest.approx(expected), (case, itemset)
