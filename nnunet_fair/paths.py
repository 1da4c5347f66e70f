"""Where nnU-Net keeps its datasets: its environment variables, read when asked for, and its dataset folders.

nnU-Net's own ``nnunetv2.paths`` is not used here because importing ``nnunetv2`` takes seconds.
"""

from __future__ import annotations

import os
from pathlib import Path

from nnunet_fair.errors import UserError

RAW = "nnUNet_raw"
PREPROCESSED = "nnUNet_preprocessed"
RESULTS = "nnUNet_results"
EXT_TRAINER = "nnUNet_extTrainer"


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
