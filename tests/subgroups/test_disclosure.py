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


@pytest.mark.slow
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


def parted(**sizes):
    """A column and its outcome: ``a=(7, 5)`` is a group of seven with it and five without."""
    values = [np.nan if name == "unknown" else name for name, n in sizes.items() for _ in range(sum(n))]
    parts = [part for n in sizes.values() for part, k in zip("+-", n, strict=True) for _ in range(k)]
    return pd.Series(values, dtype=object, name="site"), pd.Series(parts)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"a": (7, 5), "b": (5, 9)}, {"a": 12, "b": 14}),
        ({"a": (9, 9), "b": (5, 9), "c": (3, 20)}, {"a": 18, "other groups": 37}),  # 3 with it would be the rest
        ({"a": (9, 9), "b": (5, 9), "c": (0, 20)}, {"a": 18, "other groups": 34}),  # all of c are without it
        ({"a": (9, 9), "b": (3, 9), "c": (4, 20)}, {"a": 18, "other groups": 36}),
        ({"a": (9, 9), "b": (8, 9), "unknown": (0, 6)}, {"a": 18, "other groups or unknown": 23}),
        ({"a": (9, 9), "b": (8, 9), "unknown": (5, 6)}, {"a": 18, "b": 17}),
    ],
)
def test_every_group_has_five_cases_of_each_outcome(sizes, expected):
    merged, reason = merge_small(*parted(**sizes))
    assert merged.value_counts().to_dict() == expected
    assert reason == ""


def test_a_part_may_be_lacking_where_that_tells_nothing():
    values, parts = parted(a=(9, 9), b=(5, 0), c=(6, 0))
    assert merge_small(values, parts, may_lack=True)[0].value_counts().to_dict() == {"a": 18, "c": 6, "b": 5}
    assert merge_small(values, parts)[0] is None  # b and c together still have nobody without it, with a all are one
    values, parts = parted(a=(9, 9), b=(5, 1), c=(6, 0))
    assert merge_small(values, parts, may_lack=True)[0] is None


def test_two_attributes_that_differ_by_one_patient_with_the_outcome():
    """The clinics' 26 and the scanners' 30 cases differ by five, but by one with the outcome."""
    clinic = ["A"] * 26 + ["B"] * 30
    scanner = ["X"] * 30 + ["Y"] * 26
    outcome = pd.Series([True] * 10 + [False] * 16 + [True] + [False] * 3 + [True] * 10 + [False] * 16)
    groups = pd.DataFrame({"clinic": clinic, "scanner": scanner})
    assert list(publishable_groups(groups, outcome).frame.columns) == ["clinic"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 80), st.integers(1, 3))
def test_published_groups_never_single_out_among_those_with_the_outcome(seed, n_cases, n_attributes):
    rng = np.random.default_rng(seed)
    values = rng.choice([*"abcd", np.nan], p=[0.4, 0.3, 0.2, 0.07, 0.03], size=(n_cases, n_attributes))
    groups = pd.DataFrame(values, columns=[f"x{i}" for i in range(n_attributes)], dtype=object)
    outcome = pd.Series(rng.random(n_cases) < 0.4)
    frame = publishable_groups(groups.where(groups != "nan"), outcome).frame
    sets = [np.ones(n_cases, bool)]
    for name in frame:
        counts = pd.crosstab(frame[name].fillna("unknown"), outcome)
        assert (counts >= MIN_CASES).all(axis=None)
        sets += [(frame[name] == value).to_numpy() for value in frame[name].dropna().unique()]
    for part in (outcome, ~outcome):
        assert frame.empty or not singles_out(np.column_stack(sets)[part])
