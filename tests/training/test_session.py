"""The fairness side of a training, without a network."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from nnunet_fair.errors import UserError
from nnunet_fair.subgroups.shortfalls import AveragedSearch
from nnunet_fair.training.attribute_table import read_metadata
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.method import ON_LOSS, FairMethod
from nnunet_fair.training.search import LowestSearch
from nnunet_fair.training.session import FairSession

TRAIN, VAL = ["t0", "t1", "t2", "t3"], ["v0", "v1"]
METADATA = pd.DataFrame({"g": ["x", "x", "y", "y", "x", "y"]}, index=[*TRAIN, *VAL], dtype=object)


PLAIN = replace(ON_LOSS, search=LowestSearch, min_cases=2, alpha=0.5, smoothing=0.0)


def session(
    tmp_path, metadata=METADATA, n_classes: int = 1, present=None, method: FairMethod = PLAIN, **settings
) -> FairSession:
    lines = []
    made = FairSession(
        config=FairConfig(**{"strength": 4.0, "warmup_epochs": 1, "min_t": 0.0, **settings}),
        method=method,
        metadata=metadata,
        train_ids=TRAIN,
        val_ids=VAL,
        present=pd.DataFrame(True, index=[*TRAIN, *VAL], columns=range(n_classes)),
        folder=tmp_path,
        log=lines.append,
    )
    made.lines = lines
    return made


def score(made: FairSession, dsc: dict[str, float]) -> None:
    for case_id, value in dsc.items():
        for _ in range(2):
            made.add_patches([case_id], np.array([[value * 100]]), np.array([[200]]))


SCORES = {"t0": 0.2, "t1": 0.2, "t2": 0.6, "t3": 0.6}
# mean 0.4, Δ(x) = −0.2, σ = 0.2: w = min(5, 1 + 4) = 5 for x and 1 for y, divided by 3


def test_weights_of_a_refresh_by_hand(tmp_path):
    made = session(tmp_path)
    made.begin(0)
    score(made, SCORES)
    assert made.begin_step(["t0", "t2"]) is None  # before the first refresh
    assert made.end_epoch(1, 10)
    assert made.weights.by_case() == pytest.approx({"t0": 5 / 3, "t1": 5 / 3, "t2": 1 / 3, "t3": 1 / 3})
    assert made.begin_step(["t2", "t0"]) == pytest.approx([0.5 + 0.5 / 3, 0.5 + 2.5 / 3])


def test_smoothing_keeps_a_share_of_the_former_weights(tmp_path):
    made = session(tmp_path, method=replace(PLAIN, smoothing=0.75))
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    once = {"t0": 0.75 + 0.25 * 5 / 3, "t2": 0.75 + 0.25 / 3}
    assert {case_id: made.weights.by_case()[case_id] for case_id in once} == pytest.approx(once)
    made.end_epoch(2, 10)
    assert made.weights.by_case()["t0"] == pytest.approx(0.75 * once["t0"] + 0.25 * 5 / 3)
    assert made.weights.values.mean() == pytest.approx(1.0)
    written = pd.read_csv(tmp_path / "fair_weights.csv").set_index("case_id")["weight"]
    assert written.to_dict() == pytest.approx(made.weights.by_case())  # what acts, not what the refresh found


def test_the_loaders_draw_by_the_weights(tmp_path):
    made = session(tmp_path, method=replace(PLAIN, on_loss=False, on_sampling=True))
    made.begin(0)
    assert made.identifiers.probabilities == pytest.approx([1 / 4] * 4)
    score(made, SCORES)
    made.end_epoch(1, 10)
    assert made.begin_step(["t0", "t2"]) is None
    assert made.identifiers.probabilities == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])  # ½ + ½·5/3 against ½ + ½·⅓


def test_a_step_is_clipped_by_the_weights_of_its_batch(tmp_path):
    made = session(tmp_path, method=replace(PLAIN, alpha=0.0))
    made.begin(0)
    made.set_weights(made.weights.of({"t0": 5.0}))
    parameter = torch.nn.Parameter(torch.zeros(1))
    for batch, norm in ((["t0", "t1"], 6.0), (["t1", "t2"], 2.0)):
        made.begin_step(batch)
        parameter.grad = torch.tensor([norm])
        made.clip([parameter])
    made.clipping.end_epoch()
    assert made.clipping.state() == pytest.approx([2.0, 2.0])  # 6 for a mean weight of 3, and 2 for one of 1
    made.begin_step(["t0", "t1"])
    parameter.grad = torch.tensor([6.0])
    made.clip([parameter])
    assert parameter.grad.item() == pytest.approx(2.0)


def test_without_a_limit_no_step_is_clipped(tmp_path):
    made = session(tmp_path, max_gradient=None)
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.tensor([1e6])
    made.clip([parameter])
    assert made.clipping is None
    assert parameter.grad.item() == 1e6


def test_before_the_warm_up_and_after_the_last_epoch_nothing_is_renewed(tmp_path):
    made = session(tmp_path, warmup_epochs=3)
    made.begin(0)
    score(made, SCORES)
    assert [made.end_epoch(epoch, 5) for epoch in (1, 2, 3, 4, 5)] == [False, False, True, True, False]


def test_a_session_is_saved_and_continued(tmp_path):
    made = session(tmp_path, method=replace(PLAIN, on_loss=False, on_sampling=True))
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    made.before_checkpoint("checkpoint_latest.pth", 1)
    made.after_checkpoint("checkpoint_latest.pth", 1)
    again = session(tmp_path, method=replace(PLAIN, on_loss=False, on_sampling=True))
    again.begin(1)
    assert again.weights.by_case() == made.weights.by_case()
    assert again.identifiers.probabilities == pytest.approx(made.identifiers.probabilities)
    for one in (made, again):
        score(one, {"t0": 0.9})
        one.end_epoch(2, 10)
    assert again.weights.by_case() == made.weights.by_case()


def test_the_log_counts_cases_without_metadata(tmp_path):
    made = session(tmp_path, metadata=METADATA.drop("t1"))
    assert "1 of 4 training cases without metadata (neutral weight)" in made.lines[0]


def test_the_log_names_the_lowest_subgroups_but_no_case(tmp_path):
    made = session(tmp_path)
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    text = "\n".join(made.lines)
    assert "g=x (n = 2, DSC 0.200, divergence -0.200" in text
    assert not any(case_id in text for case_id in TRAIN)
    assert not any(case_id in repr(made) for case_id in TRAIN)


def test_the_log_names_the_most_probable_subgroup(tmp_path):
    made = session(tmp_path, method=replace(PLAIN, search=AveragedSearch))
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    text = "\n".join(made.lines)
    assert "most probably disadvantaged:" in text
    assert "g=x (n = 2, DSC 0.200, divergence -0.200" in text and "probability 1.00" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("case_id\na\n", "no attribute column"),
        ("case_id,g\na,x\na,y\n", "occurs more than once"),
        ("", "cannot be read"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path, content, said):
    path = tmp_path / "fair_cases.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        read_metadata(path)
