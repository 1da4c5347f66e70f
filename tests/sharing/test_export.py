"""Exported models: installed by nnU-Net, the same predictions, and no trace of a patient."""

import io
import json
import re
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.fair_cases import write_fair_cases
from nnunet_fair.prediction.checkpoints import load_checkpoint
from nnunet_fair.prediction.model import open_model
from nnunet_fair.prediction.nnunet_predict import make_trainers_findable
from nnunet_fair.sharing.export import export_model
from nnunet_fair.sharing.secrets import ways_to_write_date

pytestmark = pytest.mark.slow

CASES = [f"DUKE_{number:03d}" for number in range(1, 13)]
DATASET = {
    "channel_names": {"0": "noNorm"},
    "labels": {"background": 0, "tumor": 1},
    "numTraining": 12,
    "file_ending": ".nii.gz",
    "nnunet_fair_recipe": {"recipe": "zscore-all", "phases": [1]},
    "dataset": {case: {"label": f"/data/mama/labels/{case}.nii.gz"} for case in CASES},
    "reference": "copied from /data/mama on the server",
}
SHAPE = (8, 16, 16)


@pytest.fixture
def trained(nnunet_folders, train_tiny_model, tiny_plans):
    """A trained model with everything around it that names patients."""
    plans = {**tiny_plans(), "nnunet_fair": {"strength": 2.0, "attributes": ["age", "centre"]}}
    model = train_tiny_model(DATASET, plans=plans)
    raw, preprocessed = (nnunet_folders[key] / "Dataset950_TINY" for key in ("nnUNet_raw", "nnUNet_preprocessed"))
    (raw / "labelsTr").mkdir(parents=True)
    for case in CASES:
        (raw / "labelsTr" / f"{case}.nii.gz").touch()
    folds = [CASES[:6], CASES[6:]]
    splits = [{"train": folds[1 - fold], "val": folds[fold]} for fold in (0, 1)]
    (preprocessed / "splits_final.json").write_text(json.dumps(splits))
    groups = {"age": ["41-50"] * 5 + ["71+"] * 6 + [np.nan], "centre": ["Site AAI"] * 9 + ["Site BBX"] * 3}
    write_fair_cases(pd.DataFrame(groups, index=CASES), raw)
    for fold, cases in enumerate(folds):
        folder = model / f"fold_{fold}"
        scores = [
            {"prediction_file": f"/x/y/{case}.nii.gz", "metrics": {"1": {"Dice": dsc(case), "n_ref": 9, "n_pred": 9}}}
            for case in cases
        ]
        (folder / "validation").mkdir()
        (folder / "validation" / "summary.json").write_text(json.dumps({"metric_per_case": scores}))
        (folder / "validation" / f"{cases[0]}.nii.gz").touch()
        (folder / "debug.json").write_text(json.dumps({"output_folder": str(folder)}))
        (folder / "fair_weights.csv").write_text("case_id,weight,subgroup\nDUKE_001,1,age=71+\n")
        (folder / "progress.png").write_bytes(b"\x89PNG")
    return SimpleNamespace(model=model, raw=raw, preprocessed=preprocessed)


def dsc(case):
    """0.05, 0.10 … 0.60 by the case's number."""
    return int(case[-3:]) / 20


def logits(model, folds=(0, 1)):
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(model), folds, "checkpoint_final.pth")
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32))
    return predictor.predict_logits_from_preprocessed_data(image).numpy()


def install(archive, folder, monkeypatch):
    """nnU-Net's own installation, into another results folder and without the plugin."""
    from nnunetv2.model_sharing.model_import import install_model_from_zip_file

    monkeypatch.setenv("nnUNet_results", str(folder))
    monkeypatch.setenv("nnUNet_extTrainer", "")
    install_model_from_zip_file(str(archive))


def test_stock_nnunet_installs_it_and_predicts_the_same(tmp_path, trained, monkeypatch):
    make_trainers_findable()
    expected = logits(trained.model)
    arguments = ["-d", "950", "-f", "0", "1", "-o", str(tmp_path / "shared" / "model.zip")]
    assert main(["export", *arguments]) == 0
    install(tmp_path / "shared" / "model.zip", tmp_path / "elsewhere", monkeypatch)
    installed = tmp_path / "elsewhere" / "Dataset950_TINY" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    assert np.array_equal(logits(installed), expected)
    assert np.ptp(expected) > 0
    assert open_model(installed).recipe().recipe == "zscore-all"
    assert (installed / "MODEL_CARD.md").read_text() == (tmp_path / "shared" / "MODEL_CARD.md").read_text()


def test_nothing_about_patients_is_inside(tmp_path, trained, capsys):
    assert main(["export", "-d", "950", "-f", "0", "1", "-o", str(tmp_path / "shared" / "model.zip")]) == 0
    printed = capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "shared" / "model.zip") as archive:
        files = {name.split("/", 2)[2]: archive.read(name) for name in archive.namelist()}
    assert set(files) == {
        "dataset.json",
        "plans.json",
        "MODEL_CARD.md",
        "fold_0/checkpoint_final.pth",
        "fold_0/progress.png",
        "fold_1/checkpoint_final.pth",
        "fold_1/progress.png",
    }
    secrets = [*CASES, *(case.lower() for case in CASES), "/data/mama", str(tmp_path), "fold_0/validation"]
    for name, data in files.items():
        assert not [secret for secret in secrets if secret.encode() in data], name
        if name != "MODEL_CARD.md":
            assert not re.search(rb"Site AAI|41-50", data), name
    assert json.loads(files["plans.json"])["nnunet_fair"]["strength"] == 2.0
    assert "removed dataset.json: dataset, reference" in printed
    assert "removed fold_0/checkpoint_final.pth: optimizer_state" in printed
    for name in ("dataset_fingerprint.json", "fold_*/debug.json", "fold_*/fair_weights.csv", "fold_*/validation"):
        assert f"left behind: {name}" in printed
    assert "12 case IDs, 3 metadata values" in printed
    assert "the model card names, of 5 cases or more each: age: 71+" in printed
    assert "centre is not shown" in printed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda plans: plans["nnunet_fair"].update(attributes=["DUKE_007"]), r"plans\.json holds .*DUKE_007"),
        (lambda plans: plans.update(note="see duke_007.nii.gz"), r"plans\.json holds .*duke_007"),
        (lambda plans: plans.update(groups={"Site AAI": 3}), "metadata value 'Site AAI'"),
        (lambda plans: plans.update(source="/srv/hospital/exports"), "the path '/srv/hospital/exports'"),
        (lambda plans: plans.update(source="D:\\exports"), "the path"),
    ],
    ids=["case ID", "lower case", "metadata value", "path", "Windows path"],
)
def test_what_is_found_stops_the_export(tmp_path, trained, damage, message):
    plans = json.loads((trained.model / "plans.json").read_text())
    damage(plans)
    (trained.model / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(UserError, match=message):
        export_model([open_model(trained.model, (0,))], tmp_path / "shared" / "model.zip")
    assert not list((tmp_path / "shared").iterdir())


def test_a_case_id_in_a_checkpoint_stops_the_export(tmp_path, trained):
    import torch

    path = trained.model / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["logging"]["hardest"] = ["DUKE_003"]
    checkpoint["scores"] = {"DUKE_004": 0.5}  # not nnU-Net's: left out
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="DUKE_003"):
        export_model([open_model(trained.model, (0,))], tmp_path / "model.zip")
    del checkpoint["logging"]["hardest"]
    torch.save(checkpoint, path)
    export = export_model([open_model(trained.model, (0,))], tmp_path / "model.zip")
    assert "fold_0/checkpoint_final.pth: optimizer_state, scores" in export.removed


def test_without_any_known_case_nothing_can_be_verified(tmp_path, trained):
    import shutil

    for folder in (trained.raw, trained.preprocessed, *trained.model.glob("fold_*/validation")):
        shutil.rmtree(folder)
    with pytest.raises(UserError, match="cannot be verified"):
        export_model([open_model(trained.model)], tmp_path / "model.zip")


def test_keep_trainer(tmp_path, trained, monkeypatch):
    export = export_model([open_model(trained.model, (0,))], tmp_path / "model.zip", keep_trainer=True)
    assert export.trainer == "nnUNetTrainerFairDiv"
    import torch

    with zipfile.ZipFile(export.path) as archive:
        name = "Dataset950_TINY/nnUNetTrainerFairDiv__nnUNetPlans__3d_fullres/fold_0/checkpoint_final.pth"
        checkpoint = torch.load(archive.open(name), weights_only=False)
    assert checkpoint["trainer_name"] == "nnUNetTrainerFairDiv"
    assert checkpoint["optimizer_state"]["param_groups"]


def test_another_network_is_not_renamed(tmp_path, trained):
    import torch

    path = trained.model / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, "trainer_name": "nnUNetTrainerBN"}, path)
    with pytest.raises(UserError, match="nnUNetTrainerBN builds its own network"):
        export_model([open_model(trained.model, (0,))], tmp_path / "model.zip")
    torch.save({**checkpoint, "trainer_name": "nnUNetTrainerOfSomeone"}, path)
    with pytest.raises(UserError, match="nnUNetTrainerOfSomeone cannot be found"):
        export_model([open_model(trained.model, (0,))], tmp_path / "model.zip")
    checkpoint["network_weights"] = dict(list(checkpoint["network_weights"].items())[:-1])
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="do not fit the network"):
        export_model([open_model(trained.model, (0,))], tmp_path / "model.zip")
    path.write_bytes(b"cut short")
    with pytest.raises(UserError, match="cannot be loaded"):
        export_model([open_model(trained.model, (0,))], tmp_path / "model.zip")


def test_the_card_is_filled_from_the_records(tmp_path, trained):
    (trained.model / "postprocessing.json").write_text(json.dumps({"settings": {"box": True, "keep": 1}}))
    export = export_model([open_model(trained.model, (0, 1))], tmp_path / "model.zip")
    card = export.card.read_text()
    assert "# Model card: Dataset950_TINY, 3d_fullres" in card
    # The means by hand: 0.05 … 0.60; the one case of unknown age goes with cases 1-5, or the rest would be its score.
    assert re.search(r"\| – \| all cases \| 12 \| 0\.325 \| 0\.2\d\d – 0\.4\d\d \|", card)
    assert re.search(r"\| age \| other groups or unknown \| 6 \| 0\.225 \|", card)
    assert re.search(r"\| age \| 71\+ \| 6 \| 0\.425 \|", card)
    assert "41-50" not in card
    # Three cases of Site BBX: with the nine others shown, their mean would be the rest.
    assert "Site" not in card
    assert "centre is not shown: its groups of fewer than 5 cases leave nothing to compare." in card
    assert "| strength | 2 |" in card
    assert "| recipe | zscore-all |" in card
    assert "| keep | 1 |" in card
    assert "| age | 6 of 12 or more |" in card
    assert "Mean DSC differs by 0.200 between the groups of age." in card
    weights = load_checkpoint(trained.model / "fold_0" / "checkpoint_final.pth")["network_weights"]
    assert f"| Parameters | {sum(np.prod(value.shape) for value in weights.values()):,} |" in card
    assert not [case for case in CASES if case in card]


def test_planted_secrets_are_in_no_file_of_the_zip(tmp_path, trained, capsys):
    """Dates in every spelling, free text, short case IDs: searched for in what is shipped and in what is said."""
    born = [f"1961-03-{day:02d}" for day in range(1, 13)]
    groups = {
        "born": born,
        "seen": [f"{day}. March 2019" for day in range(1, 13)],
        "remark": ["fell off a horse", *["none"] * 11],
        "centre": ["Site AAI"] * 7 + ["Site BBX"] * 5,
    }
    write_fair_cases(pd.DataFrame(groups, index=CASES), trained.raw)
    target = tmp_path / "shared" / "model.zip"
    assert (
        main(["export", "-d", "950", "-f", "0", "1", "-tr", trained.model.name.split("__")[0], "-o", str(target)]) == 0
    )
    secrets = {*CASES, "horse", *(way for value in (*born, *groups["seen"]) for way in ways_to_write_date(value))}
    texts = {"said": capsys.readouterr().out.encode(), "card": (target.parent / "MODEL_CARD.md").read_bytes()}
    with zipfile.ZipFile(target) as archive:
        for name in archive.namelist():
            texts[name] = name.encode() + archive.read(name)
            if name.endswith(".pth"):
                texts[name] = repr(load_checkpoint(io.BytesIO(archive.read(name)), name=name)).encode()
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret.lower().encode() in text.lower()], name
    assert "born is not shown" in texts["card"].decode() and "Site AAI" in texts["card"].decode()


def test_a_zip_is_replaced_only_when_asked(tmp_path, trained):
    model = open_model(trained.model, (0,))
    (tmp_path / "model.zip").write_bytes(b"mine")
    with pytest.raises(UserError, match="`overwrite`"):
        export_model([model], tmp_path / "model.zip")
    with pytest.raises(UserError, match=r"model\.zip was not written by this command"):
        export_model([model], tmp_path / "model.zip", overwrite=True)
    assert (tmp_path / "model.zip").read_bytes() == b"mine"
    (tmp_path / "model.zip").unlink()
    for overwrite in (False, True):
        export_model([model], tmp_path / "model.zip", overwrite=overwrite)
        assert zipfile.is_zipfile(tmp_path / "model.zip")
    with pytest.raises(UserError, match="takes the zip"):
        export_model([model], tmp_path / "model")


def test_both_stages_of_a_cascade(tmp_path, nnunet_folders, train_tiny_model, tiny_plans, monkeypatch):
    plans = tiny_plans()
    fullres = plans["configurations"]["3d_fullres"]
    lowres = {**fullres, "spacing": [2.0, 2.0, 2.0], "data_identifier": "low", "next_stage": "3d_cascade_fullres"}
    cascade = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    plans["configurations"] |= {"3d_lowres": lowres, "3d_cascade_fullres": cascade}
    names = ("3d_lowres", "3d_cascade_fullres")
    models = [train_tiny_model(DATASET, (0,), plans=plans, configuration=name) for name in names]
    (nnunet_folders["nnUNet_raw"] / "Dataset950_TINY" / "labelsTr").mkdir(parents=True)
    (nnunet_folders["nnUNet_raw"] / "Dataset950_TINY" / "labelsTr" / "DUKE_001.nii.gz").touch()
    export = export_model([open_model(model) for model in models], tmp_path / "model.zip")
    assert [f"# Model card: Dataset950_TINY, {name}" in export.card.read_text() for name in names] == [True, True]
    assert export.card.read_text().count("| Patch (voxels) | 8, 16, 16 |") == 2
    assert "None: no fold of this model was validated" in export.card.read_text()
    install(tmp_path / "model.zip", tmp_path / "elsewhere", monkeypatch)
    folder = tmp_path / "elsewhere" / "Dataset950_TINY" / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    assert open_model(folder).previous_stage().folder.name == "nnUNetTrainer__nnUNetPlans__3d_lowres"
    assert logits(folder.with_name("nnUNetTrainer__nnUNetPlans__3d_lowres"), (0,)).shape == (2, *SHAPE)
