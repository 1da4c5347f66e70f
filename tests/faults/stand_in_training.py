"""A training with the real mixin, session, state, records and checkpoint files, and no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.divergence_weighting import DivergenceWeighting
from nnunet_fair.training.method import ON_LOSS
from nnunet_fair.training.search import LowestSearch
from nnunet_fair.training.session import FairSession

CASES = [f"t{number}" for number in range(8)]
EPOCHS = 4
LATEST, FINAL = "checkpoint_latest.pth", "checkpoint_final.pth"


class Host:
    """Stands where nnU-Net's trainer does: its loop, its checkpoints, and a number for its network."""

    local_rank, disable_checkpointing, is_ddp = 0, False, False
    num_epochs, current_epoch = EPOCHS, 0

    def __init__(self, folder: Path) -> None:
        self.output_folder = str(folder)
        self.weights = 1.0
        self.logger = SimpleNamespace(loggers=[])

    def print_to_log_file(self, *words: object) -> None:
        print(*words)

    def run_training(self) -> None:
        for epoch in range(self.current_epoch, self.num_epochs):
            self.current_epoch = epoch
            self.epoch()
            self.on_epoch_end()
        self.on_train_end()

    def on_epoch_end(self) -> None:
        self.save_checkpoint(str(Path(self.output_folder, LATEST)))
        self.current_epoch += 1

    def save_checkpoint(self, filename: str) -> None:
        torch.save({"weights": self.weights, "current_epoch": self.current_epoch + 1}, filename)

    def on_train_end(self) -> None:
        self.current_epoch -= 1
        self.save_checkpoint(str(Path(self.output_folder, FINAL)))
        Path(self.output_folder, LATEST).unlink(missing_ok=True)


class Training(DivergenceWeighting, Host):
    """Eight cases in two groups, one of which does worse."""

    fair_method = replace(ON_LOSS, search=LowestSearch, min_cases=2, alpha=0.5, smoothing=0.5)

    def start(self) -> None:
        folder = Path(self.output_folder)
        there = [folder / name for name in (FINAL, LATEST) if (folder / name).is_file()]  # in nnU-Net's order
        if there:
            checkpoint = torch.load(there[0], weights_only=True)
            self.weights, self.current_epoch = checkpoint["weights"], checkpoint["current_epoch"]
        groups = pd.DataFrame({"site": ["A", "B"] * 4, "age": ["old"] * 4 + ["young"] * 4}, index=CASES, dtype=object)
        self.fair_session = FairSession(
            config=FairConfig(warmup_epochs=1, min_t=0.0),
            method=self.fair_method,
            metadata=groups,
            train_ids=CASES,
            val_ids=[],
            present=pd.DataFrame(True, index=CASES, columns=[0]),
            folder=folder,
            log=self.print_to_log_file,
        )
        self.fair_session.records.plot = lambda: None  # takes longer than all the rest
        self.fair_session.begin(self.current_epoch)

    def epoch(self) -> None:
        session = self.fair_session
        for number, case in enumerate(CASES):
            dsc = 40 + 10 * (number % 2) + (7 * number + 3 * self.current_epoch) % 11
            session.add_patches([case], np.array([[dsc]]), np.array([[200]]))
        self.weights += sum(session.begin_step(CASES) or [0.0])


def train(arguments: list[str]) -> int:
    """``nnUNetv2_train --c`` in an existing folder."""
    training = Training(Path(arguments[0]))
    training.start()
    training.run_training()
    return 0
