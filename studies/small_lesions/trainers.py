"""The candidates as trainers: stock nnU-Net with one thing changed."""

from __future__ import annotations

from typing import Any

from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn
from torch._dynamo import OptimizedModule

from studies.small_lesions.losses import BlobLoss, InverseSizeLoss
from studies.small_lesions.patches import LesionByLesion

MORE_SMOOTHING = 1.0


class SampleDiceTrainer(nnUNetTrainer):
    """Dice of each image instead of the batch's: a large lesion does not outweigh the others of its batch."""

    def _build_loss(self) -> nn.Module:
        loss = super()._build_loss()
        _dice(loss).batch_dice = False
        return loss


class SmoothSampleDiceTrainer(SampleDiceTrainer):
    """Dice of each image with a smoothing of 1 instead of 1e-5: less noise from patches almost without a lesion."""

    def _build_loss(self) -> nn.Module:
        loss = super()._build_loss()
        _dice(loss).smooth = MORE_SMOOTHING
        return loss


class InverseSizeTrainer(nnUNetTrainer):
    """Cross-entropy weighted by the root of the lesion's inverse size."""

    def _build_loss(self) -> nn.Module:
        return _around(super()._build_loss(), InverseSizeLoss)


class BlobLossTrainer(SampleDiceTrainer):
    """Blob loss beside the whole image's."""

    def _build_loss(self) -> nn.Module:
        return _around(super()._build_loss(), BlobLoss)


class LesionPatchTrainer(nnUNetTrainer):
    """Foreground patches centred on lesions, each as often as any other."""

    def get_tr_and_val_datasets(self):
        """As nnU-Net's, the training cases' locations balanced over lesions."""
        dataset_tr, dataset_val = super().get_tr_and_val_datasets()
        return LesionByLesion(dataset_tr), dataset_val


CANDIDATES: dict[str, type[nnUNetTrainer]] = {
    "sample_dice": SampleDiceTrainer,
    "smooth_dice": SmoothSampleDiceTrainer,
    "inverse_size": InverseSizeTrainer,
    "lesion_patches": LesionPatchTrainer,
    "blob_loss": BlobLossTrainer,
}
"""By the names that methods of the studies give them."""


def with_candidate(trainer: type, candidate: str) -> type:
    """A trainer of this project over a candidate in the place of nnU-Net's own.

    Args:
        trainer: a class derived from ``nnUNetTrainer``; it keeps its name. Weights on the loss are not supported: they
            know nnU-Net's own losses only.
        candidate: key of ``CANDIDATES``; "" for the trainer as it is.
    """
    return type(trainer.__name__, (trainer, CANDIDATES[candidate]), {}) if candidate else trainer


def _around(loss: Any, candidate: type[InverseSizeLoss] | type[BlobLoss]) -> nn.Module:
    """The candidate around nnU-Net's loss, inside its deep supervision."""
    if isinstance(loss, DeepSupervisionWrapper):
        loss.loss = candidate(loss.loss)
        return loss
    return candidate(loss)


def _dice(loss: Any) -> Any:
    """nnU-Net's Dice inside its loss, compiled or not."""
    dice = (loss.loss if isinstance(loss, DeepSupervisionWrapper) else loss).dc
    return dice._orig_mod if isinstance(dice, OptimizedModule) else dice
