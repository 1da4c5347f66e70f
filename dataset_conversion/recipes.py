"""Intensity recipes: how the phases of a DCE-MRI case become the channels nnU-Net sees.

``phases``       the phases as they are (MIC; AIH-MAMA/FairMedSeg); nnU-Net then normalises each channel on its own.
``subtraction``  post-contrast minus pre-contrast, signed (FME).
``zscore-all``   z-score with mean and standard deviation over all phases of the case (the organisers' baseline).
``zscore-pre``   clip each phase to percentiles, z-score with the pre-contrast mean and standard deviation (ViCOROB).

The last two keep the relation between phases, which nnU-Net's own per-channel z-score would remove; their channels are
called ``noNorm``, which makes nnU-Net leave them alone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.settings_record import check_choice, check_number, is_integer, read_record, wrong_setting

if TYPE_CHECKING:
    import SimpleITK as sitk

RECIPE_FILE = "nnunet_fair_recipe.json"
RECIPE_KEY = "nnunet_fair_recipe"  # the same settings in dataset.json, which nnU-Net copies into every model

LAST = "last"
Phase = int | Literal["last"]

DEFAULT_PHASES: Mapping[str, tuple[Phase, ...]] = {
    "phases": (0, 1, 2),
    "subtraction": (0, 1),
    "zscore-all": (1,),
    "zscore-pre": (0, 1, 2),
}
RECIPES = tuple(DEFAULT_PHASES)
DEFAULT_PERCENTILES = (0.1, 99.9)


class RecipeError(ValueError):
    """A recipe cannot be applied to one case; the message says why."""


@dataclass(frozen=True, kw_only=True)
class RecipeSettings:
    """What has to be done to a case's phases before a model of this dataset can read them.

    Attributes:
        recipe: one of ``RECIPES``.
        phases: phase numbers, 0 is pre-contrast; ``"last"`` is the case's last phase. For ``subtraction`` the first is
            subtracted from each of the others.
        percentiles: the percentiles (in %) that ``zscore-pre`` clips each phase to.
        crop_margin_mm: margin around the breast box that images are cropped to, in mm; None where they are not cropped.
    """

    recipe: str = "phases"
    phases: tuple[Phase, ...] = DEFAULT_PHASES["phases"]
    percentiles: tuple[float, float] = DEFAULT_PERCENTILES
    crop_margin_mm: float | None = None

    def __post_init__(self) -> None:
        check_choice(self, "recipe", RECIPES)
        for phase in self.phases:
            if phase != LAST and not (isinstance(phase, int) and is_integer(phase) and phase >= 0):
                raise wrong_setting("phases", f"numbers from 0 on or {LAST!r}", phase)
        if not self.phases or len(set(self.phases)) < len(self.phases):
            raise wrong_setting("phases", "distinct phases, one or more", self.phases)
        if self.recipe == "subtraction" and len(self.phases) < 2:
            raise wrong_setting("phases", "two or more for the recipe subtraction, such as 0 1", self.phases)
        if not self._percentiles_are_right():
            raise wrong_setting("percentiles", "two numbers with 0 <= low < high <= 100", self.percentiles)
        check_number(self, "crop_margin_mm", low=0, others=(None,))

    def _percentiles_are_right(self) -> bool:
        numbers = [value for value in self.percentiles if isinstance(value, (int, float))]
        return len(numbers) == len(self.percentiles) == 2 and 0 <= numbers[0] < numbers[1] <= 100

    @property
    def computes_images(self) -> bool:
        """Whether new voxel values are written, so that linking the source files is not enough."""
        return self.recipe != "phases" or self.crop_margin_mm is not None

    def channel_names(self) -> list[str]:
        """The channel names for ``dataset.json``; by them nnU-Net chooses the normalisation."""
        if self.recipe.startswith("zscore"):
            return ["noNorm"] * len(self.phases)
        names = [f"phase_{phase}" for phase in self.phases]
        if self.recipe == "subtraction":
            return [f"{name}_minus_{names[0]}" for name in names[1:]]
        return names

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def settings_from_json(content: Any, *, where: str = "the recipe") -> RecipeSettings:
    """The settings from what ``RecipeSettings.to_json`` made.

    Args:
        content: the parsed JSON.
        where: where it stands, for messages.

    Raises:
        UserError: a key is unknown or a value is not allowed.
    """
    return read_record(RecipeSettings, content, where=where)


def read_recipe(folder: str | os.PathLike) -> RecipeSettings:
    """The recipe a dataset or a trained model expects.

    Args:
        folder: a raw dataset folder, or a model folder, to which nnU-Net copies ``dataset.json`` with the recipe in it.

    Raises:
        UserError: the folder records no recipe.
    """
    path = Path(folder) / RECIPE_FILE
    if path.is_file():
        return settings_from_json(read_json(path), where=f"the recipe in {path}")
    dataset_json = Path(folder) / "dataset.json"
    content = read_json(dataset_json) if dataset_json.is_file() else {}
    if RECIPE_KEY not in content:
        raise UserError(
            f"{folder} records no recipe (looked for {RECIPE_FILE} and for {RECIPE_KEY!r} in dataset.json); "
            "only datasets made by nnunet_fair convert do"
        )
    return settings_from_json(content[RECIPE_KEY], where=f"the recipe in {dataset_json}")


def required_phases(settings: RecipeSettings, available: Collection[int]) -> tuple[int, ...]:
    """The phases of a case that the recipe reads, ascending.

    Args:
        settings: the recipe.
        available: the phase numbers the case has.

    Raises:
        RecipeError: the case lacks one of them, or ``last`` is a phase that is asked for by number too.
    """
    channels = channel_phases(settings, available)
    if settings.recipe == "zscore-all":
        needed = set(range(max(available) + 1))
    elif settings.recipe == "zscore-pre":
        needed = {0, *channels}
    else:
        needed = set(channels)
    missing = sorted(needed - set(available))
    if missing:
        raise RecipeError(f"has phases {_listed(available)}, needs {_listed(needed)}")
    return tuple(sorted(needed))


def channel_phases(settings: RecipeSettings, available: Collection[int]) -> tuple[int, ...]:
    """The phase numbers of ``settings.phases`` for one case, ``last`` replaced by the case's last phase.

    Raises:
        RecipeError: the case lacks one of them, or ``last`` is a phase that is asked for by number too.
    """
    if not available:
        raise RecipeError("has no phases")
    phases = tuple(max(available) if isinstance(phase, str) else phase for phase in settings.phases)
    if not set(phases) <= set(available):
        raise RecipeError(f"has phases {_listed(available)}, needs {_listed(settings.phases)}")
    if len(set(phases)) < len(phases):
        raise RecipeError(f"has phases {_listed(available)}: its last phase is also asked for by number")
    return phases


def apply_recipe(phase_images: Mapping[int, sitk.Image], settings: RecipeSettings) -> list[sitk.Image]:
    """Make the channels of one case from its phases.

    Args:
        phase_images: phase number to 3D image, all on one grid, at least those of ``required_phases``; the highest
            number has to be the case's last phase if ``last`` is asked for.
        settings: the recipe; its crop is not applied here (crop the phases first).

    Returns:
        One image a channel on the grid of the phases; ``float32`` where the recipe computes new values, the phase
        itself for the recipe ``phases``.

    Raises:
        RecipeError: a phase is missing or the recipe is undefined for these values (a constant image).
    """
    import SimpleITK as sitk

    if settings.recipe == "phases":
        return [phase_images[phase] for phase in channel_phases(settings, phase_images)]
    arrays = {phase: sitk.GetArrayViewFromImage(image) for phase, image in phase_images.items()}
    grid = next(iter(phase_images.values()))
    images = []
    for channel in recipe_arrays(arrays, settings):
        image = sitk.GetImageFromArray(channel)
        image.CopyInformation(grid)
        images.append(image)
    return images


def recipe_arrays(phases: Mapping[int, np.ndarray], settings: RecipeSettings) -> list[np.ndarray]:
    """``apply_recipe`` on arrays.

    Args:
        phases: phase number to array of shape (slices, rows, columns), any real dtype.
        settings: the recipe.

    Returns:
        One array a channel, ``float32``; for the recipe ``phases`` in the dtype of the phase.

    Raises:
        RecipeError: see ``apply_recipe``.
    """
    required_phases(settings, phases)
    asked = [phases[phase] for phase in channel_phases(settings, phases)]
    if settings.recipe == "phases":
        return asked
    if settings.recipe == "subtraction":
        # In float64, because integers would wrap around.
        return [np.subtract(phase, asked[0], dtype=np.float64).astype(np.float32) for phase in asked[1:]]
    if settings.recipe == "zscore-all":
        mean, std = _moments(phases.values())
        return [_zscore(phase, mean, std) for phase in asked]
    mean, std = _moments([phases[0]])
    return [_zscore(_clip(phase, settings.percentiles), mean, std) for phase in asked]


def _moments(arrays: Collection[np.ndarray]) -> tuple[float, float]:
    """Mean and population standard deviation over the voxels of all ``arrays`` (two passes, as numpy's own).

    Slice by slice: a case of 50 million voxels in float64 would take 400 MB a temporary array.
    """
    n_voxels = sum(array.size for array in arrays)
    mean = sum(float(plane.sum(dtype=np.float64)) for array in arrays for plane in array) / n_voxels
    squares = (float(np.square(plane.astype(np.float64) - mean).sum()) for array in arrays for plane in array)
    variance = sum(squares) / n_voxels
    if not variance > 0:
        raise RecipeError("every voxel has the same value, a z-score is undefined")
    return mean, variance**0.5


def _zscore(array: np.ndarray, mean: float, std: float) -> np.ndarray:
    scaled = array.astype(np.float32)
    scaled -= mean
    scaled /= std
    return scaled


def _clip(array: np.ndarray, percentiles: tuple[float, float]) -> np.ndarray:
    """Clip to the percentiles of the voxels that are not zero: zero is the empty space outside the field of view."""
    foreground = array[array != 0]
    if not foreground.size:
        return array
    clipped = array.astype(np.float32)
    return np.clip(clipped, *np.percentile(foreground, percentiles), out=clipped)


def _listed(phases: Collection[Phase]) -> str:
    return " ".join(map(str, sorted(phases, key=lambda phase: (phase == LAST, phase)))) or "none"
