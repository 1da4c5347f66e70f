"""How large the trainings are: a night on two cores, a try, or nnU-Net's defaults on a GPU."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Network:
    """What is fixed of the 2D plan; the rest is nnU-Net's planner's.

    Attributes:
        spacing_factor: target pixels are so many times as large as the images'.
        patch: rows and columns in pixels.
        batch: slices or images a batch.
        features: feature maps of the first stage and the most of any stage.
        convolutions: convolutions a stage, in the encoder and in the decoder.
    """

    spacing_factor: float
    patch: tuple[int, int]
    batch: int
    features: tuple[int, int]
    convolutions: int

    def finer(self) -> Network:
        """The same with pixels half as large, and patches of as much of the image."""
        rows, columns = self.patch
        return replace(self, spacing_factor=self.spacing_factor / 2, patch=(2 * rows, 2 * columns))


@dataclass(frozen=True)
class Scale:
    """The size of a cohort's trainings.

    Attributes:
        name: also the working folder's.
        network: None for the plan nnU-Net makes itself.
        epochs: epochs of a training; None for nnU-Net's 1000.
        iterations: training iterations an epoch; None for nnU-Net's 250.
        val_iterations: validation iterations an epoch; None for nnU-Net's 50.
        learning_rate: initial learning rate; None for nnU-Net's.
        mirror_predictions: whether predictions are averaged over mirrored images, as nnU-Net does by default.
        device: ``cpu`` or ``cuda``.
        workers: processes for augmentation; 0 makes batches in one order, so that seeds are paired to the batch.
        checkpoints: whether an interrupted training continues where it was instead of from its beginning.
        patients: patients taken of the cohort, None for all.
    """

    name: str
    network: Network | None
    epochs: int | None
    iterations: int | None
    val_iterations: int | None
    learning_rate: float | None
    mirror_predictions: bool
    device: str
    workers: int
    checkpoints: bool
    patients: int | None

    def settings(self) -> dict[str, object]:
        """Everything that decides a result, as JSON types: results of different settings are never put together."""
        return {name: value for name, value in asdict(self).items() if name not in ("name", "checkpoints")}


_NIGHT = Scale(
    name="night",
    network=None,
    epochs=None,
    iterations=25,
    val_iterations=2,
    learning_rate=0.01,
    mirror_predictions=False,
    device="cpu",
    workers=0,
    checkpoints=False,
    patients=None,
)
NIGHT = {
    "lgg": replace(_NIGHT, network=Network(2.0, (64, 56), 8, (16, 128), 1), epochs=30),
    "busbra": replace(_NIGHT, network=Network(3.5, (64, 56), 8, (16, 128), 1), epochs=40, learning_rate=0.03),
}
"""The study of the page."""

_QUICK = replace(_NIGHT, name="quick", epochs=3, iterations=2, val_iterations=1, patients=20)
QUICK = {
    "lgg": replace(_QUICK, network=Network(2.0, (48, 48), 4, (4, 8), 1)),
    "busbra": replace(_QUICK, network=Network(4.0, (48, 48), 4, (4, 8), 1)),
}
"""To try the machinery: its numbers mean nothing."""

_FULL = Scale(
    name="full",
    network=None,
    epochs=None,
    iterations=None,
    val_iterations=None,
    learning_rate=None,
    mirror_predictions=True,
    device="cuda",
    workers=8,
    checkpoints=True,
    patients=None,
)
FULL = dict.fromkeys(NIGHT, _FULL)
"""nnU-Net's default 2D plan and schedule, for a GPU."""
