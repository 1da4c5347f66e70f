"""Two one-sided tests and what cannot be seen, against formulas written out anew."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.equivalence import (
    NO_SPREAD,
    TOO_FEW,
    equivalence_table,
    equivalence_test,
)
from nnunet_fair.metadata.audit.detectable_gap import smallest_gap
from nnunet_fair.subgroups.options import SubgroupOptions

RNG = np.random.default_rng(1)


def by_hand(a: np.ndarray, b: np.ndarray, margin: float) -> tuple[float, float, float]:
    """Welch's interval (90 %) and the larger p of the two one-sided tests."""
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    error, difference = np.sqrt(va + vb), a.mean() - b.mean()
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    t = stats.t(freedom)
    p = max(t.sf((difference + margin) / error), t.cdf((difference - margin) / error))
    return difference - t.ppf(0.95) * error, difference + t.ppf(0.95) * error, p


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.2])
def test_as_written_out(shift):
    a, b = RNG.normal(0.7, 0.1, 40), RNG.normal(0.7 - shift, 0.15, 60)
    found = equivalence_test(a, b, 0.1)
    assert (found.low, found.high, found.p) == pytest.approx(by_hand(a, b, 0.1))


def test_the_interval_decides_as_the_tests_do():
    for _ in range(200):
        a, b = RNG.normal(0.7, 0.1, 20), RNG.normal(0.68, 0.1, 25)
        found = equivalence_test(a, b, 0.08)
        assert (found.p < 0.05) == (found.low > -0.08 and found.high < 0.08)


def test_few_patients_are_never_equivalent_and_many_are():
    few, many = RNG.normal(0.7, 0.15, (2, 6)), RNG.normal(0.7, 0.15, (2, 4000))
    assert equivalence_test(*few, 0.05).p > 0.05
    assert equivalence_test(*many, 0.05).p < 0.05


def test_table_names_what_it_cannot_tell():
    index = [f"p{i}" for i in range(9)]
    cases = pd.DataFrame({"dsc": [0.5, 0.4] * 2 + [0.9, 0.8, 0.7, 0.6, 0.5], "norm_hd": 0.1}, index=index)
    frame = pd.DataFrame({"site": list("aabbccccd")}, index=index, dtype=object)
    table = equivalence_table(ScoredCohort.of(cases, frame, options=SubgroupOptions(min_group=2)), 0.05)
    table = table.set_index("subgroup")
    assert list(table.index) == ["site=a", "site=b", "site=c", "site=d"]
    assert table.loc["site=d", "note"] == TOO_FEW and not table.loc["site=d", "equivalent"]
    assert table.loc["site=c", "difference"] == pytest.approx(0.29)
    inside, others = cases["dsc"].to_numpy()[:2], cases["dsc"].to_numpy()[2:]
    pooled = np.sqrt((inside.var() * 2 + others.var() * 7) / 7)
    assert table.loc["site=a", "n_others"] == 7
    assert table.loc["site=a", "smallest_detectable"] == pytest.approx(smallest_gap(2, 7, pooled))


def test_scores_without_spread_are_not_called_equivalent():
    index = ["p0", "p1", "p2", "p3"]
    cases = pd.DataFrame({"dsc": 0.5, "norm_hd": 0.1}, index=index)
    frame = pd.DataFrame({"site": list("aabb")}, index=index, dtype=object)
    table = equivalence_table(ScoredCohort.of(cases, frame, options=SubgroupOptions(min_group=2)), 0.05)
    assert set(table["note"]) == {NO_SPREAD} and not table["equivalent"].any()


@pytest.mark.parametrize(("first", "margin"), [([0.5], 0.1), ([0.5, 0.6], 0.0)])
def test_impossible_questions_are_refused(first, margin):
    with pytest.raises(ValueError, match="two cases or more and a margin above 0"):
        equivalence_test(np.array(first), np.array([0.1, 0.2]), margin)
