"""How large the study is: cohorts, network and length of a training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Scale:
    """The size of the study's cohorts and trainings.

    Attributes:
        n_cases: cases of a cohort, training and test together.
        n_train: training cases of a seed, drawn from the cohort's training cases; the others validate.
        spacing: voxel size in mm, (slices, rows, columns).
        patch: patch size in voxels.
        features: features of the first stage and the most of any stage.
        convolutions: convolutions a stage.
        epochs: epochs of a training.
        iterations: training iterations an epoch.
        val_iterations: validation iterations an epoch.
        learning_rate: initial learning rate.
        device: ``cpu`` or ``cuda``.
        start_epochs: epochs of the training that gives the network all trainings start from; 0 where they start from
            random weights.
        start_learning_rate: its initial learning rate.
    """

    n_cases: int
    n_train: int
    spacing: tuple[float, float, float]
    patch: tuple[int, int, int]
    features: tuple[int, int]
    convolutions: int
    epochs: int
    iterations: int
    val_iterations: int
    learning_rate: float
    device: str
    start_epochs: int
    start_learning_rate: float

    def plan(self) -> dict[str, Any]:
        """The part that fixes the preprocessed data and the network, as fields of a plan preset."""
        return {
            "spacing": self.spacing,
            "patch_size": self.patch,
            "batch_size": 2,
            "base_num_features": self.features[0],
            "max_num_features": self.features[1],
            "featuremap_min_edge_length": 4,
            "convolutions": self.convolutions,
        }


SMALL = Scale(
    n_cases=320,
    n_train=128,
    spacing=(5.5, 2.8, 2.8),
    patch=(16, 32, 32),
    features=(8, 32),
    convolutions=1,
    epochs=20,
    iterations=20,
    val_iterations=4,
    learning_rate=0.01,
    device="cpu",
    start_epochs=45,
    start_learning_rate=0.03,
)

FROM_SCRATCH = replace(SMALL, epochs=60, iterations=25, learning_rate=0.03, start_epochs=0)
"""Three and three quarter times the steps, each training from random weights of its own."""

LARGE = Scale(
    n_cases=750,
    n_train=300,
    spacing=(2.0, 1.0, 1.0),
    patch=(48, 96, 96),
    features=(16, 128),
    convolutions=2,
    epochs=60,
    iterations=100,
    val_iterations=10,
    learning_rate=0.01,
    device="cuda",
    start_epochs=20,
    start_learning_rate=0.01,
)
"""For a GPU, or with ``device="cpu"`` for a long night."""
