"""Mining subgroups and their divergence, against hand-worked numbers, DivExplorer and SciPy."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.itemsets import (
    itemset_name,
    mine_subgroups,
    subgroup_membership,
    support_threshold,
)


def table(**columns) -> pd.DataFrame:
    frame = pd.DataFrame(columns, dtype=object)
    frame.index = [f"case{i}" for i in range(len(frame))]
    return frame


def random_table(seed: int, n_cases: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return table(
        age=rng.choice(["0-40", "41-50", "51-60", None], n_cases),
        menopause=rng.choice(["pre", "post", None], n_cases, p=[0.4, 0.4, 0.2]),
        density=rng.choice(["a", "b", "c", "d"], n_cases),
    )


def test_divergence_of_hand_worked_groups():
    #         0     1     2     3     4     5
    cases = table(sex=["f", "f", "f", "m", "m", None])
    found = mine_subgroups(cases, min_support=0.3)
    assert found.names == ("sex=f", "sex=m")
    result = subgroup_divergence(found, np.array([0.2, 0.4, 0.6, 0.8, 1.0, 0.0]))
    # mean of all = 3.0 / 6 = 0.5; women 1.2 / 3 = 0.4; men 0.9
    assert result["divergence"].tolist() == pytest.approx([-0.1, 0.4])
    assert result["n"].tolist() == [3, 2]
    assert result["support"].tolist() == pytest.approx([0.5, 1 / 3])
    expected = stats.ttest_ind([0.2, 0.4, 0.6], [0.8, 1.0, 0.0], equal_var=False)
    assert result.loc[0, "t"] == pytest.approx(expected.statistic)
    assert result.loc[0, "p"] == pytest.approx(expected.pvalue)


def test_unscored_cases_leave_every_mean():
    cases = table(sex=["f", "f", "m", "m"])
    result = subgroup_divergence(mine_subgroups(cases, min_support=0.2), np.array([0.5, np.nan, 0.1, 0.3]))
    assert result.set_index("subgroup").loc["sex=f", ["n", "mean_score"]].tolist() == [1, 0.5]
    assert result["divergence"].tolist() == pytest.approx([0.2, -0.1])
    assert result["t"].isna().tolist() == [True, True]  # one case on one side says nothing about spread


def test_agrees_with_divexplorer():
    from divexplorer import DivergenceExplorer

    cases = random_table(seed=1, n_cases=200)
    scores = np.random.default_rng(2).random(200)
    reference = DivergenceExplorer(cases.assign(score=scores).reset_index(drop=True)).get_pattern_divergence(
        min_support=0.05, quantitative_outcomes=["score"], attributes=list(cases.columns)
    )
    expected = {
        frozenset(row.itemset): (row.support, row.score_div) for row in reference.itertuples() if len(row.itemset)
    }
    found = mine_subgroups(cases, min_support=0.05)
    result = subgroup_divergence(found, scores)
    actual = {
        frozenset(f"{attribute}={value}" for attribute, value in itemset): (row.support, row.divergence)
        for itemset, row in zip(found.itemsets, result.itertuples(), strict=True)
    }
    assert actual.keys() == expected.keys()
    for itemset, (support, divergence) in expected.items():
        assert actual[itemset] == pytest.approx((support, divergence), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000), n_cases=st.integers(1, 40), min_support=st.sampled_from([0.05, 0.07, 0.2, 0.5, 1.0])
)
def test_finds_exactly_the_frequent_itemsets(seed, n_cases, min_support):
    cases = random_table(seed, n_cases)
    found = mine_subgroups(cases, min_support=min_support, min_cases=2, max_items=2)
    items = [(a, v) for a in cases for v in sorted(cases[a].dropna().unique())]
    expected = set()
    for size in (1, 2):
        for combination in itertools.combinations(items, size):
            if len({a for a, _ in combination}) == size:
                n = sum(all(row[a] == v for a, v in combination) for _, row in cases.iterrows())
                if n >= max(2, min_support * n_cases - 1e-9):
                    expected.add(frozenset(combination))
    assert {frozenset(itemset) for itemset in found.itemsets} == expected


@pytest.mark.parametrize(
    ("n_cases", "min_support", "min_cases", "expected"),
    [(100, 0.07, 1, 7), (100, 0.05, 5, 5), (60, 0.05, 5, 5), (10, 0.05, 1, 1), (7, 0.5, 1, 4), (0, 0.5, 1, 1)],
)
def test_support_threshold_is_not_fooled_by_floating_point(n_cases, min_support, min_cases, expected):
    assert support_threshold(n_cases, min_support, min_cases) == expected


def test_values_may_hold_any_character():
    cases = table(**{"site=x": ["a=b, c", "a=b, c", "nan", "nan"], "score": ["∅", "∅", "∅", "∅"]})
    found = mine_subgroups(cases, min_support=0.5)
    assert {frozenset(itemset) for itemset in found.itemsets} == {
        frozenset({("site=x", "a=b, c")}),
        frozenset({("site=x", "nan")}),
        frozenset({("score", "∅")}),
        frozenset({("site=x", "a=b, c"), ("score", "∅")}),
        frozenset({("site=x", "nan"), ("score", "∅")}),
    }


@pytest.mark.parametrize(
    "cases",
    [
        table(age=[None, None, None]),
        table(age=["a", "b", "c"]),
        pd.DataFrame(index=["x", "y"]),
        table(age=[]),
    ],
    ids=["no value at all", "every group too small", "no attribute", "no case"],
)
def test_no_frequent_subgroup_is_a_valid_answer(cases):
    found = mine_subgroups(cases, min_support=0.5, min_cases=2)
    assert found.itemsets == ()
    assert len(subgroup_divergence(found, np.zeros(len(cases)))) == 0


def test_a_column_without_values_hides_none_of_the_others():
    found = mine_subgroups(table(age=[None] * 4, sex=["f", "f", "m", "m"]), min_support=0.5)
    assert found.names == ("sex=f", "sex=m")


def test_the_largest_first_then_by_name_and_items_in_the_order_of_the_attributes():
    columns = {f"x{11 - i}": ["a", "a", "b"] for i in range(12)}  # ten and more: sorted as numbers, not as text
    found = mine_subgroups(table(**columns), min_support=0.3, max_items=2)
    sizes = found.membership.sum(axis=0).tolist()
    assert sizes == sorted(sizes, reverse=True)
    for size in (1, 2):
        names = [name for name, n in zip(found.names, sizes, strict=True) if n == size]
        assert names == sorted(names)
    order = list(columns)
    assert all(
        [a for a, _ in itemset] == sorted((a for a, _ in itemset), key=order.index) for itemset in found.itemsets
    )
    assert found.case_ids == ("case0", "case1", "case2")
    assert np.array_equal(found.membership, subgroup_membership(found.itemsets, table(**columns)))


@pytest.mark.parametrize(("max_items", "n_subgroups"), [(1, 3), (2, 6), (3, 7), (None, 7)])
def test_the_size_of_a_combination_is_limited_where_asked(max_items, n_subgroups):
    cases = table(a=["x"] * 3, b=["x"] * 3, c=["x"] * 3)
    assert len(mine_subgroups(cases, min_support=1.0, max_items=max_items).itemsets) == n_subgroups


def test_the_name_of_no_item_is_all():
    assert itemset_name(()) == "all"
    assert itemset_name((("age", "71+"), ("menopause", "post"))) == "age=71+, menopause=post"


def test_membership_of_other_cases_goes_by_value():
    found = mine_subgroups(table(sex=["f", "f", "m", "m"]), min_support=0.5)
    others = table(sex=["m", None, "f", "x"])
    assert found.names == ("sex=f", "sex=m")
    assert subgroup_membership(found.itemsets, others).tolist() == [[0, 1], [0, 0], [1, 0], [0, 0]]


def test_equal_scores_give_no_t_and_no_warning():
    result = subgroup_divergence(mine_subgroups(table(s=["a", "a", "b", "b"]), min_support=0.5), np.full(4, 0.3))
    assert result["divergence"].tolist() == pytest.approx([0, 0])
    assert result["t"].isna().all()


def test_scores_of_another_length_are_refused():
    with pytest.raises(ValueError, match="one score a case"):
        subgroup_divergence(mine_subgroups(table(s=["a", "a"]), min_support=0.5), np.zeros(3))


def test_the_text_of_subgroups_tells_nothing_about_patients():
    found = mine_subgroups(table(sex=["f", "f"]), min_support=0.5)
    assert repr(found) == "Subgroups(n_cases=2, n_subgroups=1)"
    assert itemset_name(found.itemsets[0]) == "sex=f"
