"""nnU-Net's trainer as a trainer of a response classifier: its data, augmentation, folds and checkpoints, another task.

A training patch is nnU-Net's own with a voxel of the lesion in its middle. The loss is that of the response head of the
joint trainers, without its smoothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.utilities.collate_outputs import collate_outputs
from torch import Tensor, nn
from torch import distributed as dist
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.joint.loss import mean_over_ranks, response_losses
from nnunet_fair.training.joint.outcomes import Outcomes, read_outcomes
from nnunet_fair.training.length import TrainerOfLength
from nnunet_fair.training.method import FairMethod
from nnunet_fair.training.present_classes import present_classes
from nnunet_fair.training.response.network import ResponseNetwork, response_network
from nnunet_fair.training.response.patches import lesion_patch, lesion_voxels
from nnunet_fair.training.response.scores import patient_auc
from nnunet_fair.training.response.table import NetworkOutput, response_table
from nnunet_fair.training.run import in_one_sentence

RESPONSES = "response.csv"
"""In a fold's folder ``validation``: what its network says of the cases it did not train on."""

MAKES_NO_MASKS = (
    "trainers of response classifiers make no masks: their network has no decoder; for probabilities of a response use "
    "nnunet_fair pcr classify, for masks a model of a segmentation trainer"
)


class ResponseClassification(TrainerOfLength):
    """nnU-Net's trainer for one outcome a patient.

    Attributes:
        fair_method: says which settings have a meaning: ``response_column``.
        fair_config: the settings in force, set when the trainer is initialised.
        outcomes: of the fold's training cases that take part, None before training.
        val_outcomes: the same of the validation cases; they choose the best checkpoint and train nothing.
    """

    fair_method: FairMethod
    fair_config: FairConfig
    network: Any
    outcomes: Outcomes | None = None
    val_outcomes: Outcomes | None = None

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.weight_decay = 0.01
        self.oversample_foreground_percent = 1.0  # every patch has a voxel of the lesion in its middle

    def initialize(self) -> None:
        """As nnU-Net's, after reading the settings."""
        with in_one_sentence():
            self.fair_config = self.fair_method.settings(self.plans_manager.plans, type(self).__name__)
            if self.is_cascaded or len(self.configuration_manager.patch_size) != 3:
                raise UserError(
                    f"a response classifier needs a 3D configuration that no other one precedes, and "
                    f"{self.configuration_name} is {'a second stage' if self.is_cascaded else 'one of slices'}; train "
                    "3d_fullres or 3d_lowres"
                )
            super().initialize()

    @staticmethod
    def build_network_architecture(
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The encoder of the plans' network with a head.

        Raises:
            NotImplementedError: it is to predict masks. nnU-Net asks for a network without deep supervision then, and
                only then.
        """
        if not enable_deep_supervision:
            raise NotImplementedError(MAKES_NO_MASKS)
        return response_network(plans_manager, configuration_manager, num_input_channels, num_output_channels)

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Nothing: there is one output."""

    def _get_deep_supervision_scales(self) -> None:
        return None  # targets of one size, which are not looked at

    def configure_optimizers(self):
        """AdamW, with nnU-Net's schedule: steps of SGD at 0.01 would soon leave what the encoder was trained to."""
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def _build_loss(self) -> Any:
        return self._response_loss

    @property
    def classifier(self) -> ResponseNetwork:
        """The network itself, whatever is wrapped around it."""
        network: Any = self.network
        if isinstance(network, DistributedDataParallel):
            network = network.module
        if isinstance(network, OptimizedModule):
            network = network._orig_mod
        return network

    def get_tr_and_val_datasets(self):
        """As nnU-Net's, with the cases that have an outcome and a lesion only."""
        dataset_tr, dataset_val = super().get_tr_and_val_datasets()
        with in_one_sentence():
            present = present_classes([dataset_tr, dataset_val], self.label_manager)
            has_lesion = set(present.index[present.any(axis=1)])
            self.outcomes = self._keep(dataset_tr, has_lesion, "training cases", both=True)
            self.val_outcomes = self._keep(dataset_val, has_lesion, "validation cases", both=False)
        self.classifier.response_head.prevalence.fill_(self.outcomes.prevalence)
        return dataset_tr, dataset_val

    def _keep(self, dataset: Any, has_lesion: set[str], cases: str, *, both: bool) -> Outcomes:
        """Leave the cases in a dataset that take part; their outcomes."""
        case_ids = list(dataset.identifiers)
        with_lesion = [case_id for case_id in case_ids if case_id in has_lesion]
        outcomes = read_outcomes(
            self.plans_manager.dataset_name,
            self.fair_config.response_column,
            with_lesion,
            cases=f"{cases} with a lesion",
            both=both,
        )
        dataset.identifiers = [case_id for case_id in with_lesion if case_id in outcomes.by_case]
        if not dataset.identifiers:
            raise UserError(
                f"none of the fold's {len(case_ids)} {cases} has a lesion and an outcome in column "
                f"{self.fair_config.response_column!r}; complete the column, or use other folds (splits_final.json)"
            )
        self.print_to_log_file(
            f"nnunet-fair: {len(dataset.identifiers)} of {len(case_ids)} {cases} take part, {outcomes.n_positive} of "
            f"them with the outcome 1; {len(case_ids) - len(with_lesion)} have no lesion, "
            f"{len(with_lesion) - len(dataset.identifiers)} others no outcome"
        )
        return outcomes

    def train_step(self, batch: dict) -> dict:
        """As nnU-Net's, with the outcomes of the batch's cases in place of masks."""
        if self.outcomes is None:
            raise RuntimeError("the outcomes have not been read")
        return super().train_step({**batch, "target": torch.tensor(self.outcomes.of(batch["keys"]))})

    def _response_loss(self, logits: Tensor, outcomes: Tensor) -> Tensor:
        total, n_patches = self._losses(logits, outcomes)
        return mean_over_ranks(total, n_patches, is_ddp=self.is_ddp)

    def _losses(self, logits: Tensor, outcomes: Tensor) -> tuple[Tensor, Tensor]:
        if self.outcomes is None:
            raise RuntimeError("the outcomes have not been read")
        every = torch.ones_like(outcomes, dtype=torch.bool)
        # Labels are not smoothed, so that the probabilities are those of the outcomes.
        return response_losses(logits, outcomes, every, self.outcomes.pos_weight, smoothing=0.0)

    def validation_step(self, batch: dict) -> dict:
        """The loss of a batch of validation patches, and the network's logits."""
        if self.val_outcomes is None:
            raise RuntimeError("the outcomes have not been read")
        outcomes = torch.tensor(self.val_outcomes.of(batch["keys"]), device=self.device)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            logits = self.network(batch["data"].to(self.device, non_blocking=True))
            total, n_patches = self._losses(logits, outcomes)
        keys = [str(key) for key in batch["keys"]]
        return {"loss": (total / n_patches).cpu().numpy(), "keys": keys, "logits": logits.float().cpu().tolist()}

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """The area under the ROC curve over the patients drawn takes the place of nnU-Net's Dice of the epoch."""
        if self.val_outcomes is None:
            raise RuntimeError("the outcomes have not been read")
        collated = collate_outputs(val_outputs)
        losses, keys, logits = (
            np.concatenate(_of_all_ranks(collated[name], is_ddp=self.is_ddp)) for name in ("loss", "keys", "logits")
        )
        area, n_patients = patient_auc(keys.tolist(), logits, self.val_outcomes.by_case)
        what = f"AUC {area:.3f} over {n_patients} validation patients, which stands for nnU-Net's pseudo Dice"
        if np.isnan(area):
            area = 0.5
            what = f"the {n_patients} validation patients drawn have one outcome only: AUC taken as {area}"
        self.print_to_log_file(f"nnunet-fair: {what}")
        self.logger.log("mean_fg_dice", area, self.current_epoch)
        self.logger.log("dice_per_class_or_region", [area], self.current_epoch)
        self.logger.log("val_losses", float(losses.mean()), self.current_epoch)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Write what the network says of each of the fold's validation cases; there are no masks to write.

        Args:
            save_probabilities: nnU-Net's; probabilities are written in any case.
        """
        classifier = self.classifier.eval()
        _, case_ids = self.do_split()
        rank, n_ranks = (dist.get_rank(), dist.get_world_size()) if self.is_ddp else (0, 1)
        dataset = self.dataset_class(self.preprocessed_dataset_folder, list(case_ids)[rank::n_ranks])
        found: dict[str, list[NetworkOutput]] = {}
        for case_id in dataset.identifiers:
            image, labels, *_ = dataset.load_case(case_id)
            lesion = lesion_voxels(labels[:], self.label_manager.ignore_label)
            patch = lesion_patch(image, lesion, self.configuration_manager.patch_size)
            found[case_id] = []
            if patch is not None:
                logit = patch_logit(classifier, patch, self.inference_allowed_mirroring_axes or (), self.device)
                prevalence = float(classifier.response_head.prevalence)
                found[case_id].append(NetworkOutput(f"fold_{self.fold}", logit, prevalence))
        parts = _of_all_ranks(found, is_ddp=self.is_ddp)
        if self.local_rank == 0:
            path = Path(self.output_folder) / "validation" / RESPONSES
            path.parent.mkdir(exist_ok=True)
            table = response_table({case_id: outputs for part in parts for case_id, outputs in part.items()})
            write_csv(table, path)
            self.print_to_log_file(
                f"nnunet-fair: {len(table)} validation cases, {int(table['probability'].isna().sum())} of them without "
                f"a lesion: wrote {path}"
            )


def patch_logit(network: ResponseNetwork, patch: np.ndarray, mirror_axes: Sequence[int], device: torch.device) -> float:
    """What a network says of one patch.

    Args:
        network: on ``device``, in evaluation mode.
        patch: float32 array of shape (channels, *patch).
        mirror_axes: see ``ResponseNetwork.mirrored_logits``.
        device: where to compute.

    Returns:
        The logit as trained.
    """
    with torch.inference_mode(), torch.autocast(device.type, enabled=device.type == "cuda"):
        return float(network.mirrored_logits(torch.from_numpy(patch)[None].to(device), mirror_axes)[0])


def _of_all_ranks(own: Any, *, is_ddp: bool) -> list[Any]:
    """An object of each process of a distributed training, in their order; the one there is in any other."""
    if not is_ddp:
        return [own]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, own)
    return gathered
