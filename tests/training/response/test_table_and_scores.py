"""What networks say of cases as a table, and the score of an epoch."""

import math

import numpy as np
import pytest

from nnunet_fair.files import write_csv
from nnunet_fair.training.response.scores import patient_auc
from nnunet_fair.training.response.table import NetworkOutput, response_table


def test_networks_are_averaged_and_brought_back_to_the_share_of_responders(tmp_path):
    log_3, log_9 = math.log(3), math.log(9)
    table = response_table(
        {
            "c": [],
            # mean logit 0; odds of 1 to 3 and 1 to 1, so mean log odds -log(3) / 2
            "b": [NetworkOutput("fold_0", 2.0, 0.25), NetworkOutput("fold_1", -2.0, 0.5)],
            "a": [NetworkOutput("fold_1", -log_3, 0.25)],  # odds of 1 to 9
        }
    )
    write_csv(table, tmp_path / "table.csv")
    header, *lines = (line.split(",") for line in (tmp_path / "table.csv").read_text().splitlines())
    assert header == ["case_id", "probability", "prediction", "network", "note"]
    probabilities = [float(line.pop(1)) for line in lines[:2]]
    assert probabilities == pytest.approx([0.1, 1 / (1 + math.exp(log_9 / 4))])
    assert lines[:2] == [["a", "0", "fold_1", ""], ["b", "1", "fold_0+fold_1", ""]]
    assert lines[2] == ["c", "", "", "", "no lesion in the mask"]


def test_patients_count_and_not_patches():
    outcomes = {"a": 1.0, "b": 0.0, "c": 0.0, "not drawn": 1.0}
    # means: a 0.5, b 0.5 (a tie), c -1
    area, n_patients = patient_auc(["a", "b", "a", "c"], np.array([0.0, 0.5, 1.0, -1.0]), outcomes)
    assert (area, n_patients) == (0.75, 3)
    area, n_patients = patient_auc(["b", "c"], np.array([0.0, 1.0]), outcomes)
    assert math.isnan(area) and n_patients == 2
