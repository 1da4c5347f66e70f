"""A trained model's folder: its folds, its recipe and its post-processing settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_fair.dataset_conversion.recipes import RecipeSettings, read_recipe
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.postprocessing.settings import SETTINGS_FILE, PostprocessingSettings, read_settings
from nnunet_fair.prediction.options import CHECKPOINT


@dataclass(frozen=True)
class TrainedModel:
    """One configuration of a trained model.

    Attributes:
        folder: ``nnUNet_results/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION``.
        folds: the folds to use, ``int`` or ``"all"``.
        checkpoint: the checkpoint file in each fold's folder.
        dataset: the content of the model's ``dataset.json``.
        plans: the content of the model's ``plans.json``.
    """

    folder: Path
    folds: tuple[int | str, ...]
    checkpoint: str
    dataset: dict[str, Any]
    plans: dict[str, Any]

    @property
    def configuration(self) -> str:
        """The configuration in the folder's name."""
        return self.folder.name.split("__")[2]

    def checkpoint_path(self, fold: int | str) -> Path:
        """A fold's checkpoint."""
        return self.folder / f"fold_{fold}" / self.checkpoint

    def recipe(self) -> RecipeSettings:
        """The recipe its images were made with.

        Raises:
            UserError: the model records none, or one that does not make as many channels as the model reads.
        """
        recipe = read_recipe(self.folder)
        made, read = len(recipe.channel_names()), len(self.dataset["channel_names"])
        if made != read:
            raise UserError(f"{self.folder}: the recorded recipe makes {made} channels, the model reads {read}")
        return recipe

    def postprocessing(self) -> PostprocessingSettings | None:
        """The settings in the model folder's ``postprocessing.json``, None where there is none."""
        path = self.folder / SETTINGS_FILE
        return read_settings(path) if path.is_file() else None

    def previous_stage(self) -> TrainedModel | None:
        """The model whose predictions a cascade's second stage reads, None for any other configuration."""
        previous = configuration_settings(self.plans, self.configuration).get("previous_stage")
        if previous is None:
            return None
        trainer, plans, _ = self.folder.name.split("__")
        return open_model(self.folder.with_name(f"{trainer}__{plans}__{previous}"), self.folds, self.checkpoint)


def configuration_settings(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """The settings of a configuration with those it inherits, as nnU-Net resolves them.

    Args:
        plans: the content of ``plans.json``.
        name: the configuration.

    Raises:
        UserError: a configuration that it inherits from is not there, or inherits from it.
    """
    settings: dict[str, Any] = {}
    seen: list[object] = []
    wanted: Any = name
    while wanted:
        own = plans["configurations"].get(wanted) if isinstance(wanted, str) else None
        if not isinstance(own, dict) or wanted in seen:
            raise UserError(f"the plans have no configuration {wanted!r} to inherit from; copy the model again")
        seen.append(wanted)
        settings = own | settings
        wanted = own.get("inherits_from")
    return settings


def open_model(
    folder: str | os.PathLike, folds: Sequence[int | str] | None = None, checkpoint: str = CHECKPOINT
) -> TrainedModel:
    """Find a trained model and check that what is asked for is there.

    Args:
        folder: ``nnUNet_results/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION``.
        folds: the folds to use; None takes every one with the checkpoint, ``fold_all`` only where it is the only one.
        checkpoint: the checkpoint file.

    Raises:
        UserError: no such model, a fold or a file of it is missing.
    """
    folder = Path(folder)
    if not folder.is_dir() or folder.name.count("__") != 2:
        raise UserError(f"no trained model at {folder}; expected a folder TRAINER__PLANS__CONFIGURATION")
    content = {}
    for name in ("dataset.json", "plans.json"):
        try:
            content[name] = read_json(folder / name, remedy="the model is incomplete: copy it again")
        except OSError as error:
            raise UserError(f"{folder / name} cannot be read ({error}); the model is incomplete") from error
    there = sorted(path.parent.name.removeprefix("fold_") for path in folder.glob(f"fold_*/{checkpoint}"))
    numbered = [int(fold) for fold in there if fold.isdecimal()]
    asked: tuple[int | str, ...] = tuple((numbered or ["all"] * ("all" in there)) if folds is None else folds)
    missing = [f"fold_{fold}" for fold in asked if str(fold) not in there]
    if missing or not asked:
        raise UserError(
            f"{folder} has no {checkpoint} in {' and '.join(missing) or 'any fold'}; trained folds: "
            f"{' '.join(there) or 'none'} (choose with `folds`)"
        )
    _check_dataset(folder / "dataset.json", content["dataset.json"])
    model = TrainedModel(folder, asked, checkpoint, content["dataset.json"], content["plans.json"])
    configurations = model.plans.get("configurations")
    if not isinstance(configurations, dict) or not isinstance(configurations.get(model.configuration), dict):
        raise UserError(f"{folder / 'plans.json'} has no configuration {model.configuration!r}")
    configuration_settings(model.plans, model.configuration)
    return model


def _check_dataset(path: Path, content: dict[str, Any]) -> None:
    channels, ending = content.get("channel_names"), content.get("file_ending")
    if not isinstance(channels, dict) or not channels or not isinstance(ending, str):
        raise UserError(f"{path} has no channel_names or no file_ending; the model is damaged: copy it again")


def parse_folds(texts: Sequence[str]) -> tuple[int | str, ...]:
    """Folds from texts: numbers or ``all``.

    Raises:
        UserError: something else.
    """
    wrong = [text for text in texts if text != "all" and not text.isdecimal()]
    if wrong:
        raise UserError(f"`folds` takes fold numbers or all, found {wrong[0]!r}")
    return tuple(text if text == "all" else int(text) for text in texts)
