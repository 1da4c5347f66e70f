"""The response head inside nnU-Net's trainers."""

import copy
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.model_sharing.model_import import install_model_from_zip_file
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_fair.cli import main
from nnunet_fair.prediction.checkpoints import load_checkpoint
from nnunet_fair.prediction.model import open_model
from nnunet_fair.prediction.nnunet_predict import make_trainers_findable
from nnunet_fair.prediction.response import read_heads
from nnunet_fair.training.joint.response_prediction import HEAD_KEY
from nnunet_fair.training.joint.trainer import (
    nnUNetTrainerFairJoint,
    nnUNetTrainerFairJointLoss,
    nnUNetTrainerFairJointSampling,
)
from nnunet_fair.training.trainer import nnUNetTrainerFairDivSampling
from tests.fixtures.tiny_dataset import run

pytestmark = pytest.mark.slow  # every test trains

FAIR = {"min_support": 0.1, "warmup_epochs": 1, "max_items": 2, "min_t": 0.0}
JOINT = {"response_weight": 0.5, "response_ramp_epochs": 1, "response_column": "zebra_outcome"}


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums of floats depend on the number of threads, which the mathematics library chooses by the machine's load."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def dataset(tiny_dataset):
    """The tiny dataset with outcomes; two cases have none."""
    return with_outcomes(tiny_dataset())


def with_outcomes(made):
    table = pd.read_csv(made.fair_cases, index_col="case_id", dtype=object)
    table["zebra_outcome"] = [None, None, *(["0", "1", "0", "0", "1"] * 2)]
    table.to_csv(made.fair_cases)
    return made


def final(trainer) -> str:
    return str(Path(trainer.output_folder) / "checkpoint_final.pth")


@pytest.mark.parametrize(
    ("joint", "without"),
    [
        (nnUNetTrainerFairJoint, nnUNetTrainer),
        (nnUNetTrainerFairJointSampling, nnUNetTrainerFairDivSampling),
    ],
)
def test_with_weight_zero_it_trains_bit_for_bit_as_without_the_head(tiny_dataset, joint, without):
    dataset = tiny_dataset()  # which has no outcome
    settings = {} if joint is nnUNetTrainerFairJoint else FAIR
    expected = run(dataset.trainer(without, settings=settings), 2)
    found = run(dataset.trainer(joint, settings={**settings, "response_weight": 0}), 2)
    assert found.joint_network is None
    assert found.network.state_dict().keys() == expected.network.state_dict().keys()
    for key, value in expected.network.state_dict().items():
        assert torch.equal(value, found.network.state_dict()[key]), key


@pytest.mark.parametrize(
    ("kind", "trainer_class"),
    [("plain", nnUNetTrainerFairJointSampling), ("regions_ignore", nnUNetTrainerFairJointLoss)],
)
def test_beside_case_weights_on_every_kind_of_label(tiny_dataset, kind, trainer_class):
    dataset = with_outcomes(tiny_dataset(kind))
    settings = {**FAIR, **JOINT, "attributes": ["density"]}
    trainer = dataset.trainer(trainer_class, configuration="2d", settings=settings)
    before = None

    def remember(*args):
        nonlocal before
        before = copy.deepcopy(trainer.joint_network.response_head.state_dict())

    trainer.print_plans = remember
    run(trainer, 2)
    head = trainer.joint_network.response_head.state_dict()
    assert any(not torch.equal(value, head[key]) for key, value in before.items())
    assert trainer.fair_session.last_refresh is not None
    log = Path(trainer.log_file).read_text()
    assert log.count("nnunet-fair: response loss") == 2
    assert "weight 0.25" in log and "weight 0.5" in log


def test_its_checkpoint_is_stock_nnunets_and_continues_with_the_head(dataset):
    trainer = run(dataset.trainer(nnUNetTrainerFairJoint, settings=JOINT), 2)
    checkpoint = load_checkpoint(Path(final(trainer)))

    # stock nnU-Net loads it, and its trainer without the plugin segments the same
    stock = dataset.trainer(nnUNetTrainer)
    stock.initialize()
    stock.network.load_state_dict(checkpoint["network_weights"])
    patch = torch.randn(1, 1, 8, 16, 16)
    for network in (stock.network, trainer.network):
        network.eval()
    with torch.inference_mode():
        assert torch.equal(stock.network(patch)[0], trainer.network(patch)[0])

    # pretrained weights, in both directions
    load_pretrained_weights(stock.network, final(trainer))
    run(stock, 1)
    again = dataset.trainer(nnUNetTrainerFairJoint, fold=1, settings=JOINT)
    again.initialize()
    load_pretrained_weights(again.network, final(stock))
    first = next(iter(stock.network.state_dict()))
    assert torch.equal(again.network.state_dict()[first], stock.network.state_dict()[first])

    # continued, it has the head and its momentum
    resumed = dataset.trainer(nnUNetTrainerFairJoint, settings=JOINT, resume=True)
    resumed.load_checkpoint(final(trainer))
    head = trainer.joint_network.response_head.state_dict()
    assert all(torch.equal(value, head[key]) for key, value in resumed.joint_network.response_head.state_dict().items())
    momentum = resumed.optimizer.state[resumed.joint_network.response_head.layers[2].weight]["momentum_buffer"]
    assert momentum.abs().sum() > 0
    assert resumed.current_epoch == 2
    run(resumed, 3)

    # with the head switched off in between, it says so
    off = dataset.trainer(nnUNetTrainerFairJoint, settings={"response_weight": 0}, resume=True)
    with pytest.raises(SystemExit, match="nnunet-fair: the checkpoint was trained with a response head"):
        off.load_checkpoint(final(trainer))

    # no case and no outcome is in what nnU-Net and the plugin wrote of the model
    for path in (*Path(trainer.output_folder).glob("*.pth"), *Path(trainer.output_folder_base).glob("*.json")):
        content = contents(path)
        assert not any(case_id.encode() in content for case_id in dataset.case_ids), path.name
    outcomes = "Outcomes(8 of 9 cases)"
    assert outcomes in (Path(trainer.output_folder) / "debug.json").read_text()
    saved = torch.load(final(trainer), weights_only=False)["optimizer_state"]
    assert set(saved) == {"state", "param_groups", HEAD_KEY}
    # of the outcomes one number: the share of 1 among the eight known ones of the fold, in whole percent
    assert set(saved[HEAD_KEY]) == {
        "prevalence",
        *(f"layers.{n}.{kind}" for n in (0, 2) for kind in ("weight", "bias")),
    }
    outcomes = pd.read_csv(dataset.fair_cases, index_col="case_id")["zebra_outcome"]
    known = outcomes.iloc[[number for number in range(12) if number % 4 != 0]].dropna()
    assert saved[HEAD_KEY]["prevalence"].item() == pytest.approx(round(known.mean(), 2), abs=1e-6)


def test_export_drops_the_head_and_stock_nnunet_predicts_the_same(dataset, tmp_path, monkeypatch):
    trainer = run(dataset.trainer(nnUNetTrainerFairJoint, settings=JOINT), 1)
    make_trainers_findable()
    expected = predicted(trainer.output_folder_base)
    zipped = tmp_path / "shared" / "model.zip"
    assert main(["export", "-d", "901", "-tr", "nnUNetTrainerFairJoint", "-f", "0", "-o", str(zipped)]) == 0
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("nnUNet_extTrainer", "")
    install_model_from_zip_file(str(zipped))
    installed = tmp_path / "elsewhere" / dataset.name / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    assert np.array_equal(predicted(installed), expected)
    checkpoint = load_checkpoint(installed / "fold_0" / "checkpoint_final.pth")
    assert checkpoint["trainer_name"] == "nnUNetTrainer"
    assert "optimizer_state" not in checkpoint
    assert not any(HEAD_KEY in key for key in checkpoint["network_weights"])


def test_an_export_that_keeps_the_trainer_keeps_the_head(dataset, tmp_path, monkeypatch):
    trainer = run(dataset.trainer(nnUNetTrainerFairJoint, settings=JOINT), 1)
    (expected,) = read_heads(open_model(trainer.output_folder_base)).weights
    zipped = tmp_path / "shared" / "model.zip"
    arguments = ["-d", "901", "-tr", "nnUNetTrainerFairJoint", "-f", "0", "-o", str(zipped), "--keep-trainer"]
    assert main(["export", *arguments]) == 0
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "elsewhere"))
    install_model_from_zip_file(str(zipped))
    installed = tmp_path / "elsewhere" / dataset.name / "nnUNetTrainerFairJoint__nnUNetPlans__3d_fullres"
    (found,) = read_heads(open_model(installed)).weights
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


def predicted(model: str | Path) -> np.ndarray:
    """nnU-Net's own prediction of an image."""
    predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=False)
    predictor.initialize_from_trained_model_folder(str(model), (0,), "checkpoint_final.pth")
    image = np.random.default_rng(0).normal(size=(1, 12, 24, 24)).astype(np.float32)
    return predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image)).numpy()


def contents(path: Path) -> bytes:
    """A file's bytes, those of a checkpoint's entries for a checkpoint."""
    if path.suffix != ".pth":
        return path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


@pytest.mark.parametrize(
    ("trainer_class", "settings", "message"),
    [
        (nnUNetTrainerFairJoint, {"strength": 4}, 'sets "strength", which has no effect with nnUNetTrainerFairJoint'),
        (nnUNetTrainerFairDivSampling, JOINT, "which has no effect with nnUNetTrainerFairDivSampling"),
        (nnUNetTrainerFairJoint, {"response_weight": -1}, "`response_weight`: expected"),
    ],
)
def test_settings_without_effect_are_refused(dataset, trainer_class, settings, message):
    with pytest.raises(SystemExit, match=message):
        dataset.trainer(trainer_class, settings=settings).initialize()


def test_outcomes_that_are_not_there_end_the_training_in_one_sentence(dataset):
    trainer = dataset.trainer(nnUNetTrainerFairJoint, settings={**JOINT, "response_column": "pcr"})
    with pytest.raises(SystemExit, match=r"nnunet-fair: .* has no column 'pcr' with the outcome"):
        run(trainer, 1)
