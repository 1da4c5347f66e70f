"""The study's trainer: the product's own, with its scores kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

import pandas as pd
import torch

from benchmarks.effect.methods import Method
from benchmarks.effect.variants import DiceTermOnly, EffectSession
from nnunet_fair.training.trainer import nnUNetTrainerFairDiv


class EffectTrainer(nnUNetTrainerFairDiv):
    """``nnUNetTrainerFairDiv`` that keeps what it knew and did, and may take a reference rule for its finder.

    Attributes:
        finder_for: gives the rule that stands in the finder's place, from the training cases' attribute table; None for
            the trainer's own.
        seen_scores: running score of every scored case by epoch.
        seen_weights: weight of every training case by epoch.
        gradient_norms: norm of every step's gradient before ``max_gradient``, as nnU-Net leaves it after its 12.
        studied: the method that is trained.
    """

    studied: Method
    finder_for: Callable[[pd.DataFrame], object | None]

    def study(self, method: Method) -> None:
        """Train with this method."""
        self.studied = method
        self.fair_method = method.fair
        self.session_class = partial(EffectSession, method)

    def configure_optimizers(self):
        """As nnU-Net's, with the momentum studied; steps less often where gradients are accumulated.

        Raises:
            NotImplementedError: gradients are accumulated in mixed precision, whose scaler would unscale them twice.
        """
        optimizer, scheduler = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["momentum"] = self.studied.momentum
        if self.studied.accumulated > 1:
            if self.grad_scaler is not None:
                raise NotImplementedError("accumulated gradients are studied on the CPU only")
            accumulate_gradients(optimizer, self.studied.accumulated)
        return optimizer, scheduler

    def _build_loss(self):
        loss = super()._build_loss()
        if self.studied.dice_only:
            loss.weighted.loss = DiceTermOnly(loss.stock.loss)
        return loss

    def get_tr_and_val_datasets(self):
        """As the trainer's, with the reference rule in place of the finder where there is one."""
        datasets = super().get_tr_and_val_datasets()
        self.seen_scores: list[pd.Series] = []
        self.gradient_norms: list[float] = []
        self.seen_weights: list[dict[str, float]] = []
        self.fair_session.records.plot = lambda: None  # takes longer than the epoch
        reference = self.finder_for(self.fair_session.finder.train_cases)
        if reference is not None:
            self.fair_session.finder = reference
        return datasets

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """As the trainer's, which forgets the epoch's gradients."""
        self.gradient_norms += map(float, self.fair_session.clipping.norms)
        super().on_train_epoch_end(train_outputs)

    def validation_step(self, batch: dict) -> dict:
        """As nnU-Net's; its cases are scored where the method asks for it."""
        if self.studied.score_cases == "train":
            return super().validation_step(batch)
        return self._scored(super().validation_step, batch)

    def on_epoch_end(self) -> None:
        """As the trainer's; then what it knows and does is kept."""
        super().on_epoch_end()
        self.seen_scores.append(self.fair_session.scores)
        self.seen_weights.append(self.fair_session.weights.by_case())


def accumulate_gradients(optimizer: torch.optim.Optimizer, batches: int) -> None:
    """Let an optimiser step once every so many calls, with the mean of the gradients since its last step.

    Args:
        optimizer: changed in place; its ``zero_grad`` then does nothing by itself.
        batches: calls of ``step`` for one real step.
    """
    step, zero_grad = optimizer.step, optimizer.zero_grad
    calls = count(1)

    def step_now_and_then():
        if next(calls) % batches == 0:
            for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
                if parameter.grad is not None:
                    parameter.grad /= batches
            step()
            zero_grad(set_to_none=True)

    optimizer.step = step_now_and_then
    optimizer.zero_grad = lambda set_to_none=True: None
