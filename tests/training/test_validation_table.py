"""The subgroup table of the final validation."""

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.subgroups.options import SubgroupOptions
from nnunet_fair.training.validation_summary import ClassScores
from nnunet_fair.training.validation_table import COLUMNS, validation_table

OPTIONS = SubgroupOptions(n_resamples=200)


def scores(dsc: dict, wrong: dict | None = None) -> ClassScores:
    frames = [pd.DataFrame.from_dict(table or {}, orient="index", dtype=float) for table in (dsc, wrong)]
    return ClassScores(frames[0], frames[1] if wrong else frames[0] * np.nan)


def test_table_by_hand():
    of_cases = scores({"a": [0.2], "b": [0.4], "c": [0.9], "d": [np.nan]})
    metadata = pd.DataFrame({"sex": {"a": "f", "b": "f", "c": "m", "d": "m", "other": "x"}}, dtype=object)
    table = validation_table(of_cases, metadata, ["tumor"], OPTIONS)
    assert list(table.columns) == list(COLUMNS)
    assert set(table["class"]) == {"tumor"}
    table = table.set_index("subgroup")
    assert table["n"].to_dict() == {"sex=f": 2, "sex=m": 1}
    assert table["mean_score"].to_dict() == pytest.approx({"sex=f": 0.3, "sex=m": 0.9})
    assert table["divergence"].to_dict() == pytest.approx({"sex=f": -0.2, "sex=m": 0.4})
    assert 0.2 <= table.loc["sex=f", "low"] <= 0.3 <= table.loc["sex=f", "high"] <= 0.4
    assert np.isnan(table.loc["sex=m", "low"])  # one case has no interval
    assert table["n_without"].tolist() == [0, 0] and table["false_positive_share"].isna().all()


def test_a_healthy_group_is_asked_for_false_voxels_and_has_no_dsc():
    of_cases = scores(
        {"a": [0.4], "b": [0.6], "h": [np.nan], "i": [np.nan]}, {"a": [np.nan], "b": [np.nan], "h": [1], "i": [0]}
    )
    metadata = pd.DataFrame({"site": {"a": "clinic", "b": "clinic", "h": "screening", "i": "screening"}}, dtype=object)
    table = validation_table(of_cases, metadata, ["tumor"], OPTIONS).set_index("subgroup")
    assert table.loc["site=clinic", ["n", "n_without"]].tolist() == [2, 0]
    assert table.loc["site=clinic", "mean_score"] == pytest.approx(0.5)
    assert table.loc["site=screening", ["n", "n_without", "false_positive_share"]].tolist() == [0, 2, 0.5]
    assert np.isnan(table.loc["site=screening", "mean_score"])
    assert np.isnan(table.loc["site=screening", "divergence"])


def test_every_class_and_their_mean():
    of_cases = scores(
        {"a": [0.2, 0.6], "b": [0.4, np.nan], "c": [np.nan, np.nan]},
        {"a": [np.nan, np.nan], "b": [np.nan, 1], "c": [0, 1]},
    )
    metadata = pd.DataFrame({"sex": dict.fromkeys("abc", "f")}, dtype=object)
    table = validation_table(of_cases, metadata, ["organ", "cyst"], OPTIONS).set_index("class")
    assert list(table.index) == ["mean", "organ", "cyst"]
    assert table["mean_score"].tolist() == pytest.approx([0.4, 0.3, 0.6])
    assert table["n"].tolist() == [2, 2, 1]
    assert table["n_without"].tolist() == [1, 1, 2]  # "c" has nothing; neither "b" nor "c" has a cyst
    assert table["false_positive_share"].tolist() == pytest.approx([1.0, 0.0, 1.0])


def test_no_group_at_all():
    table = validation_table(
        scores({"a": [0.1], "b": [0.2]}), pd.DataFrame({"sex": {"a": np.nan}}, dtype=object), ["t"]
    )
    assert len(table) == 0
    assert list(table.columns) == list(COLUMNS)
