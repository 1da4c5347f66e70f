"""The subgroup table of the final validation."""

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.subgroups.options import SubgroupOptions
from nnunet_fair.training.validation_table import validation_table


def test_table_by_hand():
    scores = pd.Series({"a": 0.2, "b": 0.4, "c": 0.9, "d": np.nan})
    metadata = pd.DataFrame({"sex": {"a": "f", "b": "f", "c": "m", "d": "m", "other": "x"}}, dtype=object)
    table = validation_table(scores, metadata, SubgroupOptions(n_resamples=200)).set_index("subgroup")
    assert table["n"].to_dict() == {"sex=f": 2, "sex=m": 1}
    assert table["mean_score"].to_dict() == pytest.approx({"sex=f": 0.3, "sex=m": 0.9})
    assert table["divergence"].to_dict() == pytest.approx({"sex=f": -0.2, "sex=m": 0.4})
    assert 0.2 <= table.loc["sex=f", "low"] <= 0.3 <= table.loc["sex=f", "high"] <= 0.4
    assert np.isnan(table.loc["sex=m", "low"])  # one case has no interval


def test_no_group_at_all():
    table = validation_table(pd.Series({"a": 0.1, "b": 0.2}), pd.DataFrame({"sex": {"a": np.nan}}, dtype=object))
    assert len(table) == 0
