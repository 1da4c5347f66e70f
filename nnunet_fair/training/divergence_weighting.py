"""Divergence weighting as a mixin for nnU-Net trainers.

``class MyTrainer(DivergenceWeighting, AnyNnUNetTrainer)`` trains as ``AnyNnUNetTrainer`` does, with case weights from
subgroup divergence. Only hooks that nnU-Net's trainer already has are overridden, each calls the trainer's own, and
none of its code is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.fair_cases import find_fair_cases
from nnunet_fair.training.case_scores import case_overlap
from nnunet_fair.training.clipping import GradientClipping
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.losses import CaseWeightedLoss, case_weighted
from nnunet_fair.training.session import FairSession, chosen_attributes, read_metadata
from nnunet_fair.training.validation_table import VALIDATION_TABLE, write_validation_table


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """End the process with a user's mistake in one sentence, where ``nnUNetv2_train`` would print a traceback."""
    try:
        yield
    except UserError as error:
        raise SystemExit(f"nnunet-fair: {error}") from None


class DivergenceWeighting:
    """Mixin: finds subgroups that do worse than average while training and weights their cases to lift them.

    Put it before the trainer it extends. It adds no constructor, because nnU-Net reads the constructor's signature.

    Attributes:
        fair_defaults: settings in which a trainer class differs from :class:`FairConfig`'s defaults.
        fair_config: the settings in force, set when the trainer is initialised.
        fair_session: the fold's session while training, else None; prediction and validation need no metadata.
    """

    fair_defaults: ClassVar[Mapping[str, Any]] = {}
    fair_config: FairConfig
    fair_session: FairSession | None = None
    _clipping: GradientClipping | None = None
    _effective: list[float] | None = None

    def initialize(self) -> None:
        """As nnU-Net's, after reading the settings."""
        with _in_one_sentence():
            self.fair_config = FairConfig.from_plans(self.plans_manager.plans, **self.fair_defaults)
        super().initialize()

    def configure_optimizers(self):
        """As nnU-Net's; where the settings ask for it each step's gradient is clipped further than nnU-Net does."""
        optimizer, scheduler = super().configure_optimizers()
        if self.fair_config.clips:
            self._clipping = GradientClipping(self.fair_config.max_gradient)
            optimizer.register_step_pre_hook(self._clip_gradient)
        return optimizer, scheduler

    def _clip_gradient(self, *_) -> None:
        self._clipping.clip(self.network.parameters(), self._effective, neutral=self.fair_session.neutral_loss)

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """As nnU-Net's; then the norms of the epoch's gradients are told, by which ``max_gradient`` is judged."""
        super().on_train_epoch_end(train_outputs)
        if self._clipping is None:
            return
        steps = self._clipping.end_epoch(self._sum_over_ranks)
        finite = steps[np.isfinite(steps[:, 0])]
        if len(finite):
            median, high = np.quantile(finite[:, 0], (0.5, 0.9))
            norms, limits = finite.T
            cut = f"cut at {limits[-1]:.3g} in {(norms > limits).mean():.0%} of the steps"
            self.print_to_log_file(
                f"nnunet-fair: gradient norm {median:.3g} (median), {high:.3g} (90 %), "
                f"{cut if np.isfinite(limits[-1]) else 'not cut'}"
            )

    def _build_loss(self) -> CaseWeightedLoss:
        stock = super()._build_loss()
        if self.fair_config.act_on == "sampling":
            return CaseWeightedLoss(stock, None)
        return CaseWeightedLoss(stock, case_weighted(stock, self.fair_config.loss_terms))

    def get_tr_and_val_datasets(self):
        """As nnU-Net's; the fold's cases are known from here on, so the session starts here."""
        dataset_tr, dataset_val = super().get_tr_and_val_datasets()
        if self.fold == "all":
            self.print_to_log_file(
                "nnunet-fair: fold all trains and validates on the same cases; divergences and validation scores are "
                "those of training cases"
            )
        with _in_one_sentence():
            self.fair_session = FairSession(
                config=self.fair_config,
                metadata=read_metadata(find_fair_cases(self.plans_manager.dataset_name)),
                train_ids=dataset_tr.identifiers,
                val_ids=dataset_val.identifiers,
                n_classes=self._n_foreground(),
                folder=Path(self.output_folder),
                log=self.print_to_log_file,
                writes=self.local_rank == 0,
            )
            self.fair_session.begin(self.current_epoch)
        if self._clipping is not None:
            self._clipping.load_state(self.fair_session.former_norms)
        if self.fair_config.act_on != "loss":
            dataset_tr.identifiers = self.fair_session.identifiers
        return dataset_tr, dataset_val

    def _n_foreground(self) -> int:
        manager = self.label_manager
        return len(manager.foreground_regions if manager.has_regions else manager.foreground_labels)

    def train_step(self, batch: dict) -> dict:
        """As nnU-Net's, with the weights of the batch's cases, which are scored on the way."""
        effective = self.fair_session.effective_weights(batch["keys"])
        self._effective = effective
        self.loss.weights = None if effective is None else torch.tensor(effective, device=self.device)
        try:
            return self._scored(super().train_step, batch, training=True)
        finally:
            self.loss.weights = None

    def validation_step(self, batch: dict) -> dict:
        """As nnU-Net's; its cases are scored where the settings ask for it."""
        return self._scored(super().validation_step, batch, training=False)

    def _scored(self, step, batch: dict, *, training: bool) -> dict:
        if not self.fair_session.observes(training=training):
            return step(batch)
        counts: list[tuple[Tensor, Tensor]] = []
        self.loss.observer = lambda logits, target: counts.append(
            case_overlap(
                logits,
                target,
                has_regions=self.label_manager.has_regions,
                ignore_label=self.label_manager.ignore_label,
            )
        )
        try:
            result = step(batch)
        finally:
            self.loss.observer = None
        if not np.isfinite(result["loss"]).all():
            return result  # a step that went wrong says nothing about its cases
        # after the step, which has waited for the device already
        for intersection, total in counts:
            self.fair_session.add_patches(batch["keys"], intersection.cpu().numpy(), total.cpu().numpy())
        return result

    def on_epoch_end(self) -> None:
        """Renew the weights, then as nnU-Net's: its checkpoints go with the weights of the epoch to come."""
        if self.fair_session.end_epoch(self.current_epoch + 1, self.num_epochs, self._sum_over_ranks):
            self._log_to_experiment_trackers()
        super().on_epoch_end()

    def _sum_over_ranks(self, counts: np.ndarray) -> np.ndarray:
        if not self.is_ddp:
            return counts
        gathered: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(gathered, counts)
        return np.sum(gathered, axis=0)  # the same order, hence the same weights, on every rank

    def _log_to_experiment_trackers(self) -> None:
        # nnU-Net's local logger accepts its own eight keys only; further loggers (W&B) take any
        refresh = self.fair_session.last_refresh
        values = {"fair/weight_min": refresh.weights.min(), "fair/weight_max": refresh.weights.max()}
        if len(refresh.divergence):
            values["fair/worst_divergence"] = refresh.divergence["divergence"].min()
            values["fair/worst_mean_score"] = refresh.divergence["mean_score"].min()
        for logger in self.logger.loggers:
            for key, value in values.items():
                logger.log(key, float(value), self.current_epoch)

    def save_checkpoint(self, filename: str) -> None:
        """As nnU-Net's, but atomic, and with the session's state saved for the same epoch first."""
        if self.local_rank != 0 or self.disable_checkpointing or self.fair_session is None:
            super().save_checkpoint(filename)
            return
        name, next_epoch = Path(filename).name, self.current_epoch + 1
        norms = [] if self._clipping is None else self._clipping.state()
        self.fair_session.before_checkpoint(name, next_epoch, norms)
        temporary = f"{filename}.tmp"
        super().save_checkpoint(temporary)
        Path(temporary).replace(filename)
        self.fair_session.after_checkpoint(name, next_epoch)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """As nnU-Net's; then the subgroup table of its whole-case predictions, where there is metadata."""
        super().perform_actual_validation(save_probabilities)
        if self.local_rank != 0:
            return
        try:
            metadata = read_metadata(find_fair_cases(self.plans_manager.dataset_name))
            metadata = chosen_attributes(metadata, self.fair_config.attributes)
        except UserError as error:
            self.print_to_log_file(f"nnunet-fair: no subgroup table of the validation: {error}")
            return
        folder = Path(self.output_folder) / "validation"
        write_validation_table(
            folder,
            metadata,
            file_ending=self.dataset_json["file_ending"],
            score_class=self.fair_config.score_class,
        )
        self.print_to_log_file(f"nnunet-fair: subgroups of the validation: {folder / VALIDATION_TABLE}")

    def on_train_end(self) -> None:
        """As nnU-Net's, which removes checkpoint_latest.pth; its state goes too."""
        super().on_train_end()
        self.fair_session.finish()
        if self.local_rank == 0 and not (Path(self.output_folder) / "checkpoint_latest.pth").exists():
            self.fair_session.after_checkpoint("checkpoint_latest.pth", None)
