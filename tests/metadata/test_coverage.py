from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_fair.metadata.coverage import attribute_counts, coverage_lines, sparse_attributes

GROUPS = pd.DataFrame(
    {"sex": ["f", "f", "m", np.nan], "density": [np.nan, np.nan, np.nan, "d"], "none": [np.nan] * 4},
    index=list("abcd"),
    dtype=object,
)


def test_counts_by_hand():
    counts = attribute_counts(GROUPS)
    assert counts["n"].tolist() == [2, 1, 1, 1, 3, 4]
    assert counts["share"].tolist() == [0.5, 0.25, 0.25, 0.25, 0.75, 1.0]
    assert counts["group"].isna().tolist() == [False, False, True, False, True, True]


def test_sparse_attributes_by_share_present():
    assert sparse_attributes(GROUPS, 0.5) == {"density": 1, "none": 0}
    assert sparse_attributes(GROUPS, 0.25) == {"none": 0}


def test_report_names_sizes_sparse_attributes_and_small_groups():
    lines = coverage_lines(GROUPS, min_group=2)
    assert lines[:3] == ["sex: f 2, m 1; 1 missing", "density: d 1; 3 missing", "none: no value at all; 4 missing"]
    assert "density is known for only 1 of 4 cases (25%)" in lines[3]
    assert lines[-1].endswith("too small to matter: sex=m (1), density=d (1)")
    assert coverage_lines(GROUPS, min_group=1, min_present=0, only=["sex"]) == lines[:1]
