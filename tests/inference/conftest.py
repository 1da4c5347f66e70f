"""Mask files for the tests of the inference room."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

# Not identity, not symmetric: a mix-up of axes or of ITK's and numpy's order shows.
SPACING_XYZ = (0.7, 0.8, 2.5)
ORIGIN = (-12.5, 4.5, 100.25)
DIRECTION = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def write_image():
    """Write an array of shape (slices, rows, columns) as an image with an oblique-to-the-axes geometry."""

    def write(array, path, spacing=SPACING_XYZ, origin=ORIGIN, direction=DIRECTION):
        image = sitk.GetImageFromArray(np.asarray(array))
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction)
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path), True)
        return path

    return write


@pytest.fixture
def read_array():
    """Read an image's array with SimpleITK alone."""
    return lambda path: sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def ball():
    """A bool array with the voxels within ``radius`` voxels of ``centre``."""

    def draw(shape, centre, radius):
        grid = np.ogrid[tuple(slice(size) for size in shape)]
        return sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2

    return draw


@pytest.fixture
def tiny_plans():
    """nnU-Net plans with one configuration and a network of two small stages."""
    return _tiny_plans


def _tiny_plans(transpose=(0, 1, 2), spacing=(2.0, 1.0, 1.0), reader="SimpleITKIO", name="Dataset950_TINY"):
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 16, 16],
        "median_image_size_in_voxels": [8.0, 16.0, 16.0],
        "spacing": list(spacing),
        "normalization_schemes": ["NoNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 2,
                "features_per_stage": [4, 8],
                "conv_op": "torch.nn.modules.conv.Conv3d",
                "kernel_sizes": [[1, 3, 3], [3, 3, 3]],
                "strides": [[1, 1, 1], [1, 2, 2]],
                "n_conv_per_stage": [1, 1],
                "n_conv_per_stage_decoder": [1],
                "conv_bias": True,
                "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": False,
    }
    return {
        "dataset_name": name,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(spacing),
        "original_median_shape_after_transp": [8, 16, 16],
        "image_reader_writer": reader,
        "transpose_forward": list(transpose),
        "transpose_backward": [int(axis) for axis in np.argsort(transpose)],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"max": 3.0, "mean": 1.0, "median": 1.0, "min": 0.0, "percentile_00_5": 0.0, "percentile_99_5": 3.0}
        },
    }


@pytest.fixture
def nnunet_folders(tmp_path, monkeypatch):
    """nnU-Net's three folders, empty, in the environment."""
    folders = {}
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        folders[variable] = tmp_path / "nnunet" / variable
        folders[variable].mkdir(parents=True)
        monkeypatch.setenv(variable, str(folders[variable]))
    monkeypatch.setenv("nnUNet_extTrainer", "")
    return folders


@pytest.fixture
def train_tiny_model(nnunet_folders, tiny_plans):
    """Make a model folder as a training leaves it; the weights are random, as untrained as they come."""

    def train(dataset, folds=(0, 1), trainer_name="nnUNetTrainerFairDiv", plans=None, configuration="3d_fullres"):
        import torch
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

        from nnunet_fair.training import trainer as trainers

        plans = plans or tiny_plans()
        name = plans["dataset_name"]
        identifier = plans["configurations"][configuration].get("data_identifier", "nnUNetPlans_3d_fullres")
        preprocessed = nnunet_folders["nnUNet_preprocessed"] / name / identifier
        preprocessed.mkdir(parents=True, exist_ok=True)
        (preprocessed / "placeholder.b2nd").touch()  # by its ending nnU-Net tells the storage format
        trainer_class = getattr(trainers, trainer_name, nnUNetTrainer)
        for fold in folds:
            torch.manual_seed(fold)
            arguments = {**copy.deepcopy(plans), "continue_training": False}
            trainer = trainer_class(arguments, configuration, fold, copy.deepcopy(dataset), torch.device("cpu"))
            trainer.initialize()
            trainer.inference_allowed_mirroring_axes = (0, 1, 2)
            trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
        model = Path(trainer.output_folder_base)
        (model / "dataset.json").write_text(json.dumps(dataset))
        (model / "plans.json").write_text(json.dumps(plans))
        (model / "dataset_fingerprint.json").write_text(json.dumps({"shapes_after_crop": [[8, 16, 16]]}))
        return model

    return train
