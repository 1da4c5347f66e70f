"""Published groups: merged, refused, and nothing about a few patients by subtraction."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_fair.subgroups.disclosure import MIN_CASES, merge_small, publishable_groups, singles_out


def column(**sizes):
    """A column with so many cases a group; ``unknown`` is missing."""
    values = [np.nan if name == "unknown" else name for name, n in sizes.items() for _ in range(n)]
    return pd.Series(values, index=[f"c{i:03d}" for i in range(len(values))], dtype=object, name="site")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"a": 9, "b": 5}, {"a": 9, "b": 5}),
        ({"a": 9, "b": 5, "unknown": 7}, {"a": 9, "b": 5}),
        ({"a": 20, "b": 9, "c": 3, "d": 4}, {"a": 20, "b": 9, "other groups": 7}),
        ({"a": 20, "b": 9, "c": 3}, {"a": 20, "other groups": 12}),  # 3 alone would be the rest
        ({"a": 25, "b": 12, "unknown": 1}, {"a": 25, "other groups or unknown": 13}),
        ({"a": 25, "b": 1, "unknown": 8}, {"a": 25, "other groups or unknown": 9}),
        ({"a": 25, "other groups": 9, "c": 2, "d": 3}, {"a": 25, "other groups": 9, "other groups (merged)": 5}),
    ],
)
def test_small_groups_are_merged_with_what_would_tell_them(sizes, expected):
    merged, reason = merge_small(column(**sizes))
    assert merged.value_counts().to_dict() == expected
    assert reason == ""


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (column(a=25, b=1), "leave nothing to compare"),
        (column(a=9, b=3), "leave nothing to compare"),
        (column(unknown=9), "no case has a value"),
        (pd.Series([f"19{year}-03-0{year % 9 + 1}" for year in range(40, 73)]), "33 different values"),
        (pd.Series(["fell off a horse", *["no"] * 3]), "identify patients"),
    ],
)
def test_what_may_not_be_published_is_refused_with_the_reason(values, reason):
    merged, why = merge_small(values)
    assert merged is None
    assert reason in why
    assert "horse" not in why


def test_two_attributes_that_differ_by_one_patient():
    """All of clinic A but one were scanned on X: the means of A and of X would give that patient's score."""
    groups = pd.DataFrame(
        {"clinic": ["A"] * 26 + ["B"] * 20, "scanner": ["X"] * 25 + ["Y"] * 21, "age": ["old", "young"] * 23}
    )
    result = publishable_groups(groups)
    assert list(result.frame.columns) == ["clinic", "age"]
    assert "scanner is not shown" in result.refused["scanner"]
    assert result.merged == ()


def small_by_rank(membership, min_cases):
    """Independent of the code under test: the rank falls when the columns of fewer than ``min_cases`` are deleted."""
    sets = membership.T.astype(float)
    rank = np.linalg.matrix_rank(sets)
    return any(
        np.linalg.matrix_rank(np.delete(sets, chosen, axis=1)) < rank
        for chosen in itertools.combinations(range(len(membership)), min_cases - 1)
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_sum_that_can_be_made_is_looked_at(data):
    n_cases = data.draw(st.integers(6, 12))
    sets = data.draw(st.lists(st.lists(st.booleans(), min_size=n_cases, max_size=n_cases), min_size=1, max_size=4))
    membership = np.column_stack([np.ones(n_cases, bool), *np.array(sets)])
    assert singles_out(membership) == small_by_rank(membership, MIN_CASES)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60), st.integers(1, 4))
def test_published_groups_never_single_out(seed, n_cases, n_attributes):
    rng = np.random.default_rng(seed)
    values = rng.choice([*"abcdef", np.nan], p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.02, 0.03], size=(n_cases, n_attributes))
    groups = pd.DataFrame(values, columns=[f"x{i}" for i in range(n_attributes)], dtype=object)
    frame = publishable_groups(groups.where(groups != "nan")).frame
    sets = [np.ones(n_cases, bool)]
    for name in frame:
        sizes = frame[name].value_counts(dropna=False)
        assert (sizes >= MIN_CASES).all()
        sets += [(frame[name] == value).to_numpy() for value in frame[name].dropna().unique()]
    assert not singles_out(np.column_stack(sets))


def test_many_cases_and_attributes_take_a_moment_only():
    rng = np.random.default_rng(0)
    groups = pd.DataFrame({f"x{i}": rng.choice(list("abcd"), size=1500) for i in range(8)})
    assert publishable_groups(groups).frame.shape == (1500, 8)
