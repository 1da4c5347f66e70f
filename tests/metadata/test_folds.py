from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.folds import fold_balance, stratified_folds


def table(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sex": rng.choice(["f", "m"], n),
            "site": rng.choice(np.array(["A", "B", None], dtype=object), n, p=[0.2, 0.5, 0.3]),
        },
        index=[f"case_{i:03d}" for i in range(n)],
        dtype=object,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 5))
def test_folds_partition_the_cases_evenly(n_cases, n_folds, seed):
    groups = table(n_cases, seed)
    if n_cases < n_folds:
        with pytest.raises(UserError, match="cannot fill"):
            stratified_folds(groups, n_folds, seed)
        return
    folds = stratified_folds(groups, n_folds, seed)
    sizes = [len(fold["val"]) for fold in folds]
    assert len(folds) == n_folds
    assert max(sizes) - min(sizes) <= 1
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(groups.index)
    assert all(sorted(fold["train"] + fold["val"]) == sorted(groups.index) for fold in folds)


def test_a_perfectly_divisible_cohort_is_split_perfectly():
    rows = [(sex, site) for sex in "fm" for site in "AB" for _ in range(5)]
    groups = pd.DataFrame(rows, columns=["sex", "site"], index=[f"c{i}" for i in range(20)])
    balance = fold_balance(groups, stratified_folds(groups, 5))
    assert (balance.loc[("all", "cases")] == 4).all()
    assert (balance.drop(index=("all", "cases")) == 2).all(axis=None)


def test_rare_and_missing_groups_are_spread():
    groups = table(100)
    balance = fold_balance(groups, stratified_folds(groups, 5))
    for (attribute, group), counts in balance.iterrows():
        assert counts.max() - counts.min() <= 2, (attribute, group)
    assert balance.loc[("site", "(missing)")].sum() == groups["site"].isna().sum()


def test_same_seed_same_folds_whatever_the_row_order():
    groups = table(53)
    shuffled = groups.sample(frac=1, random_state=1)
    assert stratified_folds(groups, 5, seed=2) == stratified_folds(shuffled, 5, seed=2)
    assert stratified_folds(groups, 5, seed=2) != stratified_folds(groups, 5, seed=3)


def test_cases_of_one_patient_stay_together():
    groups = table(60)
    patients = pd.Series([f"p{i // 3}" for i in range(57)], index=groups.index[:57])
    folds = stratified_folds(groups, 5, patients=patients)
    fold_of_case = {case: number for number, fold in enumerate(folds) for case in fold["val"]}
    assert patients.index.to_series().map(fold_of_case).groupby(patients).nunique().max() == 1
    # 19 patients of three cases and three cases on their own are 22 units: 5, 5, 4, 4 and 4
    units = patients.reindex(groups.index).fillna(groups.index.to_series())
    assert sorted(units[fold["val"]].nunique() for fold in folds) == [4, 4, 4, 5, 5]
    with pytest.raises(UserError, match="2 patients cannot fill 5 folds"):
        stratified_folds(groups.iloc[:6], 5, patients=patients)


def test_no_attributes_still_gives_folds():
    groups = pd.DataFrame(index=[f"c{i}" for i in range(11)])
    assert sorted(len(fold["val"]) for fold in stratified_folds(groups, 5)) == [2, 2, 2, 2, 3]


def test_one_fold_is_refused():
    with pytest.raises(UserError, match="2 or more folds"):
        stratified_folds(table(10), 1)
