"""The study's trainers: the public ones, shortened, with their scores kept."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks.effect.references import GroupDRO, InverseFrequency, Oracle
from nnunet_fair.training import trainer as public
from nnunet_fair.training.divergence_weighting import DivergenceWeighting
from nnunet_fair.training.length import TrainerOfLength
from studies.real.cohorts import Cohort
from studies.real.methods import DRO_STEP, ORACLE_FACTOR, Method
from studies.real.scale import Scale
from studies.small_lesions.trainers import with_candidate


class Watched(DivergenceWeighting, TrainerOfLength):
    """Put before a public trainer: the study's length, and what the trainer knew and did epoch by epoch.

    Attributes:
        method: what is trained.
        scale: how long.
        cohort: of which patients; only the oracle asks.
        seen_scores: running score of every scored case, by epoch.
        seen_weights: weight of every training case, by epoch.
    """

    method: Method
    scale: Scale
    cohort: Cohort
    seen_scores: list[pd.Series]
    seen_weights: list[dict[str, float]]

    def initialize(self) -> None:
        """As the trainer's, with the study's length, and mirrored predictions where it wants them."""
        self.seen_scores, self.seen_weights = [], []
        self.num_epochs = self.scale.epochs or self.num_epochs
        self.num_iterations_per_epoch = self.scale.iterations or self.num_iterations_per_epoch
        self.num_val_iterations_per_epoch = self.scale.val_iterations or self.num_val_iterations_per_epoch
        self.initial_lr = (self.scale.learning_rate or self.initial_lr) * self.method.learning_rate
        self.disable_checkpointing = not self.scale.checkpoints
        super().initialize()
        if not self.scale.mirror_predictions:
            self.inference_allowed_mirroring_axes = None

    def configure_optimizers(self):
        """As nnU-Net's, with the momentum studied."""
        optimizer, scheduler = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["momentum"] = self.method.momentum
        return optimizer, scheduler

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):  # noqa: N802 (nnU-Net's name)
        """As nnU-Net's, which sets the axes predictions are mirrored over anew."""
        found = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        if not self.scale.mirror_predictions:
            self.inference_allowed_mirroring_axes = None
        return found

    def get_tr_and_val_datasets(self):
        """As the trainer's, with the reference rule in place of the finder where there is one."""
        datasets = super().get_tr_and_val_datasets()
        session = self._session()
        if not self.scale.checkpoints:  # pictures nobody looks at take longer than an epoch
            session.records.plot = lambda: None  # type: ignore[method-assign]
            self.logger.plot_progress_png = lambda folder: None
        reference = reference_rule(self.method, self.cohort, session.finder.train_cases)
        if reference is not None:
            session.finder = reference
        return datasets

    def on_epoch_end(self) -> None:
        """As the trainer's; then what it knows and does is kept."""
        super().on_epoch_end()
        self.seen_scores.append(self._session().scores)
        self.seen_weights.append(self._session().weights.by_case())


def study_trainer(method: Method, scale: Scale, cohort: Cohort) -> type[Watched]:
    """The public trainer of a method, watched, over what the method changes of nnU-Net; it keeps its name."""
    base: type = getattr(public, method.trainer)
    chosen = {} if method.fair is None else {"fair_method": method.fair}
    watched = type(base.__name__, (Watched, base), {"method": method, "scale": scale, "cohort": cohort, **chosen})
    return with_candidate(watched, method.candidate)


def reference_rule(method: Method, cohort: Cohort, train_cases: pd.DataFrame) -> Any:
    """What stands in the finder's place; None for the trainer's own.

    Args:
        method: what is trained.
        cohort: of which patients.
        train_cases: attribute table of the training cases, of shape (n_train, n_attributes).
    """
    if method.reference == "oracle":
        attribute, group = cohort.worst
        return Oracle(list(train_cases.index), set(train_cases.index[train_cases[attribute] == group]), ORACLE_FACTOR)
    if method.reference == "inverse":
        return InverseFrequency(train_cases)
    return GroupDRO(train_cases, DRO_STEP) if method.reference == "dro" else None
