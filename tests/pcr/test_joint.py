"""From the heads' readings to probabilities: worked out by hand."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.pcr_cases import read_pcr_cases
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.pcr.joint import (
    TRAINING_CASES,
    UNSEEN,
    check_joint_table,
    joint_probability,
    joint_table,
    write_joint_table,
)
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.response import FoldReading, ResponseHeads
from nnunet_fair.training.joint.loss import SMOOTHING, response_losses

EVEN = {"0": 0.5, "1": 0.5}
BLIND = FoldReading(0, None)


def test_the_prevalence_is_put_back():
    # odds of 3 where both outcomes count the same; one in four has the outcome: odds of 3 · 1/3 = 1
    probability, decision = joint_probability({"0": FoldReading(10, math.log(3))}, {"0": 0.25})
    assert probability == pytest.approx(0.5, abs=1e-12) and decision
    # an even chance is the prevalence itself, and from there on it is a response
    probability, decision = joint_probability({"0": FoldReading(10, 0.0)}, {"0": 0.25})
    assert probability == pytest.approx(0.25, abs=1e-12) and decision
    assert not joint_probability({"0": FoldReading(10, -1e-9)}, {"0": 0.25})[1]


def test_it_is_what_the_loss_is_smallest_at():
    """With a response in 3 of 10 the logit that the weighted loss ends at gives 0.3, but for the smoothing."""
    outcomes, share = torch.tensor([1.0] * 3 + [0.0] * 7), 0.3
    logit = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit], max_iter=100, tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        total, n = response_losses(logit.expand(10), outcomes, torch.ones(10, dtype=torch.bool), (1 - share) / share)
        (total / n).backward()
        return total / n

    optimizer.step(closure)
    probability, _ = joint_probability({"0": FoldReading(1, logit.item())}, {"0": share})
    assert probability == pytest.approx(share * (1 - SMOOTHING) + SMOOTHING / 2, abs=1e-4)


def test_folds_are_averaged_as_logits_and_blind_ones_have_no_part():
    one, other = FoldReading(10, 1.0), FoldReading(999, -0.4)
    assert joint_probability({"0": one, "1": other}, EVEN)[0] == pytest.approx(1 / (1 + math.exp(-0.3)), abs=1e-12)
    assert joint_probability({"0": one, "1": BLIND}, EVEN)[0] == pytest.approx(1 / (1 + math.exp(-1.0)), abs=1e-12)
    # log odds of 0.2 and 0.5 are −ln 4 and 0: on average −ln 2
    assert joint_probability({"0": one, "1": BLIND}, {"0": 0.2, "1": 0.5})[0] == pytest.approx(
        1 / (1 + 2 * math.exp(-1.0)), abs=1e-12
    )
    assert joint_probability({"0": FoldReading(1, -800.0)}, EVEN)[0] == pytest.approx(0.0, abs=1e-300)


def test_without_a_lesion_nothing_is_known():
    assert joint_probability({"0": BLIND, "1": BLIND}, EVEN) is None


@pytest.fixture
def model():
    return TrainedModel(Path("Dataset901_T") / "T__P__3d", (0, 1), "checkpoint_final.pth", {}, {})


HEADS = ResponseHeads(({}, {}), (0.2, 0.5))
READINGS = {
    "B": {"0": FoldReading(5, 2.0), "1": FoldReading(7, 1.0)},
    "A": {"0": BLIND, "1": BLIND},
    "C": {"0": BLIND, "1": FoldReading(2, -3.0)},
}


def test_every_case_has_a_row_and_what_is_not_known_is_empty(model, tmp_path):
    table = joint_table(READINGS, model, HEADS, {"D": "has 1 channels, the model reads 2"})
    output = tmp_path / "new" / "response.csv"
    check_joint_table(output, model, overwrite=False)
    write_joint_table(output, table, model, HEADS, PredictorOptions(), cases=UNSEEN)
    lines = output.read_text().splitlines()
    assert lines[0] == "case_id,probability,prediction,note"
    assert lines[1] == 'A,,,"no lesion was predicted in any patch, so nothing is known of its response"'
    assert lines[2].startswith("B,0.69") and lines[2].endswith(",1,")  # 1 / (1 + 2·exp(−1.5))
    assert lines[3].startswith("C,0.02") and lines[3].endswith(",0,fold 0 predicted no lesion and has no part in it")
    assert lines[4] == 'D,,,"skipped: has 1 channels, the model reads 2"'
    record = json.loads((tmp_path / "new" / "response.json").read_text())
    assert record["threshold"] == pytest.approx(1 / 3, abs=1e-4)  # odds of 1 to 2
    assert (record["n_cases"], record["n_without_probability"], record["n_predicted_pcr"]) == (4, 2, 1)
    write_joint_table(output, table, model, HEADS, PredictorOptions(), cases=TRAINING_CASES)
    assert json.loads((tmp_path / "new" / "response.json").read_text())["threshold"] == {"0": 0.2, "1": 0.5}


def test_the_evaluation_takes_the_table(model, tmp_path):
    write_joint_table(
        tmp_path / "r.csv", joint_table(READINGS, model, HEADS, {}), model, HEADS, PredictorOptions(), cases=UNSEEN
    )
    (tmp_path / "table.csv").write_text("patient_id,pcr\nA,1\nB,1\nC,0\n")
    cases = read_pcr_cases(tmp_path / "r.csv", TableOptions(tmp_path / "table.csv"), missing="skip")
    assert cases.missing == ("A",)
    assert cases.decision.to_dict() == {"B": True, "C": False}
    assert cases.has_probabilities and cases.value["B"] == pytest.approx(1 / (1 + 2 * math.exp(-1.5)))


def test_tables_that_are_not_its_own_stay(model, tmp_path):
    mine = tmp_path / "mine.csv"
    pd.DataFrame({"case_id": ["A"], "age": [40]}).to_csv(mine, index=False)
    for output, message in ((tmp_path / "r.txt", r"does not end in \.csv"), (mine, "was not written by this command")):
        with pytest.raises(UserError, match=message):
            check_joint_table(output, model, overwrite=True)
    own = tmp_path / "r.csv"
    write_joint_table(own, joint_table(READINGS, model, HEADS, {}), model, HEADS, PredictorOptions(), cases=UNSEEN)
    with pytest.raises(UserError, match="`overwrite` replaces it"):
        check_joint_table(own, model, overwrite=False)
    check_joint_table(own, model, overwrite=True)
