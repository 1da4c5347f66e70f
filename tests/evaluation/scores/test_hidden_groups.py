"""Clusters of features and their permutation test, against all permutations and planted groups."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.scores.hidden_groups import cluster_cases, hidden_groups, permutation_test
from nnunet_fair.subgroups.options import SubgroupOptions

OPTIONS = SubgroupOptions(min_group=10, n_resamples=200)


def _planted(n: int = 60, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Features of two kinds of image, a third of them of the second kind."""
    rng = np.random.default_rng(seed)
    second = np.arange(n) % 3 == 0
    features = rng.normal(size=(n, 12)) + np.where(second, 4.0, 0.0)[:, None]
    return pd.DataFrame(features, index=[f"C{i:02d}" for i in range(n)]), second


def test_the_kinds_of_image_are_found_again_and_the_worse_one_is_named():
    features, second = _planted()
    dsc = 0.8 - 0.2 * second + np.random.default_rng(1).normal(0, 0.05, 60)
    cases = pd.DataFrame({"dsc": dsc, "volume_reference_mm3": np.arange(60.0)}, index=features.index)
    found = hidden_groups(features, pd.Series("fold_0", features.index), cases, OPTIONS, n_permutations=999)
    worst = found.clusters.iloc[0]
    assert len(found.clusters) == 2 and worst["n"] == 20 and worst["decides"]
    assert set(found.cases.index[found.cases["cluster"] == worst["cluster"]]) == set(features.index[second])
    assert worst["mean_dsc"] == pytest.approx(dsc[second].mean())
    assert worst["divergence"] == pytest.approx(dsc[second].mean() - dsc.mean())
    assert worst["p"] == 1 / 1000 and worst["mean_dsc_low"] < worst["mean_dsc"] < worst["mean_dsc_high"]
    assert worst["worst"].split("; ")[0] == cases["dsc"].idxmin()
    own = found.cases[found.cases["cluster"] == worst["cluster"]]
    assert worst["typical"].split("; ")[0] == own["distance_to_centre"].idxmin()
    assert worst["median_volume_mm3"] == np.median(np.arange(60.0)[second])


def test_networks_are_never_mixed():
    features, second = _planted()
    network = pd.Series(np.where(np.arange(60) < 30, "fold_0", "fold_1"), features.index)
    features.loc[network == "fold_1"] = -1000 * features.loc[network == "fold_1"]  # another space
    cases = pd.DataFrame({"dsc": 0.8 - 0.2 * second}, index=features.index)
    found = hidden_groups(features, network, cases, OPTIONS, n_permutations=199)
    assert set(found.clusters["cluster"]) == {f"fold_{f} cluster {k}" for f in (0, 1) for k in (1, 2)}
    assert (found.clusters.groupby("network")["n"].sum() == 30).all()


def test_p_is_the_share_of_all_permutations_over_all_clusters():
    scores = np.array([0.1, 0.3, 0.35, 0.8, 0.9, 0.95])
    membership = np.zeros((6, 3), bool)
    membership[[0, 1], 0] = membership[[2, 3], 1] = membership[[4, 5], 2] = True

    def largest(values: np.ndarray) -> tuple[np.ndarray, float]:
        means = np.array([values[inside].mean() for inside in membership.T])
        z = (means - values.mean()) / np.sqrt(values.var() * (6 - 2) / (2 * 5))
        return z, np.abs(z).max()

    z, _ = largest(scores)
    maxima = np.array([largest(scores[list(order)])[1] for order in itertools.permutations(range(6))])
    exact = [(maxima >= abs(value) - 1e-9).mean() for value in z]
    found, p = permutation_test(scores, membership, [np.arange(6)], np.ones(3, bool), n_permutations=20_000)
    assert found == pytest.approx(z)
    assert p == pytest.approx(exact, abs=0.012)


def test_clusters_that_mean_nothing_are_rarely_found():
    # Features that know nothing of the DSC: of 200 cohorts some 5 % may have a cluster with p below 5 %.
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(4), 15)
    membership = labels[:, None] == np.arange(4)
    below = 0
    for seed in range(200):
        _, p = permutation_test(
            rng.beta(5, 2, 60), membership, [np.arange(60)], np.ones(4, bool), n_permutations=199, seed=seed
        )
        below += p.min() < 0.05
    assert 2 <= below <= 19  # binomial(200, 0.05): 99.8 %


def test_what_cannot_be_estimated_is_said():
    features, _ = _planted(12)
    network = pd.Series("fold_0", features.index)
    few = hidden_groups(features, network, pd.DataFrame({"dsc": np.linspace(0, 1, 12)}, index=features.index), OPTIONS)
    (row,) = few.clusters.itertuples()
    assert np.isnan(row.p) and row.reason == "cannot be estimated: all cases of the network are in it"
    features, _ = _planted()
    constant = pd.DataFrame({"dsc": 0.5}, index=features.index)
    same = hidden_groups(features, pd.Series("fold_0", features.index), constant, OPTIONS, n_permutations=99)
    assert same.clusters["p"].isna().all()
    assert set(same.clusters["reason"]) == {"cannot be estimated: the DSC is the same in every case"}
    assert cluster_cases(np.ones((40, 3)), OPTIONS)[1] == 1
