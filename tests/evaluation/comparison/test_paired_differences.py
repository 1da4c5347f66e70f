from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.comparison.levelling import (
    LEVELLED_DOWN,
    LEVELLED_UP,
    MIXED,
    UNCHANGED,
    WIDENED,
    levelling_audit,
    levelling_verdict,
    overall_sentence,
)
from nnunet_fair.evaluation.comparison.paired_differences import (
    compare_scores,
    pair_scores,
    seed_weights,
    signed_rank_p,
)
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.challenge_score import segmentation_score
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.options import SubgroupOptions

N = 60
INDEX = pd.Index([f"c{i:02d}" for i in range(N)])
GROUPS = CaseGroups(
    pd.DataFrame({"age": ["old"] * 20 + ["young"] * 40, "site": ["s", "t"] * 30}, INDEX, dtype=object),
    ("age", "site"),
    False,
    (),
)
OPTIONS = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=400))
RNG = np.random.default_rng(0)
BASE = np.concatenate([RNG.normal(0.5, 0.05, 20), RNG.normal(0.8, 0.05, 40)])


def _frame(dsc: np.ndarray, norm_hd: float = 0.1) -> pd.DataFrame:
    return pd.DataFrame({"dsc": dsc, "norm_hd": norm_hd}, INDEX)


def _compare(a: list[np.ndarray], b: list[np.ndarray], *, paired_seeds: bool = False):
    scores = pair_scores([_frame(x) for x in a], [_frame(x) for x in b])
    return compare_scores(scores, GROUPS, OPTIONS, paired_seeds=paired_seeds)


def _shifted(old: float, young: float) -> np.ndarray:
    return BASE + np.concatenate([np.full(20, old), np.full(40, young)])


def test_cases_are_paired_by_id_and_incomplete_ones_left_out():
    a, b = _frame(BASE), _frame(BASE + 0.1).iloc[::-1].copy()
    a.loc["c03", "dsc"] = np.nan
    b = b.drop(index="c07")
    scores = pair_scores([a], [b])
    assert scores.left_out == ("c03", "c07") and len(scores.case_ids) == N - 2
    assert scores.difference == pytest.approx(np.full(N - 2, 0.1))


def test_no_case_in_common_is_refused():
    with pytest.raises(UserError, match="nothing to compare"):
        pair_scores([_frame(BASE)], [_frame(BASE).rename(index=str.upper)])


def test_differences_are_those_of_the_scores():
    found = _compare([BASE], [_shifted(0.1, -0.02)])
    before = segmentation_score(ScoredCohort.of(_frame(BASE), GROUPS.frame))
    after = segmentation_score(ScoredCohort.of(_frame(_shifted(0.1, -0.02)), GROUPS.frame))
    for name in ("performance", "fairness", "ranking"):
        expected = getattr(after, name) - getattr(before, name)
        assert found.difference.row(name)[0] == pytest.approx(expected, abs=1e-12)


def test_a_paired_constant_shift_has_no_spread_and_noise_has():
    difference, low, high = _compare([BASE], [BASE + 0.05]).difference.row("mean_dsc")
    assert (difference, low, high) == pytest.approx((0.05, 0.05, 0.05))
    noise = np.random.default_rng(1).normal(0, 0.1, N)
    difference, low, high = _compare([BASE], [BASE + noise]).difference.row("mean_dsc")
    assert difference == pytest.approx(noise.mean())
    half_width = 1.96 * noise.std() / np.sqrt(N + 1)  # of a mean under Dirichlet weights
    assert (high - low) / 2 == pytest.approx(half_width, rel=0.15)


def test_subgroup_row_by_hand():
    noise = np.random.default_rng(2).normal(0.02, 0.05, N)
    row = _compare([BASE], [BASE + noise]).subgroups.set_index("subgroup").loc["age=old"]
    assert row["difference"] == pytest.approx(noise[:20].mean())
    assert row["p"] == pytest.approx(stats.wilcoxon(noise[:20]).pvalue)
    assert (row["improved"], row["worsened"]) == ((noise[:20] > 0).sum(), (noise[:20] < 0).sum())
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert row["q"] >= row["p"]


def test_interval_of_a_subgroups_difference_is_bca():
    change = np.random.default_rng(4).exponential(0.1, N) ** 2  # skewed: the acceleration moves the ends
    found = _compare([BASE], [BASE + change]).subgroups.set_index("subgroup").loc["age=old"]
    old = np.arange(N) < 20
    weights = np.random.default_rng(OPTIONS.subgroups.seed).standard_exponential((400, N))
    replicates = np.array([np.average(change[old], weights=row[old]) for row in weights])
    without = np.array([change[old & (np.arange(N) != case)].mean() for case in range(N)])
    deviations = without.mean() - without
    acceleration = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)
    bias = stats.norm.ppf((replicates < change[old].mean()).mean())
    squares = (change[old] - change[old].mean()) ** 2
    n_cases = min(20, 3 * squares.sum() ** 2 / (squares**2).sum())  # the spread of few and skewed values is not known
    z = bias + stats.t.ppf([0.025, 0.975], n_cases - 1) * np.sqrt((n_cases + 1) / (n_cases - 1))
    expected = np.quantile(replicates, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    assert acceleration > 0.05
    assert (found["difference_low"], found["difference_high"]) == pytest.approx(tuple(expected), rel=1e-9)


def test_several_seeds_are_averaged_and_widen_the_interval():
    shifts = np.array([0.0, 0.1, 0.2])
    found = _compare([BASE], [BASE + shift for shift in shifts])
    difference, low, high = found.difference.row("mean_dsc")
    assert difference == pytest.approx(0.1)
    assert low < 0.06 and high > 0.14
    assert found.subgroups["difference"][0] == pytest.approx(0.1)


def test_what_a_pair_of_seeds_shares_cancels():
    of_the_seed = np.array([0.0, 0.1, 0.2])
    a, b = [BASE + shift for shift in of_the_seed], [BASE + shift + 0.03 for shift in of_the_seed]
    difference, low, high = _compare(a, b, paired_seeds=True).difference.row("mean_dsc")
    assert (difference, low, high) == pytest.approx((0.03, 0.03, 0.03))
    _, low, high = _compare(a, b).difference.row("mean_dsc")
    assert low < 0 < high


def test_pairs_need_as_many_seeds_on_both_sides():
    with pytest.raises(UserError, match="A has 1, B 2"):
        _compare([BASE], [BASE, BASE], paired_seeds=True)


@pytest.mark.parametrize("n_seeds", [2, 3, 5, 10])
def test_seed_weights_give_the_variance_of_a_mean(n_seeds):
    values = np.random.default_rng(n_seeds).normal(size=n_seeds)
    weights = seed_weights(n_seeds, 40_000, np.random.default_rng(0))
    assert weights.sum(axis=1) == pytest.approx(np.ones(40_000))
    assert np.var(weights @ values) == pytest.approx(values.var(ddof=1) / n_seeds, rel=0.05)


def test_one_seed_does_not_vary():
    assert np.array_equal(seed_weights(1, 5, np.random.default_rng(0)), np.ones((5, 1)))


@pytest.mark.parametrize(("differences", "p"), [(np.zeros(9), 1.0), (np.array([0.1]), np.nan)], ids=["equal", "one"])
def test_signed_rank_without_information(differences, p):
    assert signed_rank_p(differences) == pytest.approx(p, nan_ok=True)


@pytest.mark.parametrize(
    ("old", "young", "verdict", "share"),
    [
        (0.10, 0.0, LEVELLED_UP, 1.0),
        (0.0, -0.10, LEVELLED_DOWN, 0.0),
        (0.06, -0.04, MIXED, 0.6),
        (-0.1, 0.0, WIDENED, np.nan),
        (0.05, 0.05, UNCHANGED, np.nan),
    ],
)
def test_audit_says_where_the_gap_went(old, young, verdict, share):
    comparison = _compare([BASE], [_shifted(old, young)])
    audit = levelling_audit(comparison)
    row = audit[(audit["variable"] == "age") & (audit["metric"] == "dsc")].iloc[0]
    assert row["verdict"] == verdict
    assert row["gap_change"] == pytest.approx(young - old, abs=1e-12)
    assert row["worst_change"] == pytest.approx(old) and row["best_change"] == pytest.approx(young)
    assert row["share_from_worst_rising"] == pytest.approx(share, nan_ok=True)
    assert "age" in row["sentence"] and overall_sentence(comparison, audit).startswith("B ")


def test_levelling_down_is_named_in_plain_words():
    comparison = _compare([BASE], [_shifted(0.0, -0.1)])
    sentence = overall_sentence(comparison, levelling_audit(comparison))
    assert overall_sentence(comparison, levelling_audit(comparison), "FairDiv").startswith("FairDiv narrowed")
    assert "levelling down" in sentence and "lowering the best groups" in sentence


def test_norm_hd_counts_with_its_sign_turned():
    a, b = _frame(BASE), _frame(BASE)
    a.loc[INDEX[:20], "norm_hd"] = 0.5
    b.loc[INDEX[:20], "norm_hd"] = 0.3
    comparison = compare_scores(pair_scores([a], [b]), GROUPS, OPTIONS)
    audit = levelling_audit(comparison).set_index(["variable", "metric"]).loc[("age", "norm_hd")]
    assert (audit["gap_a"], audit["gap_b"]) == pytest.approx((0.4, 0.2))
    assert audit["worst_change"] == pytest.approx(0.2) and audit["verdict"] == LEVELLED_UP


def test_groups_too_small_to_decide_are_not_audited():
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=50, min_group=25))
    comparison = compare_scores(pair_scores([_frame(BASE)], [_frame(BASE)]), GROUPS, options)
    assert set(levelling_audit(comparison)["variable"]) == {"site"}
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=50, min_group=50))
    comparison = compare_scores(pair_scores([_frame(BASE)], [_frame(BASE)]), GROUPS, options)
    audit = levelling_audit(comparison)
    assert audit.empty and "nothing can be said" in overall_sentence(comparison, audit)


@pytest.mark.parametrize(
    ("gap", "worst", "best", "verdict"),
    [(-0.0015, 0.0008, -0.0007, LEVELLED_UP), (-0.0015, 0.0007, -0.0008, LEVELLED_DOWN), (0.0009, 0, 0, UNCHANGED)],
)
def test_verdict_of_small_changes(gap, worst, best, verdict):
    assert levelling_verdict(gap, worst, best) == verdict
