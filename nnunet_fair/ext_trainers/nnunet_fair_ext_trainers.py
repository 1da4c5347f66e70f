"""Hands on the plugin's trainers to nnU-Net's look-up by name; see ``nnunet_fair env``."""

from nnunet_fair.training.trainer import (
    nnUNetTrainerFairDiv,
    nnUNetTrainerFairDiv_5epochs,
    nnUNetTrainerFairDiv_20epochs,
    nnUNetTrainerFairDiv_100epochs,
    nnUNetTrainerFairDiv_250epochs,
    nnUNetTrainerFairDiv_demo,
    nnUNetTrainerFairDivSampling,
    nnUNetTrainerFairDivSampling_5epochs,
    nnUNetTrainerFairDivSampling_20epochs,
    nnUNetTrainerFairDivSampling_100epochs,
    nnUNetTrainerFairDivSampling_250epochs,
)

__all__ = [
    "nnUNetTrainerFairDiv",
    "nnUNetTrainerFairDivSampling",
    "nnUNetTrainerFairDivSampling_5epochs",
    "nnUNetTrainerFairDivSampling_20epochs",
    "nnUNetTrainerFairDivSampling_100epochs",
    "nnUNetTrainerFairDivSampling_250epochs",
    "nnUNetTrainerFairDiv_5epochs",
    "nnUNetTrainerFairDiv_20epochs",
    "nnUNetTrainerFairDiv_100epochs",
    "nnUNetTrainerFairDiv_250epochs",
    "nnUNetTrainerFairDiv_demo",
]
