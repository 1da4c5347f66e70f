"""Trainers of response classifiers, with variants of length as in nnU-Net."""

from __future__ import annotations

from dataclasses import fields

from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.method import FairMethod
from nnunet_fair.training.response.classification import ResponseClassification


class nnUNetTrainerResponse(ResponseClassification):
    """Predicts the treatment response from a patch around the lesion; 200 epochs of nnU-Net's 250 iterations.

    A response is one number a patient, so a network is done with it far sooner than with voxels.
    """

    fair_method = FairMethod(
        without_effect=tuple(setting.name for setting in fields(FairConfig) if setting.name != "response_column")
    )
    epochs = 200
    learning_rate = 1e-4


class nnUNetTrainerResponse_5epochs(nnUNetTrainerResponse):
    """For 5 epochs, to try plans and data."""

    epochs = 5


class nnUNetTrainerResponse_20epochs(nnUNetTrainerResponse):
    """For 20 epochs."""

    epochs = 20


class nnUNetTrainerResponse_100epochs(nnUNetTrainerResponse):
    """For 100 epochs."""

    epochs = 100


class nnUNetTrainerResponse_250epochs(nnUNetTrainerResponse):
    """For 250 epochs."""

    epochs = 250
