"""The study's trainer: the product's own, with its scores kept."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from nnunet_fair.training.trainer import nnUNetTrainerFairDiv


class EffectTrainer(nnUNetTrainerFairDiv):
    """``nnUNetTrainerFairDiv`` that keeps what it knew and did, and may take a reference rule for its finder.

    Attributes:
        finder_for: gives the rule that stands in the finder's place, from the training cases' attribute table; None for
            the trainer's own.
        seen_scores: running score of every scored case by epoch.
        seen_weights: weight of every training case by epoch.
    """

    finder_for: Callable[[pd.DataFrame], object | None]

    def get_tr_and_val_datasets(self):
        """As the trainer's, with the reference rule in place of the finder where there is one."""
        datasets = super().get_tr_and_val_datasets()
        self.seen_scores: list[pd.Series] = []
        self.seen_weights: list[dict[str, float]] = []
        self.fair_session.records.plot = lambda: None  # takes longer than the epoch
        reference = self.finder_for(self.fair_session.finder.train_cases)
        if reference is not None:
            self.fair_session.finder = reference
        return datasets

    def on_epoch_end(self) -> None:
        """As the trainer's; then what it knows and does is kept."""
        super().on_epoch_end()
        self.seen_scores.append(self.fair_session.scores)
        self.seen_weights.append(dict(self.fair_session.weights))
