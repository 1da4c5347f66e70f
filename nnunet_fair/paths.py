"""Where nnU-Net keeps its datasets: its environment variables, read when asked for, and its dataset folders.

nnU-Net's own ``nnunetv2.paths`` is not used here because importing ``nnunetv2`` takes seconds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nnunet_fair.errors import UserError

RAW = "nnUNet_raw"
PREPROCESSED = "nnUNet_preprocessed"
RESULTS = "nnUNet_results"
EXT_TRAINER = "nnUNet_extTrainer"

FAIR_TRAINERS = "nnUNetTrainerFair"
"""What the names of this plugin's trainers of segmentation begin with."""
RESPONSE_TRAINERS = "nnUNetTrainerResponse"
"""What the names of its trainers of response classifiers begin with."""
DEFAULT_PLANS, DEFAULT_CONFIGURATION = "nnUNetPlans", "3d_fullres"


def environment_folder(variable: str) -> Path:
    """The folder an nnU-Net environment variable names.

    Args:
        variable: ``nnUNet_raw``, ``nnUNet_preprocessed`` or ``nnUNet_results``.

    Raises:
        UserError: the variable is not set.
    """
    value = os.environ.get(variable)
    if not value:
        raise UserError(
            f"the environment variable {variable} is not set; export {variable}=/a/folder (nnU-Net's documentation, "
            "'Setting up Paths')"
        )
    return Path(value)


def dataset_name(dataset: str | int) -> str:
    """The full name of an nnU-Net dataset, such as ``Dataset950_MAMAMIA``.

    Args:
        dataset: its number (``950``, ``"950"``) or its full name.

    Raises:
        UserError: no dataset, or more than one, carries that number in the raw, preprocessed and results folders.
    """
    text = str(dataset)
    if text.startswith("Dataset"):
        return text
    if not text.isdecimal():
        raise UserError(f"expected a dataset number or a name like Dataset950_MAMAMIA, found {text!r}")
    prefix = f"Dataset{int(text):03d}_"
    searched = [Path(os.environ[variable]) for variable in (RAW, PREPROCESSED, RESULTS) if os.environ.get(variable)]
    if not searched:
        environment_folder(RAW)
    names = {folder.name for root in searched if root.is_dir() for folder in root.iterdir() if folder.is_dir()}
    matches = sorted(name for name in names if name.startswith(prefix))
    if not matches:
        raise UserError(
            f"no dataset {prefix}… in {', '.join(map(str, searched))}; convert one first (nnunet_fair convert) or "
            "check the environment variables with nnunet_fair doctor"
        )
    if len(matches) > 1:
        raise UserError(f"dataset number {int(text)} is ambiguous: {', '.join(matches)}; give the full name")
    return matches[0]


def raw_folder(dataset: str | int) -> Path:
    """``nnUNet_raw/DatasetXXX_NAME`` (it need not exist)."""
    return environment_folder(RAW) / dataset_name(dataset)


def preprocessed_folder(dataset: str | int) -> Path:
    """``nnUNet_preprocessed/DatasetXXX_NAME`` (it need not exist)."""
    return environment_folder(PREPROCESSED) / dataset_name(dataset)


def model_folder(dataset: str | int, trainer: str, plans: str, configuration: str) -> Path:
    """``nnUNet_results/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION`` (it need not exist)."""
    return environment_folder(RESULTS) / dataset_name(dataset) / f"{trainer}__{plans}__{configuration}"


def find_model(
    dataset: str | int,
    trainer: str | None = None,
    plans: str | None = None,
    configuration: str | None = None,
    *,
    trainers: str = FAIR_TRAINERS,
) -> Path:
    """The folder of the trained model that is meant.

    Where a name is left out it is looked for among the dataset's trained models: the trainers are then this plugin's of
    one kind, and of several plans or configurations nnU-Net's own defaults are preferred. What is still ambiguous is
    not guessed.

    Args:
        dataset: its number or full name.
        trainer: the trainer's name; None for the one trainer of this plugin that was trained.
        plans: the plans' name; None for those there are, ``nnUNetPlans`` where there are several.
        configuration: None for the one there is, ``3d_fullres`` where there are several.
        trainers: what the names of the trainers looked for begin with.

    Returns:
        ``nnUNet_results/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION``; with all three names given it need not exist.

    Raises:
        UserError: no trained model fits, or several do; the message names those there are.
    """
    if trainer and plans and configuration:
        return model_folder(dataset, trainer, plans, configuration)
    name = dataset_name(dataset)
    trained = _trained_models(environment_folder(RESULTS) / name)
    wanted = (trainer, plans, configuration)
    fitting = [
        model
        for model in trained
        if all(given in (None, found) for given, found in zip(wanted, _model_names(model), strict=True))
        and (trainer or _model_names(model)[0].startswith(trainers))
    ]
    for position, default in ((1, DEFAULT_PLANS), (2, DEFAULT_CONFIGURATION)):
        preferred = [model for model in fitting if _model_names(model)[position] == default]
        if wanted[position] is None and len({_model_names(model)[position] for model in fitting}) > 1 and preferred:
            fitting = preferred
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError(
            f"{name} has {len(fitting)} trained models that fit: {_listed(fitting)}; name one with `trainer`, `plans` "
            "and `configuration`"
        )
    there = f"trained are {_listed(trained)}" if trained else "nothing is trained yet (nnUNetv2_train)"
    asked = ", ".join(filter(None, wanted)) or f"a trainer called {trainers}…"
    raise UserError(
        f"{name} has no trained model with {asked}; {there}; choose with `trainer`, `plans`, `configuration`"
    )


def _trained_models(results: Path) -> list[Path]:
    """The folders of a dataset's results that hold at least one fold, by name."""
    if not results.is_dir():
        return []
    models = [folder for folder in results.iterdir() if folder.name.count("__") == 2 and any(folder.glob("fold_*/"))]
    return sorted(models, key=_model_names)


def _model_names(folder: Path) -> tuple[str, str, str]:
    """Trainer, plans and configuration of a model's folder."""
    trainer, plans, configuration = folder.name.split("__")
    return trainer, plans, configuration


def _listed(models: Sequence[Path], most: int = 8) -> str:
    names = [" ".join(_model_names(model)) for model in models[:most]]
    return ", ".join(names) + (f" and {len(models) - most} more" if len(models) > most else "")
