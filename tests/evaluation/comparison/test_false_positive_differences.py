from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.comparison.levelling import levelling_audit
from nnunet_fair.evaluation.comparison.paired_differences import compare_scores, pair_scores
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.options import SubgroupOptions

N = 40
INDEX = pd.Index([f"c{i:02d}" for i in range(N)])
HEALTHY = np.arange(N) % 2 == 1
SITE_S = np.arange(N) < 20
GROUPS = CaseGroups(pd.DataFrame({"site": np.where(SITE_S, "s", "t")}, INDEX, dtype=object), ("site",), False, ())
OPTIONS = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=300))


def _frame(invented: list[int], *, tumour: float, both_empty: float = 0.0) -> pd.DataFrame:
    false = np.isin(np.arange(N), invented)
    no_distance = HEALTHY & np.isnan(both_empty)
    return pd.DataFrame(
        {
            "dsc": np.where(HEALTHY, np.where(false, 0.0, both_empty), tumour - 0.1 * SITE_S),
            "norm_hd": np.where(HEALTHY & false, 1.0, np.where(no_distance, np.nan, 0.0)),
            "volume_reference_mm3": np.where(HEALTHY, 0.0, 500.0),
            "volume_prediction_mm3": np.where(HEALTHY, np.where(false, 250.0, 0.0), 500.0),
            "lesions_prediction": np.where(HEALTHY, np.where(false, 2, 0), 1),
        },
        INDEX,
    )


def _compare(a: list[pd.DataFrame], b: list[pd.DataFrame], **options):
    return compare_scores(pair_scores(a, b), GROUPS, OPTIONS, **options)


def test_both_questions_by_hand():
    found = _compare([_frame([1, 3, 5, 21], tumour=0.8)], [_frame([1], tumour=0.85)], policy=EmptyMaskPolicy.CHALLENGE)
    with_structure, without = found.subgroups.set_index("subgroup"), found.false_positives.set_index("subgroup")
    assert with_structure["n"].to_dict() == without["n"].to_dict() == {"all": 20, "site=s": 10, "site=t": 10}
    of_s = with_structure.loc["site=s", ["mean_dsc_a", "mean_dsc_b", "difference"]]
    assert of_s.tolist() == pytest.approx([0.7, 0.75, 0.05])
    row = without.loc["site=s"]
    assert (row["false_positive_rate_a"], row["false_positive_rate_b"]) == pytest.approx((0.3, 0.1))
    assert row["false_positive_rate_difference"] == pytest.approx(-0.2)
    assert row["false_positive_rate_low"] < -0.2 < row["false_positive_rate_high"] <= 0
    assert row["false_lesions_difference"] == pytest.approx(-0.4)
    assert row["false_volume_mm3_difference"] == pytest.approx(-50.0)
    assert without.loc["site=t", "false_positive_rate_b"] == 0
    assert found.sentences[0].startswith("20 of 40 cases have an empty reference. By the policy 'challenge'")


def test_healthy_cases_move_no_gap_and_no_worst_group():
    found = _compare([_frame([1, 3, 5], tumour=0.8)], [_frame([], tumour=0.8)])
    assert found.difference.row("worst_group_dsc")[0] == pytest.approx(0.0)
    assert found.a.row("worst_group_dsc")[0] == pytest.approx(0.7)
    assert levelling_audit(found)["verdict"].tolist() == ["gap unchanged", "gap unchanged"]
    assert found.difference.row("performance")[0] > 0  # the challenge's score, where the false lesions' distance counts


def test_seeds_are_averaged():
    found = _compare([_frame([1, 3], tumour=0.8)] * 2, [_frame([1], tumour=0.8), _frame([], tumour=0.8)])
    row = found.false_positives.set_index("subgroup").loc["all"]
    assert (row["false_positive_rate_a"], row["false_positive_rate_b"]) == pytest.approx((0.1, 0.025))


def test_cases_without_a_score_by_the_policy_are_compared_and_not_left_out():
    frames = [_frame(invented, tumour=0.8, both_empty=np.nan) for invented in ([1], [])]
    scores = pair_scores(frames[:1], frames[1:])
    assert scores.left_out == () and len(scores.case_ids) == 20
    assert _compare(frames[:1], frames[1:]).false_positives["n"].tolist() == [20, 10, 10]


def test_tables_without_volumes_have_no_second_question():
    frame = _frame([1], tumour=0.8)[["dsc", "norm_hd"]]
    found = _compare([frame], [frame])
    assert found.false_positives.empty and found.sentences == () and found.subgroups["n"][0] == N
