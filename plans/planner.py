"""nnU-Net's own planners, held to what a preset fixes.

Only here is nnU-Net imported, inside the functions: it takes seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import numpy as np

from nnunet_fair.errors import UserError
from nnunet_fair.plans.presets import Preset

CONFIGURATION = "3d_fullres"
_REFERENCE_BATCH_SIZE = 2  # what nnU-Net's reference values of memory are for
_NO_LIMIT_GB = 1e6


def plan(dataset_name: str, preset: Preset) -> tuple[dict[str, Any], float]:
    """Plan a dataset by a preset.

    nnU-Net's planner decides what depends on the dataset (axis order, normalisation, reader, median size, target
    spacing where the preset leaves it open) and derives strides, kernel sizes and the number of stages from spacing and
    patch.

    Args:
        dataset_name: such as ``Dataset950_MAMAMIA``; its fingerprint has been extracted.
        preset: what is fixed.

    Returns:
        The plans as JSON types, with the one configuration ``3d_fullres``, and the GPU memory nnU-Net estimates for
        training it, in GB.

    Raises:
        UserError: the dataset is two-dimensional, or nnU-Net cannot reach the preset's patch size.
    """
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    planner_class = _planner_class(preset)
    spacing = _spacing_by_axis(planner_class(dataset_name), preset)
    planner = planner_class(dataset_name, plans_name=preset.name, overwrite_target_spacing=spacing)
    planner.lowres_creation_threshold = 0  # no low-resolution configuration
    with contextlib.redirect_stdout(io.StringIO()):  # the planner prints every configuration
        plans = planner.plan_experiment()
    if CONFIGURATION not in plans["configurations"]:
        raise UserError(f"{dataset_name} is two-dimensional; the presets are for volumes")
    configuration = plans["configurations"][CONFIGURATION]
    plans["configurations"] = {CONFIGURATION: configuration}
    plans["experiment_planner_used"] = preset.planner
    configuration["data_identifier"] = data_identifier(configuration["spacing"])
    if preset.nnunet_fair is not None:
        plans["nnunet_fair"] = dict(preset.nnunet_fair)
    recursive_fix_for_json_export(plans)  # numpy's types
    return json.loads(json.dumps(plans)), planner.estimated_gb(configuration["batch_size"])


def data_identifier(spacing: Any) -> str:
    """The folder of preprocessed data: one for each target spacing, shared by the presets that resample to it.

    Args:
        spacing: target voxel size in mm, in the transposed axis order.
    """
    return "nnunet_fair_" + "x".join(f"{size:g}" for size in spacing) + f"mm_{CONFIGURATION}"


def _spacing_by_axis(planner: Any, preset: Preset) -> list[float] | None:
    """The preset's spacing along the dataset's own axes: the coarse axis is the one nnU-Net finds coarsest."""
    if preset.spacing is None:
        return None
    _, transpose_backward = planner.determine_transpose()
    return [float(preset.spacing[axis]) for axis in transpose_backward]


def _planner_class(preset: Preset) -> Any:
    """nnU-Net's planner class with the preset's numbers."""
    import nnunetv2
    import torch
    from batchgenerators.utilities.file_and_folder_operations import join
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    base: Any = recursive_find_python_class(
        join(nnunetv2.__path__[0], "experiment_planning"), preset.planner, "nnunetv2.experiment_planning"
    )

    class PresetPlanner(base):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.UNet_base_num_features = preset.base_num_features
            self.UNet_max_features_3d = preset.max_num_features
            self.UNet_featuremap_min_edge_length = preset.featuremap_min_edge_length
            if preset.planning_memory_gb is None:
                self.UNet_vram_target_GB = _NO_LIMIT_GB  # the patch is fixed, nothing is to be fitted
            else:
                # The planner fits a batch of two into its target; a larger batch needs a smaller patch.
                batch_size = preset.batch_size or _REFERENCE_BATCH_SIZE
                self.UNet_vram_target_GB = preset.planning_memory_gb * _REFERENCE_BATCH_SIZE / batch_size
            self._feature_map_size = 0.0

        def get_plans_for_configuration(self, spacing, median_shape, data_identifier, n_voxels, cache):
            if len(spacing) == 2:  # the planner always plans 2d as well; it is not wanted and costs time
                return {}
            shape = median_shape if preset.patch_size is None else np.array(preset.patch_size)
            found = super().get_plans_for_configuration(spacing, shape, data_identifier, n_voxels, cache)
            if preset.patch_size is not None and tuple(found["patch_size"]) != preset.patch_size:
                raise UserError(
                    f"the preset {preset.name} wants patches of {_by(preset.patch_size)}, nnU-Net makes "
                    f"{_by(found['patch_size'])} of them at a spacing of {_by(spacing)} mm; choose another preset"
                )
            found["median_image_size_in_voxels"] = median_shape
            if preset.batch_size is not None:
                found["batch_size"] = preset.batch_size
            return found

        def static_estimate_VRAM_usage(self, *args: Any, **kwargs: Any) -> float:  # noqa: N802 (nnU-Net's name)
            with torch.device("meta"):  # feature maps are only counted, which needs no weights
                self._feature_map_size = super().static_estimate_VRAM_usage(*args, **kwargs)
            return self._feature_map_size

        def save_plans(self, plans: dict) -> None:
            """Saving is the installer's."""

        def estimated_gb(self, batch_size: int) -> float:
            share = self._feature_map_size / self.UNet_reference_val_3d
            return share * self.UNet_reference_val_corresp_GB * batch_size / _REFERENCE_BATCH_SIZE

    return PresetPlanner


def _by(values: Any) -> str:
    return "x".join(f"{value:g}" for value in values)
