"""The classifier inside nnU-Net's trainer."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_fair.cli import main
from nnunet_fair.evaluation.scores.pcr_discrimination import auc
from nnunet_fair.prediction.checkpoints import load_checkpoint
from nnunet_fair.prediction.nnunet_predict import make_trainers_findable
from nnunet_fair.training.joint.trainer import nnUNetTrainerFairJoint
from nnunet_fair.training.response.trainer import nnUNetTrainerResponse
from tests.fixtures.tiny_dataset import run
from tests.training.response.conftest import OUTCOME, SETTINGS, set_outcomes

pytestmark = pytest.mark.slow  # every test trains


def final(trainer) -> str:
    return str(Path(trainer.output_folder) / "checkpoint_final.pth")


def state(trainer) -> dict:
    return trainer.classifier.state_dict()


def test_it_trains_on_cases_with_outcome_and_lesion_and_continues(dataset):
    trainer = run(dataset.trainer(nnUNetTrainerResponse, settings=SETTINGS), 2)
    # of fold 0's 18 training cases one has no outcome, of its 6 validation cases one has no outcome, one no lesion
    log = Path(trainer.log_file).read_text()
    assert (
        "17 of 18 training cases take part, 6 of them with the outcome 1; 0 have no lesion, 1 others no outcome" in log
    )
    assert (
        "4 of 6 validation cases take part, 1 of them with the outcome 1; 1 have no lesion, 1 others no outcome" in log
    )
    assert set(trainer.dataloader_train.data_loader._data.identifiers) == set(trainer.outcomes.by_case)
    assert dataset.case_ids[1] not in trainer.outcomes.by_case
    assert float(trainer.classifier.response_head.prevalence) == pytest.approx(0.35)  # 6 of 17, in whole percent
    assert log.count("validation patients") == 2
    assert all(0 <= score <= 1 for score in trainer.logger.get_value("mean_fg_dice", step=None))

    trainer.perform_actual_validation()
    folder = Path(trainer.output_folder) / "validation"
    assert [path.name for path in folder.iterdir()] == ["response.csv"]  # no mask
    table = pd.read_csv(folder / "response.csv", index_col="case_id")
    assert list(table.index) == list(dataset.case_ids[::4])
    empty = dataset.case_ids[4]
    assert table["probability"].isna().tolist() == [case_id == empty for case_id in table.index]
    assert table["note"][empty] == "no lesion in the mask"
    known = table.drop(index=empty)
    assert known["probability"].between(0, 1, inclusive="neither").all()
    assert known["prediction"].tolist() == (known["probability"] >= 0.35).astype(int).tolist()

    resumed = dataset.trainer(nnUNetTrainerResponse, settings=SETTINGS, resume=True)
    resumed.load_checkpoint(final(trainer))
    assert resumed.current_epoch == 2
    assert all(torch.equal(value, state(resumed)[key]) for key, value in state(trainer).items())
    assert len(resumed.optimizer.state_dict()["state"]) == len(list(resumed.network.parameters()))
    run(resumed, 3)
    assert len(resumed.logger.get_value("mean_fg_dice", step=None)) == 3

    # no case and no outcome is in what nnU-Net and the plugin wrote of the model
    for path in (*Path(trainer.output_folder).glob("*.pth"), *Path(trainer.output_folder_base).glob("*.json")):
        content = contents(path)
        assert not any(case_id.encode() in content for case_id in dataset.case_ids), path.name
    debug = (Path(trainer.output_folder) / "debug.json").read_text()
    assert "Outcomes(17 of 18 cases)" in debug
    assert not any(case_id in debug for case_id in dataset.case_ids)


def contents(path: Path) -> bytes:
    """A file's bytes, those of a checkpoint's entries for a checkpoint."""
    if path.suffix != ".pth":
        return path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_it_learns_what_tells_the_outcomes_apart(dataset):
    set_outcomes(dataset, {case_id: str(int(n % 3 == 0)) for n, case_id in enumerate(dataset.case_ids)})
    trainer = dataset.trainer(nnUNetTrainerResponse, settings=SETTINGS)
    even, odd = list(dataset.case_ids[::2]), list(dataset.case_ids[1::2])
    trainer.do_split = lambda: (even, odd)
    trainer.num_iterations_per_epoch, trainer.initial_lr = 20, 3e-3
    run(trainer, 12).perform_actual_validation()
    table = pd.read_csv(Path(trainer.output_folder) / "validation" / "response.csv", index_col="case_id")
    assert list(table.index) == odd
    truth = np.array([int(case_id[-3:]) % 3 == 0 for case_id in odd])
    # 4 of the 12 cases, which the network never saw, have the outcome 1: by chance the area is this large once in 50
    assert auc(truth, table["probability"].to_numpy()) > 0.85


@pytest.mark.parametrize("segmentation", [nnUNetTrainer, nnUNetTrainerFairJoint])
def test_the_encoder_may_start_from_a_trained_segmentation(dataset, segmentation):
    settings = SETTINGS if segmentation is nnUNetTrainerFairJoint else None
    trained = run(dataset.trainer(segmentation, settings=settings), 1)
    trainer = dataset.trainer(nnUNetTrainerResponse, settings=SETTINGS)
    trainer.initialize()
    before = {key: value.clone() for key, value in state(trainer).items()}
    load_pretrained_weights(trainer.network, final(trained))
    weights = load_checkpoint(Path(final(trained)))["network_weights"]
    for key, value in state(trainer).items():
        expected = weights[key] if key.startswith("encoder.") else before[key]
        assert torch.equal(value, expected) or key.endswith("prevalence"), key
    assert any(not torch.equal(value, before[key]) for key, value in state(trainer).items())
    run(trainer, 1)

    # and from a classifier, whose head stays behind
    again = dataset.trainer(nnUNetTrainerResponse, fold=1, settings=SETTINGS)
    again.initialize()
    load_pretrained_weights(again.network, final(trainer))
    assert torch.equal(state(again)["encoder.stages.0.0.convs.0.conv.weight"], encoder_weight(trainer))


def encoder_weight(trainer):
    return state(trainer)["encoder.stages.0.0.convs.0.conv.weight"]


def test_nobody_takes_it_for_a_segmentation(dataset, tmp_path, capsys):
    trainer = run(dataset.trainer(nnUNetTrainerResponse, settings=SETTINGS), 1)
    make_trainers_findable()
    predictor = nnUNetPredictor(device=torch.device("cpu"))
    with pytest.raises(NotImplementedError, match=r"make no masks: .* use nnunet_fair pcr classify"):
        predictor.initialize_from_trained_model_folder(trainer.output_folder_base, (0,), "checkpoint_final.pth")
    model = ["-d", "901", "-tr", "nnUNetTrainerResponse", "-f", "0"]
    assert main(["export", *model, "-o", str(tmp_path / "shared" / "model.zip")]) == 1
    assert "builds its own network, which nnUNetTrainer cannot load; export it with --keep-trainer" in (
        capsys.readouterr().err
    )
    assert main(["export", *model, "-o", str(tmp_path / "shared" / "model.zip"), "--keep-trainer"]) == 0


@pytest.mark.parametrize(
    ("configuration", "settings", "message"),
    [
        ("2d", SETTINGS, "needs a 3D configuration that no other one precedes, and 2d is one of slices"),
        ("3d_cascade_fullres", SETTINGS, "and 3d_cascade_fullres is a second stage"),
        ("3d_fullres", {"response_weight": 1}, 'sets "response_weight", which has no effect with nnUNetTrainerResp'),
    ],
)
def test_what_it_cannot_do_is_one_sentence(dataset, configuration, settings, message):
    with pytest.raises(SystemExit, match=f"nnunet-fair: .*{message}"):
        dataset.trainer(nnUNetTrainerResponse, configuration=configuration, settings=settings).initialize()


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (
            {5: "1", 6: "1"},
            f"of the fold's 18 training cases with a lesion 2 have the outcome 1 and none the .*{OUTCOME}",
        ),
        ({4: "1", 5: "1", 6: "0"}, "none of the fold's 6 validation cases has a lesion and an outcome"),
    ],
)
def test_outcomes_that_teach_nothing_end_the_training_in_one_sentence(dataset, outcomes, message):
    set_outcomes(dataset, {dataset.case_ids[number]: value for number, value in outcomes.items()})
    with pytest.raises(SystemExit, match=f"nnunet-fair: .*{message}"):
        run(dataset.trainer(nnUNetTrainerResponse, settings=SETTINGS), 1)
