from __future__ import annotations

import numpy as np
import pytest

from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_cases import METRICS, NOT_SCORED, score_cases
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.pairing import pair_cases


@pytest.fixture
def pairs(cohort):
    (cohort / "pred" / "CASE_003.nii.gz").write_bytes(b"broken")
    (cohort / "pred" / "CASE_007.nii.gz").unlink()
    return pair_cases(list_masks(cohort / "labels"), list_masks(cohort / "pred")).pairs


def test_two_processes_give_the_same_table(pairs):
    one = score_cases(pairs, ScoringOptions(), progress=False)
    two = score_cases(pairs, ScoringOptions(), n_processes=2, progress=False)
    assert one.equals(two) and list(one.index) == [pair.case_id for pair in pairs]


def test_a_bad_case_has_a_reason_and_no_metrics(pairs):
    table = score_cases(pairs, ScoringOptions(), progress=False)
    assert (table["status"] == NOT_SCORED).sum() == 1
    row = table.loc["CASE_003"]
    assert row[list(METRICS)].isna().all() and "CASE_003.nii.gz cannot be read" in row["problem"]
    assert table.loc["CASE_007", "dsc"] == 0.0 and np.isinf(table.loc["CASE_007", "hd95_mm"])
    assert (table["problem"].drop("CASE_003") == "").all()
