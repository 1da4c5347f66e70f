"""Reading nnU-Net's summary of a validation."""

import json

import numpy as np
import pytest

from nnunet_fair.training.validation_summary import validation_scores


@pytest.fixture
def summary(tmp_path):
    cases = {"a": [0.2, 0.6], "b": [float("nan"), 0.5], "c": [float("nan"), float("nan")]}
    content = {
        "metric_per_case": [
            {"metrics": {"1": {"Dice": d[0]}, "(1, 2)": {"Dice": d[1]}}, "prediction_file": f"/somewhere/{name}.nii.gz"}
            for name, d in cases.items()
        ]
    }
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("score_class", "expected"),
    [(None, [0.4, 0.5, np.nan]), (0, [0.2, np.nan, np.nan]), (1, [0.6, 0.5, np.nan])],
)
def test_scores_by_case_id(summary, score_class, expected):
    scores = validation_scores(summary, ".nii.gz", score_class)
    assert list(scores.index) == ["a", "b", "c"]
    assert scores.tolist() == pytest.approx(expected, nan_ok=True)
