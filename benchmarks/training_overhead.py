"""What divergence weighting costs: stock trainer and FairDiv in one process, in turn, on the same batches.

    python benchmarks/training_overhead.py                     small CPU setting
    python benchmarks/training_overhead.py --device cuda       patch 128³, batch 2, default and residual-encoder network

Prints a table: time of a training step (median over the pairs of steps, and the median of the ratios pair by pair),
peak memory of a training step, and the time of a refresh as a share of an epoch of 250 training steps. On the CPU the
time is the process's CPU time, which other programs on the machine disturb less, and the memory is the growth of the
resident memory at its peak, each trainer in a process of its own; on a GPU they are wall time and torch's allocator's
peak.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ITERATIONS_AN_EPOCH = 250
N_CASES = 1200
ATTRIBUTES = {"age": 5, "menopause": 2, "density": 4, "centre": 4, "manufacturer": 3}


def architecture(network: str, dimension: int, patch: list[int]) -> dict:
    """nnU-Net's own rules for a network of this patch at 1 mm."""
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    small = network == "small"
    features = 8 if small else 32
    _, strides, kernels, _, _ = get_pool_and_conv_props([1.0] * dimension, patch, 4, 3 if small else 999999)
    n_stages = len(strides)
    residual = network == "resenc"
    kwargs = {
        "n_stages": n_stages,
        "features_per_stage": [min(320, features * 2**stage) for stage in range(n_stages)],
        "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
        "kernel_sizes": [list(map(int, kernel)) for kernel in kernels],
        "strides": [list(map(int, stride)) for stride in strides],
        ("n_blocks_per_stage" if residual else "n_conv_per_stage"): (
            [1, 3, 4, 6, 6, 6, 6, 6][:n_stages] if residual else [2] * n_stages
        ),
        "n_conv_per_stage_decoder": [1 if residual else 2] * (n_stages - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimension}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    name = "ResidualEncoderUNet" if residual else "PlainConvUNet"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": kwargs,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def make_plans(network: str, patch: list[int]) -> dict:
    """Plans of one configuration, enough for a trainer to be made."""
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": "Dataset999_Overhead",
        "plans_name": "nnUNetPlans",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "experiment_planner_used": "ExperimentPlanner",
        "original_median_spacing_after_transp": [1.0] * 3,
        "original_median_shape_after_transp": patch,
        "foreground_intensity_properties_per_channel": {},
        "continue_training": False,
        "configurations": {
            "3d_fullres": {
                "data_identifier": "none",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": patch,
                "median_image_size_in_voxels": patch,
                "spacing": [1.0] * 3,
                "normalization_schemes": ["ZScoreNormalization"] * 3,
                "use_mask_for_norm": [False] * 3,
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg_kwargs": resampling,
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": resampling,
                "architecture": architecture(network, 3, patch),
                "batch_dice": False,
            }
        },
    }


def case_table() -> pd.DataFrame:
    """A cohort's attributes, drawn at random."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {name: [f"{name}{value}" for value in rng.integers(0, n, N_CASES)] for name, n in ATTRIBUTES.items()},
        index=[f"CASE_{number:04d}" for number in range(N_CASES)],
        dtype=object,
    )


def make_trainer(fair: bool, network: str, patch: list[int], device: str):
    """A trainer ready for ``train_step``; a fair one with weights that differ between cases."""
    import torch
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunet_fair.training.config import FairConfig
    from nnunet_fair.training.method import ON_LOSS
    from nnunet_fair.training.session import FairSession
    from nnunet_fair.training.trainer import nnUNetTrainerFairDivLoss

    dataset_json = {
        "channel_names": {"0": "a", "1": "b", "2": "c"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": N_CASES,
        "file_ending": ".nii.gz",
    }
    trainer = (nnUNetTrainerFairDivLoss if fair else nnUNetTrainer)(
        make_plans(network, patch), "3d_fullres", 0, dataset_json, torch.device(device)
    )
    # the loaders are not used: initialising must not look for a dataset
    import nnunetv2.training.nnUNetTrainer.nnUNetTrainer as module

    module.infer_dataset_class = lambda folder: nnUNetDatasetBlosc2
    torch.manual_seed(0)
    trainer.initialize()
    trainer.network.train()
    if fair:
        table = case_table()
        trainer.fair_session = FairSession(
            config=FairConfig(),
            method=ON_LOSS,
            metadata=table,
            train_ids=list(table.index),
            val_ids=[],
            present=pd.DataFrame({0: True}, index=table.index),
            folder=Path(trainer.output_folder),
            log=lambda line: None,
        )
        trainer.fair_session.begin(0)
        rng = np.random.default_rng(1)
        for _ in range(2):
            trainer.fair_session.add_patches(
                list(table.index), rng.integers(10, 60, (N_CASES, 1)), np.full((N_CASES, 1), 120)
            )
        trainer.fair_session.end_epoch(150, 1000)
    return trainer


def make_batches(patch: list[int], n: int) -> list[dict]:
    """Batches as the loaders give them: deep-supervision targets, case IDs; a lesion of 1 % of the patch."""
    import torch

    generator = torch.Generator().manual_seed(0)
    batches = []
    for number in range(n):
        target = (torch.rand((2, 1, *patch), generator=generator) < 0.01).to(torch.int16)
        batches.append(
            {
                "data": torch.randn((2, 3, *patch), generator=generator),
                "target": target,
                "keys": np.array([f"CASE_{(7 * number) % N_CASES:04d}", f"CASE_{(7 * number + 3) % N_CASES:04d}"]),
            }
        )
    return batches


def supervised(batch: dict, trainer) -> dict:
    """The batch with one target a resolution."""
    import torch

    scales = trainer._get_deep_supervision_scales()
    full = batch["target"].float()
    targets = [
        torch.nn.functional.interpolate(full, scale_factor=tuple(map(float, scale)), mode="nearest").to(torch.int16)
        for scale in scales
    ]
    return {**batch, "target": targets}


def synchronise(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def measure_steps(network: str, patch: list[int], device: str, pairs: int, warm_up: int) -> dict:
    """Time of a step of each trainer, in turn, and on a GPU the peak memory."""
    import torch

    trainers = {name: make_trainer(name == "fair", network, patch, device) for name in ("stock", "fair")}
    clock = time.perf_counter if device == "cuda" else time.process_time
    batches = [supervised(batch, trainers["stock"]) for batch in make_batches(patch, 4)]
    times: dict[str, list[float]] = {"stock": [], "fair": []}
    peaks: dict[str, list[float]] = {"stock": [], "fair": []}
    for number in range(warm_up + pairs):
        order = list(trainers) if number % 2 == 0 else list(trainers)[::-1]
        for name in order:
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated() if device == "cuda" else 0
            synchronise(device)
            started = clock()
            trainers[name].train_step(dict(batches[number % len(batches)]))
            synchronise(device)
            if number >= warm_up:
                times[name].append(clock() - started)
                if device == "cuda":
                    peaks[name].append(torch.cuda.max_memory_allocated() - before)
    session = trainers["fair"].fair_session
    refreshes = []
    for epoch in range(151, 158):
        started = time.perf_counter()
        session.end_epoch(epoch, 1000)
        refreshes.append(time.perf_counter() - started)
    stock = statistics.median(times["stock"])
    return {
        "stock_s": stock,
        "fair_s": statistics.median(times["fair"]),
        "time_ratio": statistics.median(f / s for f, s in zip(times["fair"], times["stock"], strict=True)),
        "stock_bytes": max(peaks["stock"], default=None),
        "fair_bytes": max(peaks["fair"], default=None),
        "refresh_s": statistics.median(refreshes),
        "refresh_share": statistics.median(refreshes) / (ITERATIONS_AN_EPOCH * stock),
    }


def measure_memory(fair: bool, network: str, patch: list[int]) -> int:
    """Growth of this process's resident memory at its peak, in bytes, over training steps on the CPU (Linux)."""
    trainer = make_trainer(fair, network, patch, "cpu")
    batches = [supervised(batch, trainer) for batch in make_batches(patch, 2)]
    trainer.train_step(dict(batches[0]))
    Path("/proc/self/clear_refs").write_text("5")  # starts the peak anew
    before = resident("VmRSS")
    for _ in range(3):
        for batch in batches:
            trainer.train_step(dict(batch))
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def memory_in_own_process(fair: bool, network: str, patch: list[int]) -> int:
    command = [sys.executable, __file__, "--memory-of", "fair" if fair else "stock", "--network", network]
    command += ["--patch", *map(str, patch)]
    # without this the heap keeps freed blocks or not as chance has it, and the figure varies by a tenth
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return int(output.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--network", choices=("small", "default", "resenc"), nargs="+")
    parser.add_argument("--patch", type=int, nargs=3)
    parser.add_argument("--pairs", type=int, default=30, help="measured pairs of steps")
    parser.add_argument("--warm-up", type=int, default=4)
    parser.add_argument("--memory-of", choices=("stock", "fair"), help=argparse.SUPPRESS)
    parser.add_argument("-o", metavar="FILE.json", help="write the numbers there too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{name}"] = folder
        if args.memory_of:
            print(measure_memory(args.memory_of == "fair", args.network[0], args.patch))
            return
        cuda = args.device == "cuda"
        networks = args.network or (["default", "resenc"] if cuda else ["small"])
        patch = args.patch or ([128, 128, 128] if cuda else [32, 64, 64])
        rows = []
        for network in networks:
            for compiled in ("0", "1") if cuda else ("0",):
                os.environ["nnUNet_compile"] = compiled  # noqa: SIM112 - nnU-Net's own name
                row = measure_steps(network, patch, args.device, args.pairs, args.warm_up)
                if not cuda:
                    row["stock_bytes"], row["fair_bytes"] = (
                        memory_in_own_process(fair, network, patch) for fair in (False, True)
                    )
                rows.append({"network": network, "compile": compiled == "1", **row})
        report(rows, patch, args.device, args.o)


def report(rows: list[dict], patch: list[int], device: str, output: str | None) -> None:
    import torch

    machine = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"\n{machine}; torch {torch.__version__}; patch {'x'.join(map(str, patch))}, batch 2")
    print("| network | compile | stock step | FairDiv step | time ratio | memory ratio | refresh | of an epoch |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['network']} | {'on' if row['compile'] else 'off'} | {1000 * row['stock_s']:.1f} ms | "
            f"{1000 * row['fair_s']:.1f} ms | {row['time_ratio']:.3f} | {row['fair_bytes'] / row['stock_bytes']:.3f} | "
            f"{1000 * row['refresh_s']:.0f} ms | {100 * row['refresh_share']:.2f} % |"
        )
    if output:
        Path(output).write_text(json.dumps({"machine": machine, "patch": patch, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
