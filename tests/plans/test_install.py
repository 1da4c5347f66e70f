"""Installing a preset: plans that nnU-Net loads and builds a network from, or a refusal that says why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.plans.install import Installed, install_preset
from nnunet_fair.plans.presets import get_preset

SUBTRACTION = ("phase_1_minus_phase_0",)
SMALL = {"shape": (24, 64, 64), "spacing": (3.5, 1.3, 1.3)}  # the synthetic cohort's


def install(name: str, **options) -> Installed:
    return install_preset(950, get_preset(name), **options)


def network_outputs(path: Path, n_channels: int) -> list[tuple[int, ...]]:
    """Build the network as nnU-Net does and run it on tensors without data; shapes of the deep supervision outputs."""
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    configuration = PlansManager(str(path)).get_configuration("3d_fullres")
    with torch.device("meta"):
        network = get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            n_channels,
            2,
            allow_init=False,
            deep_supervision=True,
        )
        return [tuple(output.shape) for output in network(torch.zeros(1, n_channels, *configuration.patch_size))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "channels", "data", "patch", "batch", "coarsest"),
    [
        # 16 slices are not pooled, because 8 would be fewer than 12; 48 -> 24 -> 12
        ("cpu_demo", ("a", "b", "c"), SMALL, [16, 48, 48], 2, (16, 12, 12)),
        # 80 = 5 * 2**4 and 256 = 4 * 2**6: slices are pooled four times, rows and columns six times
        ("resenc_l_fme", SUBTRACTION, {}, [80, 256, 256], 2, (5, 4, 4)),
        ("resenc_l_1mm", ("noNorm",) * 3, {}, None, 3, None),
        ("baseline_1mm", ("noNorm",), {}, None, None, None),
    ],
    ids=["cpu_demo", "resenc_l_fme", "resenc_l_1mm", "baseline_1mm"],
)
def test_nnunet_loads_the_plans_and_builds_the_network(dataset, name, channels, data, patch, batch, coarsest) -> None:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    dataset(channels=channels, **data)
    installed = install(name)
    assert installed.path.name == f"{name}.json"
    preset, manager = get_preset(name), PlansManager(str(installed.path))
    configuration = manager.get_configuration("3d_fullres")
    assert manager.plans_name == name
    assert manager.available_configurations == ["3d_fullres"]
    if preset.spacing is not None:
        assert configuration.spacing == list(preset.spacing)
    scheme = "NoNormalization" if channels[0] == "noNorm" else "ZScoreNormalization"
    assert configuration.normalization_schemes == [scheme] * len(channels)
    if patch is not None:
        assert configuration.patch_size == patch
    if batch is not None:
        assert configuration.batch_size == batch
    outputs = network_outputs(installed.path, len(channels))
    assert outputs[0] == (1, 2, *configuration.patch_size)
    strides = np.prod(configuration.network_arch_init_kwargs["strides"], axis=0)
    assert not np.any(np.array(configuration.patch_size) % strides)
    if coarsest is not None:
        assert tuple(np.array(configuration.patch_size) // strides) == coarsest
    if preset.planning_memory_gb is not None:
        assert 0.5 * preset.planning_memory_gb < installed.estimated_gb <= preset.planning_memory_gb
    plans = json.loads(installed.path.read_text())
    assert plans.get("nnunet_fair") == preset.nnunet_fair
    assert install(name).path == installed.path  # the same plans again are no conflict


@pytest.mark.slow
def test_cpu_demo_is_small_and_keeps_the_spacing_nnunet_finds(dataset) -> None:
    dataset(**SMALL)
    installed = install("cpu_demo")
    arguments = installed.configuration["architecture"]["arch_kwargs"]
    assert arguments["features_per_stage"] == [8, 16, 32]
    assert installed.configuration["spacing"] == [3.5, 1.3, 1.3]
    assert installed.configuration["median_image_size_in_voxels"] == [24, 64, 64]
    assert installed.configuration["data_identifier"] == "nnunet_fair_3.5x1.3x1.3mm_3d_fullres"


@pytest.mark.slow
def test_presets_of_one_spacing_share_preprocessed_data(dataset) -> None:
    dataset(channels=("noNorm",))
    first, second, other = (install(name).configuration for name in ("baseline_1mm", "resenc_l_1mm", "resenc_l_fme"))
    assert first["data_identifier"] == second["data_identifier"] == "nnunet_fair_1x1x1mm_3d_fullres"
    assert other["data_identifier"] == "nnunet_fair_2x0.7x0.7mm_3d_fullres"


@pytest.mark.slow
def test_the_coarse_axis_is_the_datasets_own(dataset) -> None:
    path = dataset(channels=SUBTRACTION, shape=(512, 80, 512), spacing=(0.7, 2.2, 0.7))
    installed = install("resenc_l_fme")
    plans = json.loads((path / "resenc_l_fme.json").read_text())
    assert plans["transpose_forward"] == [1, 0, 2]
    assert installed.configuration["spacing"] == [2.0, 0.7, 0.7]
    assert installed.configuration["patch_size"] == [80, 256, 256]
    assert installed.configuration["median_image_size_in_voxels"] == [88, 512, 512]


@pytest.mark.slow
def test_edited_plans_are_not_replaced_unasked(dataset) -> None:
    dataset(**SMALL)
    path = install("cpu_demo").path
    plans = json.loads(path.read_text())
    plans["nnunet_fair"]["strength"] = 2.0
    path.write_text(json.dumps(plans))
    with pytest.raises(UserError, match="holds other plans"):
        install("cpu_demo")
    install("cpu_demo", overwrite=True)
    assert "strength" not in json.loads(path.read_text())["nnunet_fair"]


@pytest.mark.slow
def test_images_far_smaller_than_the_patch_are_refused(dataset) -> None:
    path = dataset(channels=SUBTRACTION, **SMALL)  # at 2 x 0.7 x 0.7 mm: 42 x 119 x 119 voxels
    with pytest.raises(UserError, match="42x119x119 voxels, the patch 80x256x256"):
        install("resenc_l_fme")
    assert not (path / "resenc_l_fme.json").exists()


@pytest.mark.slow
def test_the_command_says_what_was_written_and_how_to_go_on(dataset, capsys: pytest.CaptureFixture) -> None:
    path = dataset(**SMALL)
    assert main(["plans", "install", "cpu_demo", "-d", "950"]) == 0
    out = capsys.readouterr().out
    assert f"Wrote {path / 'cpu_demo.json'}" in out
    assert "nnUNetv2_train 950 3d_fullres 0 -p cpu_demo" in out


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("resenc_l_fme", {}, r"meant for 1 channel\(s\), Dataset950_TEST has 3"),
        ("cpu_demo", {"file_ending": ".png"}, "has .png files"),
        ("cpu_demo", {"n_in_fingerprint": 2}, "fingerprint of Dataset950_TEST is of 2 cases, the dataset has 3"),
        ("cpu_demo", {"shape": (1, 512, 512)}, "two-dimensional"),
    ],
    ids=["channels", "file ending", "old fingerprint", "2D"],
)
def test_what_does_not_fit_is_refused(dataset, name: str, data: dict, message: str) -> None:
    path = dataset(**data)
    with pytest.raises(UserError, match=message):
        install(name)
    assert not (path / f"{name}.json").exists()


def test_a_missing_fingerprint_names_the_command(dataset, capsys: pytest.CaptureFixture) -> None:
    path = dataset()
    (path / "dataset_fingerprint.json").unlink()
    assert main(["plans", "install", "cpu_demo", "-d", "950"]) == 1
    assert "nnUNetv2_extract_fingerprint -d 950" in capsys.readouterr().err
