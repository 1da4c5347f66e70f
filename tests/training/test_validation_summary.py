"""Reading nnU-Net's summary of a validation."""

import json

import numpy as np
import pytest

from nnunet_fair.training.validation_summary import class_scores, validation_scores

NAN = float("nan")
# (DSC, voxels in the reference, voxels predicted) of two classes, as nnU-Net writes them
CASES = {
    "a": [(0.2, 9, 4), (0.6, 9, 9)],
    "b": [(NAN, 0, 0), (0.5, 9, 9)],
    "c": [(NAN, 0, 0), (NAN, 0, 0)],
    "d": [(0.0, 0, 3), (0.5, 9, 9)],  # nnU-Net's 0 is one of a class the patient does not have
    "e": [(0.0, 9, 0), (0.0, 0, 1)],  # missed, and invented
    "f": [(0.0, 0, 3), (NAN, 0, 0)],
}


@pytest.fixture
def summary(tmp_path):
    keys = ("Dice", "n_ref", "n_pred")
    content = {
        "metric_per_case": [
            {
                "metrics": {
                    name: dict(zip(keys, counts, strict=True))
                    for name, counts in zip(("1", "(1, 2)"), classes, strict=True)
                },
                "prediction_file": f"/somewhere/{case_id}.nii.gz",
            }
            for case_id, classes in CASES.items()
        ]
    }
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(content))
    return path


def test_a_case_has_a_score_for_the_classes_its_reference_contains(summary):
    scores = class_scores(summary, ".nii.gz")
    assert list(scores.dsc.index) == list(CASES)
    assert scores.dsc[0].tolist() == pytest.approx([0.2, NAN, NAN, NAN, 0.0, NAN], nan_ok=True)
    assert scores.dsc[1].tolist() == pytest.approx([0.6, 0.5, NAN, 0.5, NAN, NAN], nan_ok=True)
    assert scores.mean_dsc().tolist() == pytest.approx([0.4, 0.5, NAN, 0.5, 0.0, NAN], nan_ok=True)
    assert validation_scores(summary, ".nii.gz").equals(scores.mean_dsc())


def test_false_voxels_are_asked_of_the_other_cases(summary):
    scores = class_scores(summary, ".nii.gz")
    assert scores.false_positive[0].tolist() == pytest.approx([NAN, 0, 0, 1, NAN, 1], nan_ok=True)
    assert scores.false_positive[1].tolist() == pytest.approx([NAN, NAN, 0, NAN, 1, 0], nan_ok=True)
    # of those that have no class at all
    assert scores.any_false_positive().tolist() == pytest.approx([NAN, NAN, 0, NAN, NAN, 1], nan_ok=True)
    assert not any(case_id in repr(scores).split("(")[1].split() for case_id in CASES)
    assert np.isfinite(scores.dsc).sum().sum() + np.isfinite(scores.false_positive).sum().sum() == 12
