"""What the levelling-down audit says, and when it says that a change may be chance."""

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.comparison.levelling import (
    LEVELLED_UP,
    levelling_audit,
    levelling_sentence,
    overall_sentence,
)
from nnunet_fair.evaluation.comparison.paired_differences import compare_scores, pair_scores
from nnunet_fair.evaluation.scores.analysis import AnalysisOptions
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.subgroups.search import SubgroupOptions

INDEX = pd.Index([f"c{i:02d}" for i in range(60)])
GROUPS = CaseGroups(pd.DataFrame({"age": ["old"] * 20 + ["young"] * 40}, INDEX, dtype=object), ("age",), False, ())
OLD = np.arange(60) < 20


def compare(change_of_old: np.ndarray):
    """A model against itself with the DSC of the older cases changed; they are the worst group in both."""
    before = np.where(OLD, 0.5, 0.8)
    after = before.copy()
    after[OLD] += change_of_old
    frames = [pd.DataFrame({"dsc": dsc, "norm_hd": 0.1}, INDEX) for dsc in (before, after)]
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=400))
    return compare_scores(pair_scores(frames[:1], frames[1:]), GROUPS, options)


@pytest.mark.parametrize(
    ("low", "high", "could_be_chance"),
    [(-0.15, 0.02, True), (-0.15, -0.05, False), (0.01, 0.2, False), (-0.15, 0.0, True), (0.0, 0.2, True)],
)
def test_a_gap_whose_interval_includes_0_may_be_chance(low, high, could_be_chance):
    said = levelling_sentence("age", "dsc", (0.3, 0.2), (-0.1, low, high), 0.1, 0.0, LEVELLED_UP)
    assert said.startswith("The DSC gap of age went from 0.300 to 0.200: it shrank because the worst group rose")
    assert ("could be chance" in said) is could_be_chance


def test_one_sentence_on_every_gap_tells_chance_from_change():
    # +0.4 for five of twenty older cases and −0.3 for another five: +0.025 on average, with a wide interval
    noisy = compare(np.repeat([0.4, -0.3, 0.0], (5, 5, 10)))
    _, low, high = noisy.difference.row("mean_deciding_gap_dsc")
    assert low < 0 < high
    said = overall_sentence(noisy, levelling_audit(noisy))
    assert (
        said.startswith("B narrowed the gaps by lifting the worst groups") and "), which could be chance, the" in said
    )
    certain = compare(np.full(20, 0.1))
    assert "chance" not in overall_sentence(certain, levelling_audit(certain))


def test_a_gap_that_did_not_change_is_not_called_chance():
    same = compare(np.repeat([0.2, -0.2], 10))
    _, low, high = same.difference.row("mean_deciding_gap_dsc")
    assert low < 0 < high
    said = overall_sentence(same, levelling_audit(same))
    assert said.startswith("B left the gaps as they were") and "chance" not in said
