from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nnunet_fair.evaluation.scores.challenge_score import segmentation_score
from nnunet_fair.evaluation.scores.cohort import ScoredCohort, group_memberships
from nnunet_fair.evaluation.scores.score_intervals import (
    NamedIntervals,
    ScoreStatistics,
    score_intervals,
)
from nnunet_fair.subgroups import bootstrap
from nnunet_fair.subgroups.bootstrap import (
    bootstrap_intervals,
    effective_cases,
    intervals_from_replicates,
    jackknife_weights,
    weighted_means,
)
from nnunet_fair.subgroups.options import SubgroupOptions

VALUES = np.random.default_rng(0).beta(5, 2, 200)
EVERYBODY = np.ones((200, 1), bool)


def _mean(weights: np.ndarray) -> np.ndarray:
    return weighted_means(weights, VALUES, EVERYBODY)


def widened(n: float, confidence: float = 0.95) -> np.ndarray:
    """The normal deviates that the ends are taken at, for the spread of n cases."""
    quantile = stats.t.ppf((1 + confidence) / 2, n - 1) * np.sqrt((n + 1) / (n - 1))
    return np.array([-quantile, quantile])


def test_intervals_of_a_mean_agree_with_scipy():
    found = bootstrap_intervals(_mean, 200, n_resamples=6000, seed=1)
    confidence = 2 * stats.norm.cdf(widened(200)[1]) - 1
    assert found.estimate[0] == pytest.approx(VALUES.mean())
    for method, ends in (("percentile", found.percentile[0]), ("BCa", found.bca[0])):
        rng = np.random.default_rng(2)  # by the name that SciPy before 1.15 knows and later ones take
        expected = stats.bootstrap(
            (VALUES,), np.mean, n_resamples=6000, method=method, random_state=rng, confidence_level=confidence
        ).confidence_interval
        # Both are Monte-Carlo estimates of intervals about 0.045 wide.
        assert ends == pytest.approx(expected, abs=0.002)


def test_bca_of_a_mean_equals_its_closed_form():
    rng = np.random.default_rng(3)
    samples = rng.choice(VALUES, (4000, 200))
    jackknife = np.array([[np.delete(VALUES, i).mean()] for i in range(200)])
    found = intervals_from_replicates(np.array([VALUES.mean()]), samples.mean(axis=1)[:, None], jackknife)
    bias = stats.norm.ppf(np.mean(samples.mean(axis=1) < VALUES.mean()))
    acceleration = stats.skew(VALUES) / (6 * np.sqrt(200))  # of a mean, in closed form (Efron and Tibshirani, 1993)
    z = bias + widened(200)
    levels = stats.norm.cdf(bias + z / (1 - acceleration * z))
    assert found.bca[0] == pytest.approx(np.quantile(samples.mean(axis=1), levels), abs=1e-4)


def test_jackknife_leaves_each_case_out_once_or_in_blocks():
    assert np.array_equal(jackknife_weights(3), [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    blocks = jackknife_weights(4100)
    assert blocks.shape == (2000, 4100) and np.array_equal((blocks == 0).sum(axis=0), np.ones(4100))


def test_the_same_seed_gives_the_same_interval():
    first, second = (bootstrap_intervals(_mean, 200, n_resamples=50, seed=7) for _ in range(2))
    assert np.array_equal(first.bca, second.bca)
    assert not np.array_equal(first.bca, bootstrap_intervals(_mean, 200, n_resamples=50, seed=8).bca)
    default, zero = (bootstrap_intervals(_mean, 200, n_resamples=50, **seed) for seed in ({}, {"seed": 0}))
    assert np.array_equal(default.bca, zero.bca)


def test_one_case_has_no_interval():
    found = bootstrap_intervals(lambda w: w[:, :1] * 0 + 0.5, 1)
    assert found.estimate[0] == 0.5 and np.isnan(found.bca).all() and np.isnan(found.percentile).all()
    assert found.bca.shape == found.percentile.shape == (1, 2)


def test_cases_that_do_not_differ_say_nothing_about_others():
    found = bootstrap_intervals(lambda w: weighted_means(w, np.full(5, 0.3), np.ones((5, 1), bool)), 5)
    assert found.estimate[0] == pytest.approx(0.3)
    assert np.isnan(found.bca).all() and np.isnan(found.percentile).all()


def test_a_paired_difference_that_is_always_the_same_has_width_zero():
    found = intervals_from_replicates(np.array([0.3]), np.full((50, 1), 0.3), np.full((5, 1), 0.3))
    assert found.bca[0].tolist() == [0.3, 0.3]


def test_weights_inside_every_group_are_uniform_on_the_simplex():
    asked = []
    bootstrap_intervals(lambda w: asked.append(w) or w[:, :1], 3, n_resamples=4000)
    (weights,) = (w for w in asked if len(w) == 4000)
    # Dirichlet(1, 1): the share of the first of two cases is uniform on [0, 1], in overlapping groups as well.
    for pair in ((0, 1), (1, 2)):
        share = weights[:, pair[0]] / weights[:, pair].sum(axis=1)
        assert stats.kstest(share, "uniform").pvalue > 1e-3
    assert np.corrcoef(weights[:, 0], weights[:, 2])[0, 1] == pytest.approx(0, abs=0.05)  # groups apart are independent


def test_weighted_means_by_hand():
    membership = np.array([[True, False], [True, True], [False, False]])
    found = weighted_means(np.array([[1.0, 3.0, 9.0], [2.0, 0.0, 1.0]]), np.array([0.0, 1.0, 0.5]), membership)
    assert found == pytest.approx(np.array([[0.75, 1.0], [0.0, np.nan]]), nan_ok=True)


INDEX = pd.Index([f"c{i}" for i in range(60)])
GROUPS = pd.DataFrame(
    {
        "age": np.random.default_rng(1).choice(["young", "old"], 60),
        "density": ["rare", *np.random.default_rng(2).choice(["a", "b"], 59).tolist()],
    },
    INDEX,
    dtype=object,
)
DSC, NORM_HD = np.random.default_rng(3).random(60), np.random.default_rng(4).random(60)


def _statistics(min_group: int = 10) -> ScoreStatistics:
    return ScoreStatistics(DSC, NORM_HD, tuple(group_memberships(GROUPS, INDEX, ["age", "density"])), min_group)


def test_statistics_with_equal_weights_are_the_score():
    found = dict(zip(_statistics().names, _statistics()(np.ones((1, 60)))[0], strict=True))
    score = segmentation_score(ScoredCohort.of(pd.DataFrame({"dsc": DSC, "norm_hd": NORM_HD}, INDEX), GROUPS))
    assert found["performance"] == pytest.approx(score.performance)
    assert found["fairness"] == pytest.approx(score.fairness)
    assert found["ranking"] == pytest.approx(score.ranking)
    for name, entry in score.by_variable.items():
        assert found[f"gap_dsc:{name}"] == pytest.approx(entry.gap_dsc)
        assert found[f"fairness:{name}"] == pytest.approx(entry.fairness)
    assert found["mean_dsc:density=rare"] == pytest.approx(DSC[0])


def test_small_groups_count_for_the_score_and_not_for_the_worst_group():
    DSC_LOW = DSC.copy()
    DSC_LOW[0] = 0.0  # the only case of density=rare
    statistics = ScoreStatistics(DSC_LOW, NORM_HD, _statistics().variables, 10)
    found = dict(zip(statistics.names, statistics(np.ones((1, 60)))[0], strict=True))
    means = pd.Series(DSC_LOW, INDEX).groupby(GROUPS["density"]).mean()
    assert found["gap_dsc:density"] == pytest.approx(means.max())
    assert found["worst_group_dsc:density"] == pytest.approx(means[["a", "b"]].min())
    assert found["deciding_gap_dsc:density"] == pytest.approx(abs(means["a"] - means["b"]))


def test_no_replicate_misses_a_group_of_one_case():
    intervals = score_intervals(_statistics(), SubgroupOptions(n_resamples=500, confidence=0.95, seed=0))
    alone = np.array([name.endswith("density=rare") for name in intervals.names])
    assert np.isfinite(intervals.values.percentile[~alone]).all()
    # The gap to that group exists in every replicate; how the group itself varies cannot be told from one case.
    assert np.isnan(intervals.values.percentile[alone]).all()
    estimate, low, high = intervals.row("mean_dsc:density=rare")
    assert estimate == pytest.approx(DSC[0]) and np.isnan([low, high]).all()


def test_interval_of_a_gap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    membership = np.repeat(np.eye(2, dtype=bool), 40, axis=0)
    covered = 0
    for seed in range(150):
        values = np.concatenate([rng.normal(0.8, 0.1, 40), rng.normal(0.6, 0.1, 40)])
        found = bootstrap_intervals(
            lambda w, v=values: np.ptp(weighted_means(w, v, membership), axis=1)[:, None],
            80,
            n_resamples=300,
            seed=seed,
        )
        covered += found.bca[0, 0] <= 0.2 <= found.bca[0, 1]
    assert 0.88 <= covered / 150 <= 0.99


def bca_by_definition(estimate, replicates, jackknife, confidence):
    """Percentile and BCa intervals of one statistic in plain steps; the second NaN where it does not exist."""
    below = np.mean([1.0 if r < estimate else 0.5 if r == estimate else 0.0 for r in replicates])
    left = [value for value in jackknife if np.isfinite(value)]
    deviations = [np.mean(left) - value for value in left]
    squares = sum(d**2 for d in deviations)
    acceleration = sum(d**3 for d in deviations) / (6 * squares**1.5) if squares else 0.0
    normal = stats.norm.ppf((1 + confidence) / 2)
    changes = [value - estimate for value in left]
    fourth = sum(c**4 for c in changes)
    n_cases = max(min(len(changes), 3 * sum(c**2 for c in changes) ** 2 / fourth), 2) if fourth else np.inf
    quantiles = widened(n_cases, confidence) if fourth else np.array([-normal, normal])
    percentile = np.quantile(replicates, stats.norm.cdf(quantiles)).tolist()
    if below in (0, 1):
        return percentile, [np.nan, np.nan]
    bias = stats.norm.ppf(below)
    levels = [stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in quantiles]
    return percentile, np.quantile(replicates, levels).tolist()


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_intervals_of_every_kind_of_statistic(confidence):
    rng = np.random.default_rng(12)
    replicates = rng.gamma(2.0, 0.1, (501, 7))
    jackknife = rng.gamma(2.0, 0.1, (30, 7)) ** 2
    estimate = np.full(7, 0.2)
    estimate[1] = replicates[7, 1]  # one replicate equals the estimate
    replicates[3, 2] = np.nan  # not in every replicate: no interval at all
    estimate[3] = np.nan
    estimate[4] = replicates[:, 4].min() - 0.1  # every replicate on one side: a percentile interval alone
    jackknife[[2, 9], 5] = np.nan  # does not exist without either of two units
    jackknife[:, 6] = 0.3  # no acceleration
    found = intervals_from_replicates(estimate, replicates, jackknife, confidence=confidence)
    assert found.estimate is estimate
    for column in range(7):
        if column in (2, 3):
            assert np.isnan(found.percentile[column]).all() and np.isnan(found.bca[column]).all()
            continue
        percentile, bca = bca_by_definition(estimate[column], replicates[:, column], jackknife[:, column], confidence)
        assert found.percentile[column] == pytest.approx(percentile)
        assert found.bca[column] == pytest.approx(bca, nan_ok=True)
    ends = found.ends()
    assert np.array_equal(ends[[0, 1, 5, 6]], found.bca[[0, 1, 5, 6]])
    assert np.array_equal(ends[4], found.percentile[4])
    assert np.isnan(ends[[2, 3]]).all()


@pytest.mark.parametrize("estimate", [-9.0, 9.0])
def test_an_estimate_beyond_every_replicate_has_a_percentile_interval_alone(estimate):
    replicates = np.random.default_rng(0).random((200, 1))
    found = intervals_from_replicates(np.array([estimate]), replicates, replicates[:50])
    assert np.isnan(found.bca).all() and np.array_equal(found.ends(), found.percentile)


def test_a_statistic_that_exists_without_no_unit_has_no_acceleration():
    replicates = np.random.default_rng(0).normal(size=(200, 1))
    nowhere = intervals_from_replicates(np.zeros(1), replicates, np.full((5, 1), np.nan))
    constant = intervals_from_replicates(np.zeros(1), replicates, np.zeros((5, 1)))
    assert np.isfinite(nowhere.bca).all() and np.array_equal(nowhere.bca, constant.bca)


def test_units_that_all_matter_alike_give_no_acceleration():
    replicates = np.random.default_rng(3).normal(size=(400, 1))
    equal = intervals_from_replicates(np.zeros(1), replicates, np.full((20, 1), 0.5))
    assert equal.bca == pytest.approx(np.array([bca_by_definition(0.0, replicates[:, 0], [0.5] * 20, 0.95)[1]]))
    assert np.quantile(replicates, stats.norm.cdf(widened(20))) == pytest.approx(equal.percentile[0])


@pytest.mark.parametrize(("spread", "is_one"), [(1e-13, True), (1e-10, False)])
def test_what_differs_by_rounding_alone_is_one_number(spread, is_one):
    replicates = 1000.0 + 1000.0 * spread * np.random.default_rng(0).random((200, 1))
    replicates[:2, 0] = [1000.0, 1000.0 + 1000.0 * spread]
    estimate = np.array([replicates.mean()])
    found = intervals_from_replicates(estimate, replicates, replicates[:50])
    assert (found.bca[0].tolist() == [estimate[0]] * 2) is is_one


def test_given_weights_are_used_and_the_settings_reach_the_interval():
    weights = np.random.default_rng(5).standard_exponential((300, 200))
    found = bootstrap_intervals(_mean, 200, confidence=0.5, weights=weights)
    means = weights @ VALUES / weights.sum(axis=1)
    assert found.percentile[0] == pytest.approx(np.quantile(means, stats.norm.cdf(widened(200, 0.5))))
    asked = []
    bootstrap_intervals(lambda w: asked.append(w.shape) or w[:, :1], 4, n_resamples=70)
    assert asked == [(1, 4), (70, 4), (4, 4)]
    asked.clear()
    bootstrap_intervals(lambda w: asked.append(w.shape) or w[:, :1], 2)
    assert asked[1] == (2000, 2)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_the_cases_does_not_matter(values, random):
    values = np.array(values)
    order = list(range(len(values)))
    random.shuffle(order)
    weights = np.random.default_rng(0).standard_exponential((100, len(values)))
    everybody = np.ones((len(values), 1), bool)

    def found(order):
        return bootstrap_intervals(
            lambda w: weighted_means(w, values[order], everybody), len(values), weights=weights[:, order]
        )

    first, second = found(list(range(len(values)))), found(order)
    assert first.estimate == pytest.approx(second.estimate)
    assert first.percentile == pytest.approx(second.percentile, nan_ok=True)
    assert first.ends() == pytest.approx(second.ends(), abs=1e-6, nan_ok=True)


def test_row_falls_back_to_the_percentile_interval():
    from nnunet_fair.subgroups.bootstrap import Intervals

    values = Intervals(np.array([0.5]), np.array([[0.4, 0.6]]), np.array([[np.nan, np.nan]]))
    assert NamedIntervals(("x",), values).row("x") == (0.5, 0.4, 0.6)
    with pytest.raises(ValueError, match="not in tuple"):
        NamedIntervals(("x",), values).row("y")


@pytest.mark.parametrize(("sizes", "spreads"), [((12,), (0.1,)), ((10, 40), (0.1, 0.1)), ((10, 4000), (0.2, 0.1))])
def test_the_number_of_cases_is_satterthwaites(sizes, spreads):
    """Of a mean its number of cases, of a difference Welch's degrees of freedom (but for one), for a kurtosis of 3."""
    blocks = [s * stats.norm.ppf((np.arange(n) + 0.5) / n) for n, s in zip(sizes, spreads, strict=True)]
    changes = np.concatenate([block / len(block) for block in blocks])[:, None]
    variances = [np.var(block) / len(block) for block in blocks]
    kurtosis = [stats.kurtosis(block, fisher=False) for block in blocks]
    parts = [v**2 * k / (3 * n) for v, k, n in zip(variances, kurtosis, sizes, strict=True)]
    expected = min(sum(variances) ** 2 / sum(parts), sum(sizes))
    assert effective_cases(changes)[0] == pytest.approx(expected)


def test_the_number_of_cases_is_at_least_two_and_boundless_where_nothing_moves():
    assert effective_cases(np.array([[1.0, 0.0], [-1e-3, 0.0], [0.0, 0.0]])).tolist() == [2.0, np.inf]


def test_memory_does_not_grow_with_the_cases_and_the_numbers_do_not_change(monkeypatch):
    whole = bootstrap_intervals(_mean, 200, n_resamples=300, seed=4)
    monkeypatch.setattr(bootstrap, "BLOCK", 1500)
    asked = []
    blocks = bootstrap_intervals(lambda w: asked.append(w.shape) or _mean(w), 200, n_resamples=300, seed=4)
    assert max(rows for rows, _ in asked) == 7 and sum(rows for rows, _ in asked) == 1 + 300 + 200
    assert blocks.bca == pytest.approx(whole.bca, abs=1e-12)
    weights = np.random.default_rng(4).standard_exponential((300, 200))
    given = bootstrap_intervals(_mean, 200, weights=weights)
    assert given.bca == pytest.approx(whole.bca, abs=1e-12)
