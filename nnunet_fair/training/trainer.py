"""The trainers ``nnUNetv2_train -tr`` can name, with variants of length as in nnU-Net.

The name is the method (``training.method``); settings come from the plans' section "nnunet_fair".
"""

from __future__ import annotations

from nnunet_fair.training.divergence_weighting import DivergenceWeighting
from nnunet_fair.training.length import TrainerOfLength
from nnunet_fair.training.method import ON_LOSS, ON_SAMPLING, PUBLISHED


class nnUNetTrainerFairDivLoss(DivergenceWeighting, TrainerOfLength):
    """The weights multiply the loss of the disadvantaged subgroups' cases."""

    fair_method = ON_LOSS


class nnUNetTrainerFairDivSampling(DivergenceWeighting, TrainerOfLength):
    """The weights change how often a case is drawn, the loss is nnU-Net's."""

    fair_method = ON_SAMPLING


class nnUNetTrainerFairDivPublished(DivergenceWeighting, TrainerOfLength):
    """The rule of Poeta et al. 2025, to reproduce it: half of the loss is weighted by |Δ| of the lowest subgroup."""

    fair_method = PUBLISHED


class nnUNetTrainerFairDiv(DivergenceWeighting, TrainerOfLength):
    """The best method by evidence (docs/effect.md, "From scratch"): that of ``nnUNetTrainerFairDivSampling``."""

    fair_method = ON_SAMPLING
    former_trainer = nnUNetTrainerFairDivLoss


class nnUNetTrainerFairDiv_demo(nnUNetTrainerFairDiv):
    """For ``nnunet_fair demo``: 250 steps, a minute or two on two CPU cores, far too short for a useful model.

    The learning rate is three times nnU-Net's, because 250 steps are too few for its own to get going. Training mirrors
    images; predictions are not averaged over mirrored ones, which would take eight times as long.
    """

    epochs = 10
    iterations = 25
    val_iterations = 4
    learning_rate = 0.03

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):  # noqa: N802 (nnU-Net's name)
        """As nnU-Net's, which says here over which axes predictions may be mirrored."""
        augmentation = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        return augmentation


class nnUNetTrainerFairDiv_5epochs(nnUNetTrainerFairDiv):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerFairDiv_20epochs(nnUNetTrainerFairDiv):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerFairDiv_100epochs(nnUNetTrainerFairDiv):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerFairDiv_250epochs(nnUNetTrainerFairDiv):
    """For 250 epochs."""

    epochs = 250


class nnUNetTrainerFairDivLoss_5epochs(nnUNetTrainerFairDivLoss):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerFairDivLoss_20epochs(nnUNetTrainerFairDivLoss):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerFairDivLoss_100epochs(nnUNetTrainerFairDivLoss):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerFairDivLoss_250epochs(nnUNetTrainerFairDivLoss):
    """For 250 epochs."""

    epochs = 250


class nnUNetTrainerFairDivSampling_5epochs(nnUNetTrainerFairDivSampling):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerFairDivSampling_20epochs(nnUNetTrainerFairDivSampling):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerFairDivSampling_100epochs(nnUNetTrainerFairDivSampling):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerFairDivSampling_250epochs(nnUNetTrainerFairDivSampling):
    """For 250 epochs."""

    epochs = 250


class nnUNetTrainerFairDivPublished_5epochs(nnUNetTrainerFairDivPublished):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerFairDivPublished_20epochs(nnUNetTrainerFairDivPublished):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerFairDivPublished_100epochs(nnUNetTrainerFairDivPublished):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerFairDivPublished_250epochs(nnUNetTrainerFairDivPublished):
    """For 250 epochs."""

    epochs = 250
