"""Response prediction as a mixin for nnU-Net trainers: a head that learns the outcome while the network segments.

``class MyTrainer(ResponsePrediction, AnyTrainer)`` trains as ``AnyTrainer`` does, and the head beside it. The class
still builds nnU-Net's own network, so that every command that loads a checkpoint finds a plain nnU-Net; the head joins
it on the trainer, where it learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._dynamo import OptimizedModule

from nnunet_fair.errors import UserError
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.joint.loss import contains_lesion, mean_over_ranks, response_losses
from nnunet_fair.training.joint.network import JointNetwork
from nnunet_fair.training.joint.outcomes import Outcomes, read_outcomes
from nnunet_fair.training.method import FairMethod
from nnunet_fair.training.run import in_one_sentence, sum_over_ranks

HEAD_KEY = "response_head"
"""Of the checkpoint's ``optimizer_state``: the head's weights, beside the momentum the optimiser keeps of them."""

if TYPE_CHECKING:  # what the mixin stands before: nnU-Net's trainer or a subclass of it
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer as _Host
else:
    _Host = object


class ResponsePrediction(_Host):
    """Mixin: adds the response head, its loss and its state.

    With the setting ``response_weight`` 0 it adds nothing at all. Put it before the trainer it extends.

    Attributes:
        fair_method: see ``DivergenceWeighting``; it says which settings have a meaning.
        fair_config: the settings in force, set when the trainer is initialised.
        joint_network: the network with its head; None without a head.
        outcomes: of the fold's training cases while training, else None; prediction and validation need none.
    """

    fair_method: FairMethod
    fair_config: FairConfig
    network: Any
    joint_network: JointNetwork | None = None
    outcomes: Outcomes | None = None
    _batch_outcomes: Tensor | None = None
    _epoch_losses: tuple[Tensor, ...] = ()

    def initialize(self) -> None:
        """As nnU-Net's, after reading the settings."""
        with in_one_sentence():
            self.fair_config = self.fair_method.settings(self.plans_manager.plans, type(self).__name__)
            super().initialize()

    def configure_optimizers(self):
        """As nnU-Net's, of the network and its head: from here on they are one network, for nnU-Net and for DDP."""
        if self.fair_config.response_weight > 0:
            compiled = isinstance(self.network, OptimizedModule)
            joint = JointNetwork(self.network._orig_mod if compiled else self.network).to(self.device)
            self.joint_network = joint
            self.network = torch.compile(joint) if compiled else joint
        optimizer, scheduler = super().configure_optimizers()
        _keep_head(optimizer, self.joint_network)
        return optimizer, scheduler

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """As nnU-Net's, with the head's weights."""
        with in_one_sentence():
            super().load_checkpoint(filename_or_checkpoint)

    def _build_loss(self) -> Any:
        loss = super()._build_loss()
        if self.joint_network is not None:
            # A hook, so that the loss stays what the trainer below expects, and works with any.
            loss.register_forward_hook(self._with_response_loss)
        return loss

    def get_tr_and_val_datasets(self):
        """As nnU-Net's; the fold's cases are known from here on, so their outcomes are read."""
        dataset_tr, dataset_val = super().get_tr_and_val_datasets()
        if self.joint_network is not None:
            with in_one_sentence():
                self.outcomes = read_outcomes(
                    self.plans_manager.dataset_name, self.fair_config.response_column, dataset_tr.identifiers
                )
            self.joint_network.response_head.prevalence.fill_(self.outcomes.prevalence)
            self.print_to_log_file(
                f"nnunet-fair: {len(self.outcomes.by_case)} of {self.outcomes.n_cases} training cases have an outcome, "
                f"{self.outcomes.n_positive} of them 1; the others train the segmentation only"
            )
        return dataset_tr, dataset_val

    def train_step(self, batch: dict) -> dict:
        """As nnU-Net's, with the outcomes of the batch's cases."""
        if self.outcomes is not None:
            self._batch_outcomes = torch.tensor(self.outcomes.of(batch["keys"]), device=self.device)
        try:
            return super().train_step(batch)
        finally:
            self._batch_outcomes = None

    def _with_response_loss(self, loss: nn.Module, args: tuple[Any, ...], segmentation: Tensor) -> Tensor:
        """What a training step minimises; in a validation step the segmentation's loss, which compares with others."""
        if self._batch_outcomes is None or self.joint_network is None or self.outcomes is None:
            return segmentation
        logits = self.joint_network.response_logits
        if logits is None:
            raise RuntimeError("the network has seen no batch")
        target = args[1] if isinstance(args[1], Tensor) else args[1][0]
        lesion = contains_lesion(
            target, has_regions=self.label_manager.has_regions, ignore_label=self.label_manager.ignore_label
        )
        total, n_patches = response_losses(logits, self._batch_outcomes, lesion, self.outcomes.pos_weight)
        self._epoch_losses += (torch.stack([total.detach(), n_patches.to(total.dtype)]),)
        weight = self.fair_config.response_weight_at(self.current_epoch, self.num_epochs)
        return segmentation + weight * mean_over_ranks(total, n_patches, is_ddp=self.is_ddp)

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """As nnU-Net's; then the epoch's response loss is told."""
        super().on_train_epoch_end(train_outputs)
        if self.joint_network is None:
            return
        sums = torch.stack(self._epoch_losses).sum(0).cpu().numpy() if self._epoch_losses else np.zeros(2)
        self._epoch_losses = ()
        total, n_patches = sum_over_ranks(sums, is_ddp=self.is_ddp)
        if n_patches == 0:
            self.print_to_log_file("nnunet-fair: no patch of the epoch held a lesion of a case with an outcome")
            return
        weight = self.fair_config.response_weight_at(self.current_epoch, self.num_epochs)
        self.print_to_log_file(
            f"nnunet-fair: response loss {total / n_patches:.4f} over {int(n_patches)} patches with a lesion and an "
            f"outcome, weight {weight:.3g}"
        )
        for logger in self.logger.loggers:  # nnU-Net's own takes its own eight keys only
            logger.log("fair/response_loss", float(total / n_patches), self.current_epoch)


def _keep_head(optimizer: torch.optim.Optimizer, network: JointNetwork | None) -> None:
    """Let the head's weights travel with the optimiser's state, in one file that is there whole or not at all.

    Args:
        optimizer: nnU-Net's.
        network: the network with the head; None where there is none, and none may be in a state that is loaded.
    """

    def save(_: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        if network is not None:
            state[HEAD_KEY] = network.response_head.state_dict()

    def load(_: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        head = state.pop(HEAD_KEY, None)
        if (head is None) != (network is None):
            was, now = ("without", "with") if head is None else ("with", "without")
            raise UserError(
                f"the checkpoint was trained {was} a response head, and the plans ask for one {now}: set "
                '"response_weight" in the plans as it was, or start anew (nnUNetv2_train without --c)'
            )
        if network is not None:
            network.response_head.load_state_dict(head)

    optimizer.register_state_dict_post_hook(save)
    optimizer.register_load_state_dict_pre_hook(load)
