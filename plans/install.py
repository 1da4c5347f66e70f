"""Installing a preset: does it fit the dataset, and its plans file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json, remove_leftovers, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.masks.endings import PLANAR_ENDINGS
from nnunet_fair.outputs import is_record, refuse_foreign
from nnunet_fair.paths import dataset_name, preprocessed_folder, raw_folder
from nnunet_fair.plans.change import PLANS_KEYS
from nnunet_fair.plans.planner import CONFIGURATION, plan
from nnunet_fair.plans.presets import Preset

FINGERPRINT_FILE = "dataset_fingerprint.json"
_MOST_UPSAMPLING = 8  # times as many voxels as the images have


@dataclass(frozen=True)
class Installed:
    """An installed preset.

    Attributes:
        path: the plans file.
        configuration: its configuration ``3d_fullres``.
        estimated_gb: GPU memory nnU-Net estimates for training, in GB.
        notes: what the user should know.
    """

    path: Path
    configuration: dict[str, Any]
    estimated_gb: float
    notes: tuple[str, ...]


def install_preset(dataset: str | int, preset: Preset, *, overwrite: bool = False) -> Installed:
    """Write a preset's plans for a dataset, so that ``-p PRESET`` works in nnU-Net's commands.

    Args:
        dataset: number or name of a dataset whose fingerprint has been extracted.
        preset: from ``presets.get_preset``.
        overwrite: replace other plans of that name.

    Returns:
        What was written.

    Raises:
        UserError: no fingerprint, the preset does not fit the dataset, or other plans of that name are there.
    """
    name = dataset_name(dataset)
    description = _read_dataset_json(raw_folder(name) / "dataset.json")
    fingerprint = _read_fingerprint(preprocessed_folder(name) / FINGERPRINT_FILE, name)
    try:
        _check_dataset(name, preset, description, fingerprint)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"dataset.json or {FINGERPRINT_FILE} of {name} is not what nnU-Net writes ({error!r}); convert the dataset "
            f"again, or run nnUNetv2_extract_fingerprint -d {int(name[7:10])} --clean"
        ) from error
    plans, estimated_gb = plan(name, preset)
    configuration = plans["configurations"][CONFIGURATION]
    notes = _check_sizes(name, preset, configuration, fingerprint)
    path = preprocessed_folder(name) / f"{preset.name}.json"
    with folder_lock(path):
        remove_leftovers(path.parent, path.name)
        _refuse_other_plans(path, plans, overwrite)
        write_json(plans, path)
    return Installed(path, configuration, estimated_gb, tuple(notes))


def _refuse_other_plans(path: Path, plans: dict[str, Any], overwrite: bool) -> None:
    refuse_foreign(path, is_record(path, PLANS_KEYS), remedy="move it away")
    if path.is_file() and not overwrite and json.loads(path.read_text(encoding="utf-8") or "null") != plans:
        raise UserError(f"{path} holds other plans (edited, or of other data); give `overwrite` to replace them")


def _read_dataset_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} is missing; convert the dataset first (nnunet_fair convert)")
    return read_json(path, remedy="convert the dataset again")


def _read_fingerprint(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} is missing; run nnUNetv2_extract_fingerprint -d {int(name[7:10])} first")
    return read_json(path, remedy=f"run nnUNetv2_extract_fingerprint -d {int(name[7:10])} --clean")


def _check_dataset(name: str, preset: Preset, description: dict[str, Any], fingerprint: dict[str, Any]) -> None:
    """Channels, file ending, dimensions, and a fingerprint of these very cases."""
    channels = list(description["channel_names"].values())
    if preset.n_channels is not None and len(channels) != preset.n_channels:
        raise UserError(
            f"the preset {preset.name} is meant for {preset.n_channels} channel(s), {name} has {len(channels)} "
            f"({', '.join(channels)}); docs/recipes.md says which recipe goes with it"
        )
    if description["file_ending"] in PLANAR_ENDINGS:
        raise UserError(
            f"the preset {preset.name} is for volumes with a voxel size in mm, {name} has "
            f"{description['file_ending']} files"
        )
    n_cases = len(fingerprint["spacings"])
    if n_cases != description["numTraining"]:
        raise UserError(
            f"the fingerprint of {name} is of {n_cases} cases, the dataset has {description['numTraining']}; run "
            f"nnUNetv2_extract_fingerprint -d {int(name[7:10])} --clean"
        )
    if len(fingerprint["spacings"][0]) != 3 or np.median([shape[0] for shape in fingerprint["shapes_after_crop"]]) <= 1:
        raise UserError(f"{name} is two-dimensional; the preset {preset.name} is for volumes")


def _check_sizes(name: str, preset: Preset, configuration: dict[str, Any], fingerprint: dict[str, Any]) -> list[str]:
    """Refuse images far smaller than the patch; tell what resampling does to them."""
    median = configuration["median_image_size_in_voxels"]
    if preset.patch_size is not None and (np.array(preset.patch_size) > 2 * np.array(median)).any():
        raise UserError(
            f"the images of {name} are too small for the preset {preset.name}: at {_by(configuration['spacing'])} mm "
            f"their median size is {_by(median)} voxels, the patch {_by(preset.patch_size)}; choose another preset"
        )
    factors = [math.prod(spacing) / math.prod(configuration["spacing"]) for spacing in fingerprint["spacings"]]
    factor = float(np.median(factors))
    notes = [
        f"resampling to {_by(configuration['spacing'])} mm changes the number of voxels {factor:.2g}-fold (median)"
    ]
    if factor > _MOST_UPSAMPLING:
        notes.append(
            "warning: that is far finer than the images are; preprocessed data and training time grow accordingly"
        )
    return notes


def _by(values: Sequence[float]) -> str:
    return "x".join(f"{value:.4g}" for value in values)
