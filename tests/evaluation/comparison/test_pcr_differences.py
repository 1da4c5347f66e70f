"""Two models of pCR on the same patients: differences by hand, by DeLong, by group, and who pays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from nnunet_fair.evaluation.comparison.levelling import LEVELLED_DOWN, LEVELLED_UP
from nnunet_fair.evaluation.comparison.pcr_differences import PcrPair, compare_pcr_predictions
from nnunet_fair.evaluation.scores.cohort import group_memberships
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.pcr_score import pcr_score
from nnunet_fair.subgroups.options import SubgroupOptions

OPTIONS = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=200, min_group=10))
N = 80
TRUTH = np.arange(N) % 2 == 0
FRAME = pd.DataFrame({"v": ["x"] * 40 + ["y"] * 40, "tiny": ["s"] * 77 + ["t"] * 3})


def wrong(*cases):
    """Decisions that are right but for these cases."""
    return TRUTH ^ np.isin(np.arange(N), cases)


def compared(decision_a, decision_b, value_a=None, value_b=None):
    nothing = np.full(N, np.nan)
    values = tuple(nothing if value is None else value for value in (value_a, value_b))
    memberships = group_memberships(FRAME, FRAME.index, ["v", "tiny"])
    return compare_pcr_predictions(
        PcrPair(TRUTH, (decision_a, decision_b), values), memberships[:1], memberships, OPTIONS
    )


def test_decisions_by_hand():
    # A: 8 of x wrong (4 of each outcome), none of y; B: 4 of x (2 of each), 2 of y (1 of each)
    a, b = wrong(*range(8)), wrong(*range(4), 40, 41)
    found = compared(a, b)
    assert found.auc is None and found.n_cases == N
    assert (found.only_a, found.only_b) == (2, 4)
    # 6 disagreements, 2 and 4: 2 (C(6,0) + C(6,1) + C(6,2)) / 64
    assert found.p_decisions == pytest.approx(2 * 22 / 64)
    row = found.statistics.loc["balanced_accuracy"]
    assert row[["a", "b", "difference"]].tolist() == pytest.approx([0.9, 74 / 80, 0.025])
    assert row["low"] < 0.025 < row["high"]
    index = [str(i) for i in range(N)]
    for side, decision in (("a", a), ("b", b)):
        score = pcr_score(pd.Series(TRUTH, index), pd.Series(decision, index), FRAME[["v"]].set_axis(index))
        for name in ("fairness_disparity", "ranking"):
            assert found.statistics.loc[name, side] == pytest.approx(getattr(score, name))
    groups = found.groups.set_index("group")
    assert groups.loc["x", "balanced_accuracy_difference"] == pytest.approx(0.9 - 0.8)
    assert groups.loc["y", "balanced_accuracy_difference"] == pytest.approx(0.95 - 1.0)
    audit = found.audit.iloc[0]
    assert (audit["variable"], audit["metric"]) == ("v", "balanced_accuracy")
    assert audit[["gap_a", "gap_b", "worst_change", "best_change"]].tolist() == pytest.approx([0.2, 0.05, 0.1, -0.05])
    assert "The balanced-accuracy gap of v went from 0.200 to 0.050" in audit["sentence"]
    assert len(found.audit) == 1  # the group of three decides nothing


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (wrong(*range(8)), wrong(*range(4)), LEVELLED_UP),
        (wrong(*range(8)), wrong(*range(8), *range(40, 44)), LEVELLED_DOWN),
    ],
)
def test_who_pays_for_a_smaller_gap(a, b, verdict):
    assert compared(a, b).audit["verdict"].tolist() == [verdict]


def test_probabilities_are_compared_where_both_have_one():
    rng = np.random.default_rng(3)
    a, b = (np.clip(0.5 + effect * (TRUTH - 0.5) + rng.normal(0, 0.25, N), 0, 1) for effect in (0.2, 0.5))
    b[5] = np.nan
    known = np.isfinite(b)
    found = compared(a > 0.5, b > 0.5, a, b)
    assert (found.auc.a, found.auc.b) == pytest.approx(
        (roc_auc_score(TRUTH[known], a[known]), roc_auc_score(TRUTH[known], b[known]))
    )
    brier = [brier_score_loss(TRUTH[known], value[known]) for value in (a, b)]
    assert found.statistics.loc["brier", ["a", "b"]].tolist() == pytest.approx(brier)
    inside = known & (FRAME["v"] == "x").to_numpy()
    row = found.groups.set_index("group").loc["x"]
    assert row["auc_difference"] == pytest.approx(
        roc_auc_score(TRUTH[inside], b[inside]) - roc_auc_score(TRUTH[inside], a[inside])
    )
    assert row["brier_difference"] == pytest.approx(
        brier_score_loss(TRUTH[inside], b[inside]) - brier_score_loss(TRUTH[inside], a[inside])
    )
    assert row["balanced_accuracy_a"] == pytest.approx(balanced_accuracy_score(TRUTH[:40], a[:40] > 0.5))
    assert row["auc_difference_low"] < row["auc_difference"] < row["auc_difference_high"]
    table = found.groups
    expected = stats.false_discovery_control(table["auc_p"].dropna())
    assert table["auc_q"].dropna().to_numpy() == pytest.approx(expected)


def test_a_group_without_an_outcome_has_no_difference():
    truth = TRUTH.copy()
    truth[77:] = False
    memberships = group_memberships(FRAME, FRAME.index, ["tiny"])
    values = (np.linspace(0.1, 0.9, N), np.linspace(0.9, 0.1, N))
    pair = PcrPair(truth, (values[0] > 0.5, values[1] > 0.5), values)
    found = compare_pcr_predictions(pair, memberships, memberships, OPTIONS)
    tiny = found.groups.set_index("group").loc["t"]
    assert tiny[["auc_a", "auc_difference", "auc_p", "auc_q", "balanced_accuracy_difference"]].isna().all()
    assert np.isfinite(tiny["brier_difference"])
    assert found.audit.empty
