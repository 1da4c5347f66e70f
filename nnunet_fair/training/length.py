"""nnU-Net's trainer with a length that a subclass names."""

from __future__ import annotations

from typing import ClassVar

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class TrainerOfLength(nnUNetTrainer):
    """nnU-Net's own trainer, but as long as the class says.

    The constructor's parameters are those of nnU-Net's trainer, which reads them from the signature.

    Attributes:
        epochs: length of the training in epochs; None for nnU-Net's own (1000).
        iterations: training iterations an epoch; None for nnU-Net's own (250).
        val_iterations: validation iterations an epoch; None for nnU-Net's own (50).
        learning_rate: initial learning rate; None for nnU-Net's own (0.01).
    """

    epochs: ClassVar[int | None] = None
    iterations: ClassVar[int | None] = None
    val_iterations: ClassVar[int | None] = None
    learning_rate: ClassVar[float | None] = None

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.epochs is not None:
            self.num_epochs = self.epochs
        if self.iterations is not None:
            self.num_iterations_per_epoch = self.iterations
        if self.val_iterations is not None:
            self.num_val_iterations_per_epoch = self.val_iterations
        if self.learning_rate is not None:
            self.initial_lr = self.learning_rate
