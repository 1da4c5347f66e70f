"""Trainers that segment and predict the treatment response, with variants of length as in nnU-Net.

The name says where case weights act: nowhere, on the drawing of cases, or on the segmentation's loss.
"""

from __future__ import annotations

from dataclasses import fields, replace

from nnunet_fair.training.config import RESPONSE_SETTINGS, FairConfig
from nnunet_fair.training.joint.response_prediction import ResponsePrediction
from nnunet_fair.training.length import TrainerOfLength
from nnunet_fair.training.method import ON_LOSS, ON_SAMPLING, FairMethod
from nnunet_fair.training.trainer import nnUNetTrainerFairDivLoss, nnUNetTrainerFairDivSampling

WITHOUT_WEIGHTS = FairMethod(
    without_effect=tuple(setting.name for setting in fields(FairConfig) if setting.name not in RESPONSE_SETTINGS)
)


class nnUNetTrainerFairJoint(ResponsePrediction, TrainerOfLength):
    """nnU-Net's trainer with a response head; no case weights."""

    fair_method = WITHOUT_WEIGHTS


class nnUNetTrainerFairJointSampling(ResponsePrediction, nnUNetTrainerFairDivSampling):
    """The response head beside ``nnUNetTrainerFairDivSampling``."""

    fair_method = replace(ON_SAMPLING, without_effect=("max_gradient",))


class nnUNetTrainerFairJointLoss(ResponsePrediction, nnUNetTrainerFairDivLoss):
    """The response head beside ``nnUNetTrainerFairDivLoss``, whose weights act on the segmentation's loss."""

    fair_method = replace(ON_LOSS, without_effect=())


class nnUNetTrainerFairJoint_5epochs(nnUNetTrainerFairJoint):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerFairJoint_20epochs(nnUNetTrainerFairJoint):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerFairJoint_100epochs(nnUNetTrainerFairJoint):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerFairJoint_250epochs(nnUNetTrainerFairJoint):
    """For 250 epochs."""

    epochs = 250


class nnUNetTrainerFairJointSampling_5epochs(nnUNetTrainerFairJointSampling):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerFairJointSampling_20epochs(nnUNetTrainerFairJointSampling):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerFairJointSampling_100epochs(nnUNetTrainerFairJointSampling):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerFairJointSampling_250epochs(nnUNetTrainerFairJointSampling):
    """For 250 epochs."""

    epochs = 250


class nnUNetTrainerFairJointLoss_5epochs(nnUNetTrainerFairJointLoss):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerFairJointLoss_20epochs(nnUNetTrainerFairJointLoss):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerFairJointLoss_100epochs(nnUNetTrainerFairJointLoss):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerFairJointLoss_250epochs(nnUNetTrainerFairJointLoss):
    """For 250 epochs."""

    epochs = 250
