from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.scores.analysis import AnalysisOptions, analyse
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.false_positives import false_positive_values, policy_sentence
from nnunet_fair.subgroups.options import SubgroupOptions

N = 40
INDEX = pd.Index([f"c{i:02d}" for i in range(N)])
HEALTHY = np.arange(N) % 2 == 1
"""Every second case: half of either site, and all of the group ``healthy``."""
INVENTED = np.isin(np.arange(N), [1, 3, 5, 7, 21])
"""Four of the ten healthy cases of site s, one of the ten of site t."""
GROUPS = CaseGroups(
    pd.DataFrame(
        {"site": ["s"] * 20 + ["t"] * 20, "kind": np.where(HEALTHY, "healthy", "tumour")}, INDEX, dtype=object
    ),
    ("site", "kind"),
    False,
    (),
)
OPTIONS = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=300))


def _cases(*, both_empty: float = 0.0, invented: np.ndarray = INVENTED) -> pd.DataFrame:
    """DSC 0.9 on site s and 0.8 on site t where there is a tumour; healthy cases right unless invented."""
    dsc = np.where(np.arange(N) < 20, 0.9, 0.8)
    return pd.DataFrame(
        {
            "dsc": np.where(HEALTHY, np.where(invented, 0.0, both_empty), dsc),
            "norm_hd": np.where(HEALTHY & invented, 1.0, 0.0),
            "hd95_mm": np.where(HEALTHY & invented, np.inf, 0.0),
            "volume_reference_mm3": np.where(HEALTHY, 0.0, 1000.0),
            "volume_prediction_mm3": np.where(HEALTHY, np.where(invented, 300.0, 0.0), 900.0),
            "lesions_prediction": np.where(HEALTHY, np.where(invented, 2, 0), 1),
            "status": "scored",
            "problem": "",
        },
        INDEX,
    )


def _analysis(policy: EmptyMaskPolicy = EmptyMaskPolicy.CHALLENGE, **options):
    return analyse(_cases(**options), GROUPS, OPTIONS, policy=policy)


def test_false_positives_of_every_group_by_hand():
    table = _analysis().false_positives.set_index("subgroup")
    assert table["n"].to_dict() == {"all": 20, "site=s": 10, "site=t": 10, "kind=healthy": 20} | {
        name: n for name, n in table["n"].items() if ", " in name
    }
    assert table.loc["site=s", ["false_positive_rate", "false_lesions", "false_volume_mm3"]].tolist() == [0.4, 0.8, 120]
    assert table.loc["site=t", "false_positive_rate"] == 0.1 and table.loc["all", "false_positive_rate"] == 0.25
    assert (
        0 < table.loc["site=s", "false_positive_rate_low"] < 0.4 < table.loc["site=s", "false_positive_rate_high"] < 1
    )
    assert table.loc["site=s", "decides"]


def test_groups_are_compared_on_the_cases_that_hold_the_structure():
    result = _analysis()
    table = result.subgroups.set_index("subgroup")
    assert "kind=healthy" not in table.index and table.loc["all", "n"] == 20
    assert table.loc["site=t", "mean_dsc"] == pytest.approx(0.8) and table["failures"].sum() == 0
    beyond = result.beyond.set_index("variable")
    assert list(beyond.index) == ["site"] and beyond.loc["site", "gap_dsc"] == pytest.approx(0.1)
    assert result.intervals.row("worst_group_dsc")[0] == pytest.approx(0.8)
    assert result.intervals.row("deciding_gap_dsc:site")[0] == pytest.approx(0.1)
    assert result.intervals.row("mean_deciding_gap_dsc")[0] == pytest.approx(0.1)  # kind has one group to compare


@pytest.mark.parametrize(("policy", "both_empty"), [(EmptyMaskPolicy.CHALLENGE, 0.0), (EmptyMaskPolicy.PERFECT, 1.0)])
def test_the_score_counts_every_case_as_the_policy_says(policy, both_empty):
    result = _analysis(policy, both_empty=both_empty)
    assert result.score.mean_dsc == pytest.approx((10 * 0.9 + 10 * 0.8 + 15 * both_empty) / 40)
    assert result.warnings[0].startswith(f"20 of 40 cases have an empty reference. By the policy '{policy.value}'")


def test_a_perfect_model_on_healthy_patients_is_no_worst_group():
    from nnunet_fair.evaluation.reports.evaluation_report import worst_group

    result = _analysis(invented=np.zeros(N, bool))
    assert result.score.by_variable["kind"].gap_dsc == pytest.approx(
        0.85
    )  # the challenge's own score, by its definition
    assert worst_group(result)["subgroup"] == "site=t"
    assert result.false_positives["false_positive_rate"].max() == 0


def test_two_empty_masks_that_the_policy_leaves_out_are_still_counted_as_right():
    cases = _cases(both_empty=np.nan)
    result = analyse(cases, GROUPS, OPTIONS, policy=EmptyMaskPolicy.EXCLUDE)
    assert result.score.n_cases == 25
    assert result.false_positives["n"][0] == 20 and result.false_positives["false_positive_rate"][0] == 0.25


def test_where_every_reference_holds_the_structure_nothing_is_different():
    cases = _cases()[~HEALTHY]
    result = analyse(cases, GROUPS, OPTIONS)
    assert result.false_positives.empty and result.n_empty == 0 and result.present is result.cohort
    assert not any("empty reference" in sentence for sentence in result.warnings)


def test_volumes_that_were_not_measured_say_nothing_of_empty_references():
    cases = _cases().drop(columns="volume_reference_mm3")
    assert ScoredCohort.of(cases, GROUPS.frame).present.all()
    assert false_positive_values(cases).empty
    assert false_positive_values(_cases()[["dsc"]]).empty


def test_a_policy_that_is_not_known_is_not_named():
    assert "as they were scored" in policy_sentence(2, 9, None)
