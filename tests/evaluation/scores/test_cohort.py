from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.subgroups.options import SubgroupOptions

CASES = pd.DataFrame(
    {"dsc": [0.1, np.nan, 0.3, 0.4, 0.5], "norm_hd": [0.0, 0.0, np.nan, 0.2, 0.3]}, ["patient_a", "b", "c", "d", "e"]
)
GROUPS = pd.DataFrame(
    {"sex": ["f", "f", "m", "m"], "site": ["s", "s", "s", None]}, ["d", "patient_a", "e", "x"], dtype=object
)


def test_cases_without_a_score_are_left_out_and_groups_follow_the_case_ids():
    cohort = ScoredCohort.of(CASES, GROUPS, ["sex"], SubgroupOptions(min_group=2, min_support=0.5))
    assert list(cohort.cases.index) == ["patient_a", "d", "e"] and len(cohort) == 3
    assert cohort.dsc.tolist() == [0.1, 0.4, 0.5] and cohort.norm_hd.tolist() == [0.0, 0.2, 0.3]
    (sex,) = cohort.groups.memberships
    assert sex.names == ("f", "m") and sex.membership.tolist() == [[True, False], [True, False], [False, True]]


def test_subgroups_are_the_whole_cohort_every_group_and_the_combinations():
    columns = ScoredCohort.of(CASES, GROUPS, options=SubgroupOptions(min_group=2)).groups.subgroup_columns()
    rows = columns.set_index("subgroup")[["kind", "attributes", "n", "decides"]].T.to_dict("list")
    assert rows == {
        "all": ["all", "", 3, True],
        "sex=f": ["group", "sex", 2, True],
        "sex=m": ["group", "sex", 1, False],
        "site=s": ["group", "site", 3, True],
        "sex=f, site=s": ["combination", "sex × site", 2, True],
    }
    assert columns["reason"].tolist() == ["", "", "fewer than 2 cases: shown, decides nothing", "", ""]


def test_its_text_names_no_case():
    assert "patient_a" not in repr(ScoredCohort.of(CASES, GROUPS))
