"""What networks say of cases as a table, and the score of an epoch."""

import math

import numpy as np
import pytest

from nnunet_fair.files import write_csv
from nnunet_fair.training.response.scores import patient_auc
from nnunet_fair.training.response.table import NetworkOutput, response_table


def test_networks_are_averaged_and_decide_by_the_rate_they_were_trained_with(tmp_path):
    table = response_table(
        {
            "c": [],
            "b": [NetworkOutput("fold_0", 0.2, 0.25), NetworkOutput("fold_1", 0.4, 0.35)],
            "a": [NetworkOutput("fold_1", 0.29, 0.3)],
        }
    )
    write_csv(table, tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == "case_id,probability,prediction,network,note"
    assert lines[1] == "a,0.29,0,fold_1,"
    case_id, probability, *rest = lines[2].split(",")
    assert (case_id, float(probability), rest) == ("b", pytest.approx(0.3), ["1", "fold_0+fold_1", ""])
    assert lines[3] == "c,,,,no lesion in the mask"


def test_patients_count_and_not_patches():
    outcomes = {"a": 1.0, "b": 0.0, "c": 0.0, "not drawn": 1.0}
    # means: a 0.5, b 0.5 (a tie), c -1
    area, n_patients = patient_auc(["a", "b", "a", "c"], np.array([0.0, 0.5, 1.0, -1.0]), outcomes)
    assert (area, n_patients) == (0.75, 3)
    area, n_patients = patient_auc(["b", "c"], np.array([0.0, 1.0]), outcomes)
    assert math.isnan(area) and n_patients == 2
