"""Divergence weighting as a mixin for nnU-Net trainers.

``class MyTrainer(DivergenceWeighting, AnyNnUNetTrainer)`` trains as ``AnyNnUNetTrainer`` does, with case weights from
subgroup divergence. Only hooks that nnU-Net's trainer already has are overridden, each calls the trainer's own, and
none of its code is repeated.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from nnunet_fair.errors import UserError
from nnunet_fair.files import check_space, remove_leftovers, sync
from nnunet_fair.locks import folder_lock
from nnunet_fair.metadata.fair_cases import find_fair_cases
from nnunet_fair.processes import undone
from nnunet_fair.training.attribute_table import chosen_attributes, read_metadata
from nnunet_fair.training.case_scores import case_overlap
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import Refresh
from nnunet_fair.training.losses import CaseWeightedLoss, case_weighted
from nnunet_fair.training.method import ON_LOSS, FairMethod
from nnunet_fair.training.present_classes import foreground_names, present_classes
from nnunet_fair.training.run import in_one_sentence, sum_over_ranks
from nnunet_fair.training.session import FairSession
from nnunet_fair.training.state import last_state
from nnunet_fair.training.validation_table import VALIDATION_TABLE, write_validation_table

_UNFINISHED = ".tmp"  # what a checkpoint's name ends in while it is written

if TYPE_CHECKING:  # what the mixin stands before: nnU-Net's trainer or a subclass of it
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer as _Host
else:
    _Host = object


@contextmanager
def _as_file_error(path: Path) -> Iterator[None]:
    """Name the checkpoint where it cannot be written; torch says so by a ``RuntimeError`` of its zip writer."""
    try:
        yield
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error) and "inline_container" not in str(error):
            raise
        check_space(path.parent, path)
        raise OSError(errno.EIO, str(error).splitlines()[0], str(path)) from error
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(path), None
        raise


class DivergenceWeighting(_Host):
    """Mixin: finds subgroups that do worse than average while training and weights their cases to lift them.

    Put it before the trainer it extends. It adds no constructor, because nnU-Net reads the constructor's signature.

    Attributes:
        fair_method: where weights act and how they are found; a trainer's name stands for it.
        fair_config: the settings in force, set when the trainer is initialised.
        fair_session: the fold's session while training, else None; prediction and validation need no metadata.
        former_trainer: does what the trainer of this name did before a state noted where its weights act; None where
            that never changed.
        session_class: the session's class.
    """

    fair_method: FairMethod = ON_LOSS
    former_trainer: ClassVar[type[DivergenceWeighting] | None] = None
    session_class: ClassVar[type[FairSession]] = FairSession
    fair_config: FairConfig
    fair_session: FairSession | None = None

    def initialize(self) -> None:
        """As nnU-Net's, after reading the settings."""
        with in_one_sentence():
            self.fair_config = self.fair_method.settings(self.plans_manager.plans, type(self).__name__)
        super().initialize()

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """As nnU-Net's; a training that a former version of this trainer began goes on as what it was then."""
        former = None if self.was_initialized else self.former_trainer
        state = None if former is None else last_state(Path(self.output_folder))
        if former is not None and state is not None:
            begun, name = state.acts_on or former.fair_method.acts_on, type(self).__name__
            if begun == former.fair_method.acts_on != self.fair_method.acts_on:
                self.fair_method = former.fair_method
                self.print_to_log_file(
                    f"nnunet-fair: this training was begun with weights on {begun}, as {name} of a former version did; "
                    f"it goes on as {former.__name__} of this one"
                )
        super().load_checkpoint(filename_or_checkpoint)

    def configure_optimizers(self):
        """As nnU-Net's; where the settings ask for it each step's gradient is clipped further than nnU-Net does."""
        optimizer, scheduler = super().configure_optimizers()
        optimizer.register_step_pre_hook(lambda *_: self._session().clip(self.network.parameters()))
        return optimizer, scheduler

    def run_training(self) -> None:
        """As nnU-Net's, with no other training in the fold's folder meanwhile."""
        folder = Path(self.output_folder)
        with in_one_sentence(folder), folder_lock(folder, renewed=True) if self.local_rank == 0 else nullcontext():
            if self.local_rank == 0:
                remove_leftovers(folder)
                for unfinished in folder.glob(f"checkpoint_*.pth{_UNFINISHED}"):
                    unfinished.unlink()
            super().run_training()

    def _session(self) -> FairSession:
        """The session, which every step of a training has."""
        if self.fair_session is None:
            raise RuntimeError("the training has not started")
        return self.fair_session

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """As nnU-Net's; then the norms of the epoch's gradients are told, by which ``max_gradient`` is judged."""
        super().on_train_epoch_end(train_outputs)
        clipping = self._session().clipping
        if clipping is None:
            return
        steps = clipping.end_epoch(self._sum_over_ranks)
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
        return CaseWeightedLoss(stock, case_weighted(stock) if self.fair_method.on_loss else None)

    def get_tr_and_val_datasets(self):
        """As nnU-Net's; the fold's cases are known from here on, so the session starts here."""
        dataset_tr, dataset_val = super().get_tr_and_val_datasets()
        if self.fold == "all":
            self.print_to_log_file(
                "nnunet-fair: fold all trains and validates on the same cases; divergences and validation scores are "
                "those of training cases"
            )
        if self.fair_config.warmup(self.num_epochs) >= self.num_epochs:
            self.print_to_log_file(
                f"nnunet-fair: the warm-up is as long as the training ({self.num_epochs} epochs): no weight will act"
            )
        with in_one_sentence():
            self.fair_session = self.session_class(
                config=self.fair_config,
                method=self.fair_method,
                metadata=read_metadata(find_fair_cases(self.plans_manager.dataset_name)),
                train_ids=dataset_tr.identifiers,
                val_ids=dataset_val.identifiers,
                present=present_classes((dataset_tr, dataset_val), self.label_manager),
                folder=Path(self.output_folder),
                log=self.print_to_log_file,
                writes=self.local_rank == 0,
            )
            self.fair_session.begin(self.current_epoch)
        if self.fair_method.on_sampling:
            dataset_tr.identifiers = self.fair_session.identifiers
        return dataset_tr, dataset_val

    def train_step(self, batch: dict) -> dict:
        """As nnU-Net's, with the weights of the batch's cases, which are scored on the way."""
        weights = self._session().begin_step(batch["keys"])
        self.loss.weights = None if weights is None else torch.tensor(weights, device=self.device)
        try:
            return self._scored(super().train_step, batch)
        finally:
            self.loss.weights = None

    def _scored(self, step: Callable[[dict], dict], batch: dict) -> dict:
        """Do nnU-Net's step and add what it segmented to the scores of the batch's cases."""
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
            self._session().add_patches(batch["keys"], intersection.cpu().numpy(), total.cpu().numpy())
        return result

    def on_epoch_end(self) -> None:
        """Renew the weights, then as nnU-Net's: its checkpoints go with the weights of the epoch to come."""
        session = self._session()
        renewed = session.end_epoch(self.current_epoch + 1, self.num_epochs, self._sum_over_ranks)
        if renewed and session.last_refresh is not None:
            self._log_to_experiment_trackers(session.last_refresh)
        super().on_epoch_end()

    def _sum_over_ranks(self, counts: np.ndarray) -> np.ndarray:
        return sum_over_ranks(counts, is_ddp=self.is_ddp)

    def _log_to_experiment_trackers(self, refresh: Refresh) -> None:
        # nnU-Net's local logger accepts its own eight keys only; further loggers (W&B) take any
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
        self.fair_session.before_checkpoint(name, next_epoch)
        temporary, path = Path(f"{filename}{_UNFINISHED}"), Path(filename)
        with undone(lambda: temporary.unlink(missing_ok=True)), _as_file_error(path):
            super().save_checkpoint(str(temporary))
            check_space(temporary, path)
            sync(temporary)
            temporary.replace(path)
        sync(path.parent)
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
            class_names=foreground_names(self.dataset_json["labels"], self.label_manager),
        )
        self.print_to_log_file(f"nnunet-fair: subgroups of the validation: {folder / VALIDATION_TABLE}")

    def on_train_end(self) -> None:
        """As nnU-Net's, which removes checkpoint_latest.pth; its state goes too."""
        super().on_train_end()
        self._session().finish()
        if self.local_rank == 0 and not (Path(self.output_folder) / "checkpoint_latest.pth").exists():
            self._session().after_checkpoint("checkpoint_latest.pth", None)
