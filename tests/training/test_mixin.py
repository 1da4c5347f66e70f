"""The mixin's own part of a training, before a trainer that only writes down what it is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nnunet_fair.training.divergence_weighting import DivergenceWeighting

BATCH = {"keys": ["a", "b"], "data": None, "target": None}


class Host:
    """Stands where nnU-Net's trainer does."""

    local_rank, disable_checkpointing, current_epoch = 0, False, 4
    device = torch.device("cpu")
    label_manager = SimpleNamespace(has_regions=False, ignore_label=None)

    def __init__(self) -> None:
        self.loss = SimpleNamespace(weights=None, observer=None)
        self.told: list = []
        self.error: Exception | None = None

    def _step(self, name: str) -> dict:
        self.told.append((name, self.loss.weights, self.loss.observer is not None))
        if self.error is not None:
            raise self.error
        return {"loss": np.array(0.5)}

    def train_step(self, batch: dict) -> dict:
        return self._step("train")

    def validation_step(self, batch: dict) -> dict:
        return self._step("validation")

    def save_checkpoint(self, filename: str) -> None:
        self.told.append(("checkpoint", filename))
        if self.error is not None:
            raise self.error
        Path(filename).write_text("weights")


class Session:
    """Stands where the session does."""

    def __init__(self, told: list) -> None:
        self.told = told

    def begin_step(self, case_ids) -> list[float]:
        return [0.5, 1.5]

    def before_checkpoint(self, checkpoint: str, next_epoch: int) -> None:
        self.told.append(("state", checkpoint, next_epoch))

    def after_checkpoint(self, checkpoint: str, next_epoch: int | None) -> None:
        self.told.append(("older states dropped", checkpoint, next_epoch))


class Trainer(DivergenceWeighting, Host):
    """The mixin before the host."""


@pytest.fixture
def trainer() -> Trainer:
    made = Trainer()
    made.fair_session = Session(made.told)
    return made


def test_the_loss_is_weighted_in_a_training_step_and_at_no_other_time(trainer):
    trainer.train_step(BATCH)
    assert trainer.loss.weights is None
    trainer.validation_step(BATCH)
    (_, weights, observed), (_, in_validation, _) = trainer.told
    assert weights.tolist() == [0.5, 1.5]
    assert observed
    assert in_validation is None  # else the validation loss would be weighted


def test_a_step_that_fails_leaves_no_weights_behind(trainer):
    trainer.error = RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer.train_step(BATCH)
    assert trainer.loss.weights is None
    assert trainer.loss.observer is None


def test_the_state_is_there_before_its_checkpoint_and_the_older_one_until_after(trainer, tmp_path):
    path = str(tmp_path / "checkpoint_latest.pth")
    trainer.save_checkpoint(path)
    assert trainer.told == [
        ("state", "checkpoint_latest.pth", 5),
        ("checkpoint", f"{path}.tmp"),
        ("older states dropped", "checkpoint_latest.pth", 5),
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint_latest.pth"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_former_one_with_its_state(trainer, tmp_path):
    path = tmp_path / "checkpoint_latest.pth"
    path.write_text("former")
    trainer.error = OSError("no space left on device")
    with pytest.raises(OSError, match="no space left"):
        trainer.save_checkpoint(str(path))
    assert path.read_text() == "former"
    assert "older states dropped" not in [what for what, *_ in trainer.told]
