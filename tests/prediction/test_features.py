"""The encoder's features: against nnU-Net's own forward pass, and of the right fold's network."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.prediction.encoder_features import encoder_of, encoder_stages, image_features

pytestmark = pytest.mark.slow
DATASET = {
    "channel_names": {"0": "MR"},
    "labels": {"background": 0, "tumor": 1},
    "numTraining": 3,
    "file_ending": ".nii.gz",
}
SHAPE = (1, 8, 20, 24)


def _network(name: str, **more):
    import torch
    from dynamic_network_architectures.architectures import unet

    torch.manual_seed(0)
    arguments = {
        **{"input_channels": 1, "n_stages": 3, "features_per_stage": [4, 6, 8], "conv_op": torch.nn.Conv3d},
        **{"kernel_sizes": 3, "strides": [1, 2, 2], "num_classes": 2, "n_conv_per_stage_decoder": 1, "conv_bias": True},
        **{"norm_op": torch.nn.InstanceNorm3d, "norm_op_kwargs": {"affine": True}, "nonlin": torch.nn.LeakyReLU},
        **more,
    }
    return getattr(unet, name)(**arguments).eval()


@pytest.mark.parametrize(
    ("name", "more"), [("PlainConvUNet", {"n_conv_per_stage": 1}), ("ResidualEncoderUNet", {"n_blocks_per_stage": 1})]
)
def test_stages_are_those_of_the_forward_pass(name, more):
    import torch

    network = _network(name, **more)
    patch = torch.randn(2, 1, 8, 16, 16)
    with torch.inference_mode():
        stages, skips = encoder_stages(encoder_of(network), patch), network.encoder(patch)
    assert len(stages) == 3 and all(torch.equal(a, b) for a, b in zip(stages, skips, strict=True))
    with pytest.raises(UserError, match="a Linear has no encoder in stages"):
        encoder_of(torch.nn.Linear(1, 1))


def test_an_image_is_the_mean_and_maximum_over_its_patches():
    import torch

    network = _network("PlainConvUNet", n_conv_per_stage=1)
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    found = image_features(network, image, (8, 16, 16), device=torch.device("cpu"))
    starts = [(y, x) for y in (0, 4) for x in (0, 8)]
    with torch.inference_mode():
        patches = torch.stack([torch.from_numpy(image[:, :, y : y + 16, x : x + 16]) for y, x in starts])
        bottleneck = torch.cat([network.encoder(patch[None])[-1] for patch in patches]).flatten(2)
    expected = torch.cat([bottleneck.mean(dim=(0, 2)), bottleneck.amax(dim=(0, 2))])
    assert found == pytest.approx(expected.numpy(), abs=1e-6)
    small = image_features(network, image[:, :4, :10, :10], (8, 16, 16), device=torch.device("cpu"))
    assert small.shape == (16,) and np.isfinite(small).all()


@pytest.fixture
def trained(nnunet_folders, train_tiny_model):
    """Two folds with other weights, three preprocessed cases and a fourth that is damaged."""
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    model = train_tiny_model(DATASET, trainer_name="nnUNetTrainerFairDiv")
    root = nnunet_folders["nnUNet_preprocessed"] / "Dataset950_TINY"
    folder = root / "nnUNetPlans_3d_fullres"
    rng = np.random.default_rng(1)
    for case_id in ("A", "B", "C"):
        image = rng.normal(size=SHAPE).astype(np.float32)
        nnUNetDatasetBlosc2.save_case(image, np.zeros(SHAPE, np.int8), {"spacing": [1, 1, 1]}, str(folder / case_id))
    splits = [{"train": ["C"], "val": ["A", "B", "lost"]}, {"train": ["A", "B"], "val": ["C"]}]
    (root / "splits_final.json").write_text(json.dumps(splits))
    return model


def test_each_training_case_is_seen_by_the_fold_that_did_not_train_on_it(trained, tmp_path, capsys, write_image):
    out = tmp_path / "features.csv"
    assert main(["features", "-d", "950", "-device", "cpu", "-o", str(out)]) == 1
    assert "skipped: lost: its preprocessed image cannot be read" in capsys.readouterr().err
    table = pd.read_csv(out, index_col="case_id")
    assert dict(table["network"]) == {"A": "fold_0", "B": "fold_0", "C": "fold_1"}
    assert list(table.columns[[1, 8, 9, 16]]) == ["mean_0000", "mean_0007", "max_0000", "max_0007"]
    assert main(["features", "-d", "950", "-device", "cpu", "-o", str(tmp_path / "one.csv"), "-f", "1"]) == 0
    again = pd.read_csv(tmp_path / "one.csv", index_col="case_id")
    pd.testing.assert_frame_equal(again, table.loc[["C"]])
    record = json.loads((tmp_path / "features.json").read_text())
    assert record["n_cases"] == 3 and record["n_skipped"] == 1 and record["trainer"] == "nnUNetTrainerFairDiv"

    image = np.random.default_rng(2).normal(100, 20, SHAPE[1:]).astype(np.float32)
    for case_id in ("X", "Y"):
        write_image(image, tmp_path / "new" / f"{case_id}_0000.nii.gz")
    write_image(image * np.nan, tmp_path / "new" / "Z_0000.nii.gz")
    arguments = ["features", "-d", "950", "-device", "cpu", "-i", str(tmp_path / "new"), "-o", str(tmp_path / "x.csv")]
    assert main(arguments) == 1
    assert "skipped: Z: Z_0000.nii.gz holds" in capsys.readouterr().err
    new = pd.read_csv(tmp_path / "x.csv", index_col="case_id")
    assert set(new["network"]) == {"fold_0+fold_1"} and new.shape == (2, 33)
    assert np.array_equal(new.loc["X"].to_numpy()[1:], new.loc["Y"].to_numpy()[1:])
    folds = new.filter(regex="^fold0_").to_numpy(), new.filter(regex="^fold1_").to_numpy()
    assert folds[0].shape == (2, 16) and not np.allclose(*folds)


def test_nothing_preprocessed_and_foreign_files_are_refused(trained, tmp_path, capsys):
    (tmp_path / "mine.csv").write_text("my,table\n1,2\n")
    assert main(["features", "-d", "950", "-device", "cpu", "-o", str(tmp_path / "mine.csv")]) == 1
    assert (tmp_path / "mine.csv").read_text() == "my,table\n1,2\n"
    assert main(["features", "-d", "950", "-device", "cpu", "-o", f"{tmp_path}/a.csv", "-f", "7"]) == 1
    (tmp_path / "nnunet" / "nnUNet_preprocessed" / "Dataset950_TINY" / "splits_final.json").unlink()
    assert main(["features", "-d", "950", "-device", "cpu", "-o", f"{tmp_path}/a.csv"]) == 1
    assert "run nnUNetv2_preprocess and train a fold" in capsys.readouterr().err
