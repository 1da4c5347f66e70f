"""A tiny preprocessed nnU-Net dataset, written in the form nnU-Net's own preprocessing leaves behind."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

N_CASES = 12
SHAPE = (12, 24, 24)


def _architecture(dimension: int, n_stages: int = 3) -> dict:
    conv, norm = f"torch.nn.modules.conv.Conv{dimension}d", f"torch.nn.modules.instancenorm.InstanceNorm{dimension}d"
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": n_stages,
            "features_per_stage": [4, 8, 8][:n_stages],
            "conv_op": conv,
            "kernel_sizes": [[3] * dimension] * n_stages,
            "strides": [[1] * dimension] + [[2] * dimension] * (n_stages - 1),
            "n_conv_per_stage": [1] * n_stages,
            "n_conv_per_stage_decoder": [1] * (n_stages - 1),
            "conv_bias": True,
            "norm_op": norm,
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _configuration(dimension: int, *, data_identifier: str, batch_dice: bool = False) -> dict:
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": data_identifier,
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 16, 16][-dimension:],
        "median_image_size_in_voxels": list(SHAPE)[-dimension:],
        "spacing": [1.0] * dimension,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling,
        "architecture": _architecture(dimension),
        "batch_dice": batch_dice,
    }


LABELS = {
    "plain": {"background": 0, "tumor": 1},
    "classes": {"background": 0, "edema": 1, "tumor": 2},
    "regions": {"background": 0, "whole": [1, 2], "core": [2]},
    "ignore": {"background": 0, "edema": 1, "tumor": 2, "ignore": 3},
    "regions_ignore": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3},
}


@dataclass(frozen=True)
class TinyDataset:
    """Where the dataset lies and what is in it."""

    name: str
    raw: Path
    preprocessed: Path
    results: Path
    case_ids: tuple[str, ...]
    plans: dict
    dataset_json: dict

    @property
    def folder(self) -> Path:
        return self.preprocessed / self.name

    @property
    def fair_cases(self) -> Path:
        return self.folder / "fair_cases.csv"

    def trainer(
        self,
        trainer_class: type,
        *,
        configuration: str = "3d_fullres",
        fold: int | str = 0,
        settings: dict | None = None,
        resume: bool = False,
        plots: bool = False,
    ):
        """A trainer as nnUNetv2_train makes it, on the CPU, for a training of seconds.

        nnU-Net's own plot takes longer than such a training; it is drawn only where a test asks for it.
        """
        import torch

        plans = copy.deepcopy(self.plans)
        if settings is not None:
            plans["nnunet_fair"] = settings
        plans["continue_training"] = resume
        trainer = trainer_class(plans, configuration, fold, copy.deepcopy(self.dataset_json), torch.device("cpu"))
        if hasattr(trainer, "fair_method"):
            trainer.fair_method = replace(trainer.fair_method, min_cases=2)  # of 9 training cases
        trainer.num_iterations_per_epoch = 6
        trainer.num_val_iterations_per_epoch = 2
        if not plots:
            trainer.logger.plot_progress_png = lambda folder: None
        return trainer


def _labels(kind: str, lesion: np.ndarray, core: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seg = lesion.astype(np.int16)
    if kind != "plain":
        seg[core] = 2
    if "ignore" in kind:
        seg[:, :, : rng.integers(2, 6)] = 3
    return seg


@pytest.fixture
def tiny_dataset(tmp_path, monkeypatch):
    """Makes a dataset of 12 cases: bright balls, dimmer for one planted subgroup."""

    def make(kind: str = "plain", *, batch_dice: bool = False, n_cases: int = N_CASES) -> TinyDataset:
        from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

        name = "Dataset901_Tiny"
        folders = {key: tmp_path / key for key in ("raw", "preprocessed", "results")}
        for key, folder in folders.items():
            (folder / name).mkdir(parents=True)
            monkeypatch.setenv(f"nnUNet_{key}", str(folder))
        monkeypatch.setenv("nnUNet_n_proc_DA", "0")
        folder = folders["preprocessed"] / name
        plans = {
            "dataset_name": name,
            "plans_name": "nnUNetPlans",
            "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
            "original_median_shape_after_transp": list(SHAPE),
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "configurations": {
                "2d": _configuration(2, data_identifier="nnUNetPlans_3d", batch_dice=True),
                "3d_fullres": _configuration(3, data_identifier="nnUNetPlans_3d", batch_dice=batch_dice),
                "3d_lowres": {
                    **_configuration(3, data_identifier="nnUNetPlans_3d"),
                    "next_stage": "3d_cascade_fullres",
                },
                "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
            },
            "experiment_planner_used": "ExperimentPlanner",
            "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": {
                "0": dict.fromkeys(("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 1.0)
            },
        }
        dataset_json = {
            "channel_names": {"0": "MRI"},
            "labels": LABELS[kind],
            "numTraining": n_cases,
            "file_ending": ".nii.gz",
        }
        if "regions" in kind:
            dataset_json["regions_class_order"] = [1, 2]
        data_folder = folder / "nnUNetPlans_3d"
        (folder / "gt_segmentations").mkdir()
        data_folder.mkdir()
        case_ids = tuple(f"CASE_{i:03d}" for i in range(n_cases))
        rows = {}
        for number, case_id in enumerate(case_ids):
            rng = np.random.default_rng(number)
            hard = number % 3 == 0
            centre = [rng.integers(4, size - 4) for size in SHAPE]
            distance = np.sqrt(sum((grid - c) ** 2 for grid, c in zip(np.indices(SHAPE), centre, strict=True)))
            lesion, core = distance < 3.6, distance < 2
            image = (rng.normal(size=SHAPE) * 0.3 + lesion * (0.7 if hard else 2.0)).astype(np.float32)
            seg = _labels(kind, lesion, core, rng)
            foreground = [1] if kind == "plain" else [1, 2]
            wanted = [(1, 2), (2,)] if "regions" in kind else foreground
            locations = {
                key: np.argwhere(np.isin(seg[None], key if isinstance(key, tuple) else (key,))) for key in wanted
            }
            if "ignore" in kind:
                # the key nnU-Net's loader asks for; regions list their labels flat
                locations[(-1, 0, 1, 2)] = np.argwhere(seg[None] < 3)
            properties = {
                "sitk_stuff": {"spacing": (1.0,) * 3, "origin": (0.0,) * 3, "direction": tuple(np.eye(3).ravel())},
                "spacing": [1.0, 1.0, 1.0],
                "shape_before_cropping": SHAPE,
                "bbox_used_for_cropping": [[0, size] for size in SHAPE],
                "shape_after_cropping_and_before_resampling": SHAPE,
                "class_locations": locations,
            }
            nnUNetDatasetBlosc2.save_case(image[None], seg[None], properties, str(data_folder / case_id))
            sitk.WriteImage(
                sitk.GetImageFromArray(seg.astype(np.uint8)), str(folder / "gt_segmentations" / f"{case_id}.nii.gz")
            )
            rows[case_id] = {"density": "d" if hard else "a", "site=centre": ["A", "B"][number % 2]}
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.rename_axis("case_id").to_csv(folder / "fair_cases.csv")
        splits = [
            {"train": [c for i, c in enumerate(case_ids) if i % 4 != f], "val": list(case_ids[f::4])} for f in range(4)
        ]
        for file, content in (
            ("splits_final.json", splits),
            ("dataset.json", dataset_json),
            ("nnUNetPlans.json", plans),
            ("dataset_fingerprint.json", {}),
        ):
            (folder / file).write_text(json.dumps(content))
        import nnunetv2.paths  # noqa: F401 - reads the variables when asked for (lazy paths)

        return TinyDataset(
            name, folders["raw"], folders["preprocessed"], folders["results"], case_ids, plans, dataset_json
        )

    return make
