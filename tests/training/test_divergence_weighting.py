"""The mixin inside nnU-Net's trainer."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from nnunet_fair.training.trainer import nnUNetTrainerFairDiv

SETTINGS = {"min_cases": 2, "min_support": 0.1, "warmup_epochs": 1, "max_items": 2}


def test_six_epochs_weight_the_planted_subgroup(tiny_dataset):
    dataset = tiny_dataset()
    trainer = dataset.trainer(nnUNetTrainerFairDiv, settings=SETTINGS)
    trainer.num_epochs = 6
    trainer.run_training()
    print(pd.read_csv(trainer.output_folder + "/fair_history.csv"))
    print(pd.read_csv(trainer.output_folder + "/fair_weights.csv"))
