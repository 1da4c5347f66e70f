"""A small cohort whose names try to be HTML."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.scores.analysis import Analysis, analyse
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.options import SubgroupOptions

IDS = ["p<1>", "p2", "p3", "p4", "p5", "p6"]
HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="session")
def analysis() -> Analysis:
    """Six cases in the attributes ``a=b`` and ``site``; the reference of p4 is empty."""
    cases = pd.DataFrame(
        {
            "dsc": [0.5, 0.7, 0.123456789, 0.9, 0.0, 0.25],
            "norm_hd": [0.1, 0.2, 0.3, 0.1, 1.0, 0.4],
            "hd95_mm": [1.0, 2.0, 3.0, 1.0, np.inf, np.nan],
            "volume_reference_mm3": [1000.0, 2000.0, 500.0, 0.0, 250.0, 1.0],
            "volume_prediction_mm3": 900.0,
            "lesions_false": 0,
            "status": "scored",
            "problem": "",
        },
        IDS,
    )
    groups = pd.DataFrame({"a=b": ["x=1", "x=1", "y", "y", "y", None], "site": [HOSTILE] * 3 + ["s"] * 3}, IDS)
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=50, min_group=2, max_items=1))
    return analyse(cases, CaseGroups(groups.astype(object), ("a=b",), False, ()), options)
