"""What encoders see of lesions, one table a fold, and which table which fit reads."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.metadata.folds import stratified_folds
from nnunet_fair.pcr.encoder import lesion_vector
from nnunet_fair.pcr.response_model import read_model
from tests.pcr.drawn_patients import draw_patients, write_tables

DATASET = {
    "channel_names": {"0": "mr"},
    "labels": {"background": 0, "lesion": 1},
    "numTraining": 3,
    "file_ending": ".nii.gz",
}
MODEL = "nnUNetTrainerFairDiv__nnUNetPlans__3d_fullres"


def test_mean_and_maximum_over_the_lesion():
    import torch

    lesion = torch.zeros(1, 1, 2, 4, 4)
    lesion[0, 0, 0, 0, :2] = 1  # two voxels; on the coarser stage they fall into one
    fine = torch.arange(64.0).reshape(1, 2, 2, 4, 4)
    coarse = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    assert lesion_vector([fine, coarse], lesion) == {
        **{"deep1_mean_000": 0.5, "deep1_mean_001": 32.5, "deep1_max_000": 1.0, "deep1_max_001": 33.0},
        **{"deep2_mean_000": 0.0, "deep2_max_000": 0.0},
    }


@pytest.mark.slow
def test_every_case_by_every_folds_encoder(train_tiny_model, nnunet_folders, save_mask, tmp_path, capsys):
    import torch

    model = train_tiny_model(DATASET)
    raw = nnunet_folders["nnUNet_raw"] / "Dataset950_TINY"
    rng = np.random.default_rng(0)
    images = {case: rng.integers(1, 100, (8, 16, 16)) for case in "abc"}
    mask = np.zeros((8, 16, 16))
    mask[2:5, 3:9, 4:12] = 1  # its middle is not the volume's: the patch reaches beyond the image
    for fold, cases in enumerate(("ab", "c")):
        for case in cases:
            save_mask(images[case], raw / "imagesTr" / f"{case}_0000.nii.gz")
            save_mask(mask, raw / "labelsTr" / f"{case}.nii.gz")
            predicted = mask * (case != "b")
            save_mask(predicted, model / f"fold_{fold}" / "validation" / f"{case}.nii.gz")
    output = tmp_path / "deep"
    assert main(["pcr", "deep-features", "-d", "950", "-o", str(output), "-device", "cpu"]) == 0
    assert "3 cases encoded (out-of-fold masks, 1 of them empty)" in capsys.readouterr().out
    assert json.loads((output / "deep_features.json").read_text())["folds"] == [0, 1]
    tables = [pd.read_csv(output / f"fold_{fold}.csv").set_index("case_id") for fold in (0, 1)]
    for fold, table in enumerate(tables):
        assert table["empty_mask"].tolist() == [0, 1, 0]
        assert table.loc["b"].drop(["masks", "empty_mask"]).isna().all()
        assert list(table.columns[2:]) == [
            *(f"deep1_{name}_{k:03d}" for name in ("mean", "max") for k in range(4)),
            *(f"deep2_{name}_{k:03d}" for name in ("mean", "max") for k in range(8)),
        ]
        expected = independent_features(model, fold, images["a"], mask)
        assert table.loc["a"].drop(["masks", "empty_mask"]).to_numpy(float) == pytest.approx(expected, rel=1e-4)
    assert not np.allclose(*(table.loc["a", "deep1_mean_000"] for table in tables))  # each began at its own weights
    assert main(["pcr", "deep-features", "-d", "950", "-o", str(output), "-device", "cpu"]) == 1
    assert "is of an earlier run; --overwrite replaces it" in capsys.readouterr().err
    torch.manual_seed(0)


def independent_features(model, fold: int, image: np.ndarray, mask: np.ndarray) -> list[float]:
    """The encoder's stages over a patch that was cut out by hand, mean and maximum over the lesion by NumPy."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(model), (fold,), "checkpoint_final.pth")
    padded, lesion = (np.pad(array.astype(np.float32), 8) for array in (image, mask))
    # the lesion's box is [2, 5) × [3, 9) × [4, 12), its middle voxel (3, 6, 8), the patch 8 × 16 × 16
    window = tuple(slice(8 + middle - size // 2, 8 + middle + size // 2) for middle, size in ((3, 8), (6, 16), (8, 16)))
    with torch.no_grad():
        stages = predictor.network.eval().encoder(torch.from_numpy(padded[window])[None, None])
    fine = lesion[window] > 0
    coarse = fine.reshape(8, 8, 2, 8, 2).any(axis=(2, 4))  # the second stage halves rows and columns
    found = []
    for stage, inside in zip(stages, (fine, coarse), strict=True):
        values = stage[0].numpy()[:, inside]
        found += [*values.mean(axis=1), *values.max(axis=1)]
    return found


@pytest.fixture
def deep_tables(tmp_path, monkeypatch):
    """Patients of two folds, and deep features of two encoders that speak different languages."""
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path))
    patients, features = draw_patients()
    cases = pd.DataFrame({"outcome": patients["pcr"].astype(str).to_numpy()}, index=patients["case_id"])
    (tmp_path / "Dataset009_Drawn").mkdir()
    (tmp_path / "Dataset009_Drawn" / "splits_final.json").write_text(json.dumps(stratified_folds(cases, 2)))
    tables = write_tables(tmp_path, patients, features[["case_id", "noise"]])
    for fold, sign in enumerate((1, -1)):
        table = pd.DataFrame({"case_id": features["case_id"], "deep1_mean_000": sign * features["signal"]})
        (tmp_path / "deep").mkdir(exist_ok=True)
        table.to_csv(tmp_path / "deep" / f"fold_{fold}.csv", index=False)
    return tmp_path, tables


@pytest.mark.slow
def test_a_fold_reads_the_encoder_that_left_it_out(deep_tables, capsys):
    folder, tables = deep_tables
    common = ["pcr", "train", "-m", str(tables[0]), "-x", str(tables[1]), "-d", "9", "--deep", str(folder / "deep")]
    assert main([*common, "-o", str(folder / "model")]) == 0
    record = json.loads((folder / "model" / "training.json").read_text())
    # in one common table the two encoders' signs would cancel
    assert record["auc"]["out_of_fold"]["estimate"] > 0.8
    assert record["encoder_fold"] == read_model(folder / "model" / "model.json").encoder_fold == 0
    patients = ["pcr", "predict", "--model", str(folder / "model"), "-x", str(tables[1]), "-o", str(folder / "p.csv")]
    assert main(patients) == 1
    assert "the model reads --deep features of the patients" in capsys.readouterr().err
    assert main([*patients, "--deep", str(folder / "deep")]) == 0
    assert len(pd.read_csv(folder / "p.csv")) == 96
    (folder / "deep" / "fold_0.csv").unlink()
    assert main([*patients, "--deep", str(folder / "deep"), "--overwrite"]) == 1
    assert "reads the deep features of fold 0's encoder; there is no" in capsys.readouterr().err


def test_mistakes_with_deep_features_are_one_sentence(deep_tables, capsys):
    folder, tables = deep_tables
    common = ["pcr", "train", "-m", str(tables[0]), "-o", str(folder / "model")]
    for change, options, sentence in (
        (lambda: None, ["--deep", str(folder / "deep")], "are of the folds of a dataset; name it with -d"),
        (lambda: None, ["--deep", str(folder), "-d", "9"], "holds no deep features"),
        (
            lambda: (folder / "deep" / "fold_1.csv").write_text("case_id,other\nP000,1\n"),
            ["--deep", str(folder / "deep"), "-d", "9"],
            "have different columns",
        ),
        (
            lambda: (folder / "deep" / "fold_1.csv").unlink(),
            ["--deep", str(folder / "deep"), "-d", "9"],
            "has no table of fold 1, which 48 cases of 9 were left out by",
        ),
    ):
        change()
        assert main([*common, *options]) == 1
        assert sentence in capsys.readouterr().err
