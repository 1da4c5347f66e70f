"""``predict --response``: the head's table beside the same masks, on models of random weights."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from nnunet_fair.cli import main
from nnunet_fair.prediction.model import open_model
from nnunet_fair.prediction.response import read_heads
from nnunet_fair.training.joint.response_prediction import HEAD_KEY

pytestmark = pytest.mark.slow

SHAPE = (10, 24, 28)
SPACING_XYZ = (1.0, 1.0, 2.0)
DATASET = {
    "channel_names": {"0": "MR"},
    "labels": {"background": 0, "tumor": 1},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
PREVALENCE = (0.25, 0.5)


@pytest.fixture
def images(tmp_path, write_image):
    """Three images as nnU-Net takes them."""
    rng = np.random.default_rng(1)
    for case_id in ("A", "B", "C"):
        write_image(
            rng.normal(0, 1, SHAPE).astype(np.float32), tmp_path / "new" / f"{case_id}_0000.nii.gz", SPACING_XYZ
        )
    return tmp_path / "new"


@pytest.fixture
def joint_model(train_tiny_model):
    """Two folds with heads that know a prevalence."""

    def train(**options):
        model = train_tiny_model(DATASET, trainer_name="nnUNetTrainerFairJoint", **options)
        for fold, share in zip(options.get("folds", (0, 1)), PREVALENCE, strict=False):
            change(model, fold, lambda saved, share=share: head_of(saved)["prevalence"].fill_(share))
        return model

    return train


def head_of(checkpoint):
    return checkpoint["optimizer_state"][HEAD_KEY]


def change(model, fold, edit):
    """Change a fold's checkpoint."""
    path = model / f"fold_{fold}" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    edit(checkpoint)
    torch.save(checkpoint, path)


def blind(checkpoint):
    """Let a network predict no lesion."""
    layers = [key for key in checkpoint["network_weights"] if key.startswith("decoder.seg_layers")]
    for key in layers:
        if key.endswith("bias"):
            checkpoint["network_weights"][key][1] = -1e3


def predict(images, output, *more, folds=(0, 1)):
    common = ("-npp", "0", "-nps", "0", "-device", "cpu", "-tr", "nnUNetTrainerFairJoint", "-d", "950")
    return main(["predict", "-i", str(images), "-o", str(output), *common, "-f", *map(str, folds), *map(str, more)])


def table_of(path):
    return pd.read_csv(path, index_col="case_id", keep_default_na=False, na_values=[""])


def test_the_masks_are_the_same_and_every_case_has_a_probability(tmp_path, images, joint_model, capsys):
    joint_model()
    assert predict(images, tmp_path / "plain") == 0
    assert predict(images, tmp_path / "masks", "--response", tmp_path / "masks" / "response.csv") == 0
    assert "3 cases, " in (said := capsys.readouterr().out) and "predicted to have a response: wrote" in said
    for case_id in ("A", "B", "C"):
        mask = (tmp_path / "masks" / f"{case_id}.nii.gz").read_bytes()
        assert mask == (tmp_path / "plain" / f"{case_id}.nii.gz").read_bytes()
    table = table_of(tmp_path / "masks" / "response.csv")
    assert list(table.index) == ["A", "B", "C"]
    assert table["probability"].between(0, 1, inclusive="neither").all() and table["probability"].nunique() == 3
    assert table["note"].isna().all()
    record = json.loads((tmp_path / "masks" / "response.json").read_text())
    assert record["prevalence"] == {"0": 0.25, "1": 0.5} and record["folds"] == [0, 1]
    assert (table["prediction"] == (table["probability"] >= record["threshold"])).all()

    # nnU-Net's own processes change nothing; one fold alone says something else
    options = ["-npp", "1", "-nps", "1", "--response", str(tmp_path / "again.csv")]
    assert predict(images, tmp_path / "several", *options) == 0
    pd.testing.assert_frame_equal(table_of(tmp_path / "again.csv"), table)
    assert predict(images, tmp_path / "one", "--response", tmp_path / "one.csv", folds=(0,)) == 0
    assert not np.allclose(table_of(tmp_path / "one.csv")["probability"], table["probability"])

    assert predict(images, tmp_path / "masks", "--response", tmp_path / "masks" / "response.csv") == 1
    assert "--overwrite replaces it" in capsys.readouterr().err


def test_a_lesion_that_is_not_found_has_no_probability(tmp_path, images, joint_model, capsys):
    model = joint_model()
    change(model, 0, blind)
    assert predict(images, tmp_path / "a", "--response", tmp_path / "a.csv") == 0
    table = table_of(tmp_path / "a.csv")
    assert (table["note"] == "fold 0 predicted no lesion and has no part in it").all()
    change(model, 1, blind)
    assert predict(images, tmp_path / "b", "--response", tmp_path / "b.csv") == 0
    assert "3 without a probability" in capsys.readouterr().out
    table = table_of(tmp_path / "b.csv")
    assert table[["probability", "prediction"]].isna().all(axis=None)
    assert table["note"].str.startswith("no lesion was predicted").all()


def test_a_model_without_heads_is_refused_before_anything_is_predicted(tmp_path, images, joint_model, capsys):
    model = joint_model()
    change(model, 1, lambda saved: saved["optimizer_state"].pop(HEAD_KEY))
    arguments = (images, tmp_path / "out", "--response", tmp_path / "r.csv")
    assert predict(*arguments) == 1
    assert "fold 1 has no response head and fold 0 has one" in capsys.readouterr().err
    change(model, 0, lambda saved: saved.pop("optimizer_state"))
    assert predict(*arguments) == 1
    assert "has no response head, so it predicts no response: train it with" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (tmp_path / "r.csv").exists()
    assert predict(images, tmp_path / "out") == 0


def test_a_head_without_a_prevalence_is_refused(tmp_path, images, joint_model, capsys):
    change(joint_model(folds=(0,)), 0, lambda saved: head_of(saved)["prevalence"].fill_(float("nan")))
    assert predict(images, tmp_path / "out", "--response", tmp_path / "r.csv", folds=(0,)) == 1
    assert "does not record how many of its training cases had a response" in capsys.readouterr().err


def test_an_interrupted_run_goes_on(tmp_path, images, joint_model):
    joint_model(folds=(0,))
    raw = tmp_path / "raw"
    options = ("--raw", raw, "--overwrite")
    assert predict(images, tmp_path / "out", *options, folds=(0,)) == 0  # without the response: all is predicted again
    options = (*options, "--response", tmp_path / "r.csv")
    assert predict(images, tmp_path / "out", *options, folds=(0,)) == 0
    expected = table_of(tmp_path / "r.csv")
    readings = raw / "response"
    (readings / "A.json").write_text('{"0": {"lesion_voxels": 7, "logit": 0.0}}')  # is there, and taken as it is
    (readings / "B.json").write_text('{"0": {"lesion')  # cut short
    (raw / "C.nii.gz").unlink()
    (readings / "C.json").write_text('{"0": {"lesion_voxels": 7, "logit": 0.0}}')  # but its mask is not
    assert predict(images, tmp_path / "out", *options, folds=(0,)) == 0
    table = table_of(tmp_path / "r.csv")
    assert table.loc["A", "probability"] == pytest.approx(PREVALENCE[0])
    pd.testing.assert_frame_equal(table.loc[["B", "C"]], expected.loc[["B", "C"]])


def test_of_a_cascade_the_stage_that_was_asked_for_is_read(tmp_path, images, joint_model, tiny_plans):
    plans = tiny_plans()
    fullres = plans["configurations"]["3d_fullres"]
    lowres = {**fullres, "spacing": [2.0, 2.0, 2.0], "data_identifier": "low", "next_stage": "3d_cascade_fullres"}
    cascade = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    plans["configurations"] |= {"3d_lowres": lowres, "3d_cascade_fullres": cascade}
    tables = {}
    for configuration in ("3d_lowres", "3d_cascade_fullres"):
        joint_model(folds=(0,), plans=plans, configuration=configuration)
        output = tmp_path / f"{configuration}.csv"
        options = ("-c", configuration, "--response", output)
        assert predict(images, tmp_path / configuration, *options, folds=(0,)) == 0
        tables[configuration] = table_of(output)["probability"]
    assert tables["3d_lowres"].notna().all() and tables["3d_cascade_fullres"].notna().all()
    assert not np.allclose(*tables.values())


def test_only_what_is_asked_for_is_read_of_a_checkpoint(joint_model):
    model = joint_model()
    heads = read_heads(open_model(model))
    assert heads.prevalence == PREVALENCE
    saved = torch.load(model / "fold_1" / "checkpoint_final.pth", weights_only=False)
    assert all(torch.equal(value, heads.weights[1][key]) for key, value in head_of(saved).items())


@pytest.mark.parametrize("name", ["prediction_report.csv", "postprocessing.csv"])
def test_the_records_beside_the_masks_keep_their_names(tmp_path, images, joint_model, capsys, name):
    joint_model(folds=(0,))
    assert predict(images, tmp_path / "out", "--response", tmp_path / "out" / name, folds=(0,)) == 1
    assert "is a name of the records beside the masks" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "x"], "-i is needed"),
        (["--crossval"], "name its table with --response"),
        (["--crossval", "--response", "r.csv", "-i", "x", "--no-postprocessing"], "-i and --no-postprocessing has no"),
    ],
)
def test_requests_that_make_no_sense(arguments, message, capsys):
    assert main(["predict", "-d", "950", *arguments]) == 1
    assert message in capsys.readouterr().err
