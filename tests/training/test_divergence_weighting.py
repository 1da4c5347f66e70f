"""The mixin inside nnU-Net's trainer."""

import json
import multiprocessing
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_fair.training.divergence_weighting import DivergenceWeighting
from nnunet_fair.training.state import load_state
from nnunet_fair.training.trainer import nnUNetTrainerFairDiv, nnUNetTrainerFairDivLoss, nnUNetTrainerFairDivSampling
from tests.fixtures.tiny_dataset import run

pytestmark = pytest.mark.slow  # every test trains

SETTINGS = {"min_support": 0.1, "warmup_epochs": 1, "max_items": 2, "min_t": 0.0}


def set_weights(trainer, weights: dict[str, float]) -> None:
    """Let these cases weigh this, the others what they did."""
    session = trainer.fair_session
    session.set_weights(session.weights.of({**session.weights.by_case(), **weights}))


def history(trainer) -> pd.DataFrame:
    return pd.read_csv(Path(trainer.output_folder) / "fair_history.csv")


def weights(trainer) -> pd.DataFrame:
    return pd.read_csv(Path(trainer.output_folder) / "fair_weights.csv", keep_default_na=False).set_index("case_id")


def test_six_epochs_find_and_weight_subgroups(tiny_dataset):
    dataset = tiny_dataset()
    trainer = run(dataset.trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS), 6)
    train_ids = json.loads((dataset.folder / "splits_final.json").read_text())[0]["train"]
    table = weights(trainer)
    assert sorted(table.index) == sorted(train_ids)
    assert table["weight"].nunique() > 1
    assert table["weight"].mean() == pytest.approx(1.0)
    attributes = pd.read_csv(dataset.fair_cases, index_col="case_id")
    for case_id, row in table[table["subgroup"] != ""].iterrows():
        # each case carries the weight of a subgroup that it belongs to itself
        for attribute in attributes.columns:
            if f"{attribute}=" in row["subgroup"]:
                assert f"{attribute}={attributes.loc[case_id, attribute]}" in row["subgroup"]
    alike = table.join(attributes).groupby(list(attributes.columns))["weight"]
    assert alike.max().to_numpy() == pytest.approx(alike.min().to_numpy())  # patients of the same groups weigh the same
    rows = history(trainer)
    assert list(rows.columns) == ["epoch", "subgroup", "n", "support", "mean_score", "divergence", "t", "probability"]
    assert sorted(rows["epoch"].unique()) == [1, 2, 3, 4, 5]
    assert (Path(trainer.output_folder) / "fair_progress.png").stat().st_size > 10_000
    log = next(Path(trainer.output_folder).glob("training_log*.txt")).read_text()
    assert "nnunet-fair: weights for epoch 1" in log
    told = [line.rstrip() for line in log.splitlines() if "nnunet-fair: gradient norm" in line]
    assert len(told) == 6
    assert told[0].endswith("not cut")  # no weights yet
    assert re.search(r"cut at \d.* in \d+% of the steps$", told[-1])


def test_the_gradient_of_a_batch_changes_with_the_weights(tiny_dataset):
    trainer = tiny_dataset().trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS)
    trainer.on_train_start()
    batch = next(trainer.dataloader_train)
    first, second = map(str, batch["keys"])
    while first == second:
        batch = next(trainer.dataloader_train)
        first, second = map(str, batch["keys"])
    trainer.optimizer.step = lambda *_: None  # keep the network as it is
    trainer.network.eval()

    def gradient(of_first: float, of_second: float) -> torch.Tensor:
        set_weights(trainer, {first: of_first, second: of_second})
        trainer.train_step(batch)
        return torch.cat([p.grad.flatten().clone() for p in trainer.network.parameters() if p.grad is not None])

    both, one, other = gradient(1.0, 1.0), gradient(2.0, 0.0), gradient(0.0, 2.0)
    assert not torch.allclose(one, both)
    # the loss is linear in the weights: half of each alone is the gradient of both
    torch.testing.assert_close((one + other) / 2, both, rtol=1e-3, atol=1e-5)


def test_weights_go_by_case_id_whatever_the_order_of_the_batch(tiny_dataset):
    trainer = tiny_dataset().trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS)
    trainer.on_train_start()
    ids = list(trainer.fair_session.weights.case_ids)
    set_weights(trainer, {case_id: 1.0 + number for number, case_id in enumerate(ids)})
    seen = []
    trainer.loss.weighted.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[2][0].tolist()))
    for _ in range(5):
        batch = next(trainer.dataloader_train)
        trainer.train_step(batch)
        assert seen[-1] == [1.0 + ids.index(key) for key in batch["keys"]]


def test_steps_are_cut_to_the_norm_asked_for(tiny_dataset):
    limit = 0.05
    trainer = tiny_dataset().trainer(nnUNetTrainerFairDivLoss, settings={**SETTINGS, "max_gradient": limit})
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    outputs, left = [], []
    trainer.optimizer.register_step_post_hook(
        lambda optimizer, *_: left.append(
            torch.nn.utils.get_total_norm([p.grad for p in trainer.network.parameters() if p.grad is not None])
        )
    )
    for _ in range(3):
        outputs.append(trainer.train_step(next(trainer.dataloader_train)))
    before = torch.stack(trainer.fair_session.clipping.norms)
    assert (before > limit).any()
    torch.testing.assert_close(torch.stack(left), before.clamp(max=limit), rtol=1e-4, atol=1e-6)
    trainer.on_train_epoch_end(outputs)
    log = next(Path(trainer.output_folder).glob("training_log*.txt")).read_text()
    assert f"cut at {limit:g} in {(before > limit).float().mean():.0%} of the steps" in log
    assert not trainer.fair_session.clipping.norms  # the next epoch tells its own


@pytest.fixture
def one_thread():
    """Sums of floats depend on the number of threads, which the mathematics library chooses by the machine's load."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_strength_zero_trains_bit_for_bit_like_stock(tiny_dataset, one_thread):
    dataset = tiny_dataset()
    trained = []
    for trainer_class in (nnUNetTrainer, nnUNetTrainerFairDiv, nnUNetTrainerFairDivLoss):
        settings = {**SETTINGS, "strength": 0.0}
        trainer = run(dataset.trainer(trainer_class, settings=settings), 3)
        trained.append(trainer.network.state_dict())
    for key, value in trained[0].items():
        assert torch.equal(value, trained[1][key]), key
        assert torch.equal(value, trained[2][key]), key


def test_weights_change_the_training(tiny_dataset):
    dataset = tiny_dataset()
    stock = run(dataset.trainer(nnUNetTrainer), 3).network.state_dict()
    for trainer_class in (nnUNetTrainerFairDivLoss, nnUNetTrainerFairDivSampling):
        fair = run(dataset.trainer(trainer_class, settings=SETTINGS), 3).network.state_dict()
        assert any(not torch.equal(value, fair[key]) for key, value in stock.items())


def test_the_same_seed_gives_the_same_records(tiny_dataset, one_thread):
    dataset = tiny_dataset()
    tables = []
    for _ in range(2):
        trainer = run(dataset.trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS), 3)
        tables.append((history(trainer), weights(trainer)))
    pd.testing.assert_frame_equal(tables[0][0], tables[1][0], check_exact=True)
    pd.testing.assert_frame_equal(tables[0][1], tables[1][1], check_exact=True)


@pytest.mark.parametrize("kind", ["plain", "classes", "regions", "ignore", "regions_ignore"])
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_every_kind_of_label_trains(tiny_dataset, kind, configuration):
    dataset = tiny_dataset(kind, batch_dice=kind == "regions")
    trainer = dataset.trainer(nnUNetTrainerFairDivLoss, configuration=configuration, settings=SETTINGS)
    trainer.fair_method = replace(trainer.fair_method, on_sampling=True)
    run(trainer, 3)
    assert len(history(trainer)) > 0
    assert np.isfinite(trainer.logger.get_value("train_losses", step=None)).all()


@pytest.mark.parametrize("score_class", [None, 0, 1])
def test_the_score_may_be_one_class(tiny_dataset, score_class):
    trainer = tiny_dataset("classes").trainer(
        nnUNetTrainerFairDivLoss, settings={**SETTINGS, "score_class": score_class}
    )
    run(trainer, 2)
    assert len(history(trainer)) > 0


def test_without_deep_supervision(tiny_dataset):
    class NoDeepSupervision(nnUNetTrainerFairDivLoss):
        def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cpu")):
            super().__init__(plans, configuration, fold, dataset_json, device)
            self.enable_deep_supervision = False

    trainer = run(tiny_dataset().trainer(NoDeepSupervision, settings=SETTINGS), 2)
    assert len(history(trainer)) > 0


def test_fold_all_says_what_it_means(tiny_dataset):
    trainer = run(tiny_dataset().trainer(nnUNetTrainerFairDivLoss, fold="all", settings=SETTINGS), 2)
    log = next(Path(trainer.output_folder).glob("training_log*.txt")).read_text()
    assert "fold all trains and validates on the same cases" in log
    assert len(weights(trainer)) == 12


def test_the_mixin_extends_another_nnunet_trainer(tiny_dataset):
    from nnunetv2.training.nnUNetTrainer.variants.sampling.nnUNetTrainer_probabilisticOversampling import (
        nnUNetTrainer_probabilisticOversampling,
    )

    class nnUNetTrainerFairOversampling(DivergenceWeighting, nnUNetTrainer_probabilisticOversampling):
        pass

    trainer = run(tiny_dataset().trainer(nnUNetTrainerFairOversampling, settings=SETTINGS), 3)
    assert trainer.probabilistic_oversampling
    assert weights(trainer)["weight"].nunique() > 1


def test_sampling_reaches_worker_processes(tiny_dataset, monkeypatch):
    dataset = tiny_dataset()
    monkeypatch.setenv("nnUNet_n_proc_DA", "2")
    trainer = dataset.trainer(nnUNetTrainerFairDivSampling, settings=SETTINGS)
    trainer.on_train_start()
    try:
        ids = list(trainer.fair_session.weights.case_ids)
        favoured = ids[3]
        set_weights(trainer, {case_id: 50.0 if case_id == favoured else 1e-3 for case_id in ids})
        for _ in range(30):  # what the workers had prepared before
            next(trainer.dataloader_train)
        drawn = [key for _ in range(100) for key in next(trainer.dataloader_train)["keys"]]
    finally:
        trainer.dataloader_train._finish()
        trainer.dataloader_val._finish()
    # the floor gives the 8 others a tenth of the uniform probability each: the favoured case holds over 90 %
    assert 0.75 < np.mean([key == favoured for key in drawn]) < 1.0


class Forgetful(nnUNetTrainerFairDivLoss):
    """Writes checkpoint_latest every epoch."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cpu")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.save_every = 1


def interrupted(dataset, after: int, settings: dict):
    """A training that stops after ``after`` of 6 epochs, as if killed then."""
    trainer = dataset.trainer(Forgetful, settings=settings)
    trainer.num_epochs = 6
    torch.manual_seed(0)
    np.random.seed(0)
    trainer.on_train_start()
    for _ in range(after):
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        outputs = [trainer.train_step(next(trainer.dataloader_train)) for _ in range(trainer.num_iterations_per_epoch)]
        trainer.on_train_epoch_end(outputs)
        with torch.no_grad():
            trainer.on_validation_epoch_start()
            outputs = [trainer.validation_step(next(trainer.dataloader_val)) for _ in range(2)]
            trainer.on_validation_epoch_end(outputs)
        trainer.on_epoch_end()
    return trainer


def resumed(dataset, settings: dict, trainer_class=Forgetful):
    from nnunetv2.run.run_training import maybe_load_checkpoint

    trainer = dataset.trainer(trainer_class, settings=settings, resume=True)
    trainer.num_epochs = 6
    maybe_load_checkpoint(trainer, continue_training=True, validation_only=False)
    return trainer


def test_a_resumed_training_continues_with_its_scores_weights_and_history(tiny_dataset):
    dataset = tiny_dataset()
    settings = {**SETTINGS, "max_gradient": "auto"}
    before = interrupted(dataset, 4, settings)
    expected_weights, expected_scores = before.fair_session.weights.by_case(), before.fair_session._scores.scores()
    expected_history = history(before)
    trainer = resumed(dataset, settings)
    trainer.on_train_start()
    assert trainer.current_epoch == 4
    assert trainer.fair_session.weights.by_case() == expected_weights
    assert len(trainer.fair_session.clipping.state()) == 4 * trainer.num_iterations_per_epoch
    assert trainer.fair_session.clipping.state() == before.fair_session.clipping.state()
    pd.testing.assert_series_equal(trainer.fair_session._scores.scores(), expected_scores)
    pd.testing.assert_frame_equal(history(trainer), expected_history)


def of_another_version(method: type) -> type:
    """The trainer ``Forgetful`` of a version in which it does what ``method`` does, and did what FairDivLoss does."""
    return type(
        "Forgetful", (Forgetful,), {"fair_method": method.fair_method, "former_trainer": nnUNetTrainerFairDivLoss}
    )


def without_place(folder: Path) -> None:
    """Make the states those of a version that did not note where weights act."""
    for path in folder.glob("fair_state_*.json"):
        content = json.loads(path.read_text())
        del content["acts_on"]
        path.write_text(json.dumps(content))


def test_a_training_goes_on_as_what_it_did_when_its_trainer_has_changed(tiny_dataset):
    dataset = tiny_dataset()
    settings = {**SETTINGS, "max_gradient": 0.5}  # which sampling refuses
    before = interrupted(dataset, 2, settings)
    without_place(Path(before.output_folder))
    sampling = of_another_version(nnUNetTrainerFairDivSampling)
    trainer = resumed(dataset, settings, sampling)
    trainer.on_train_start()
    assert trainer.fair_method.acts_on == trainer.fair_session.method.acts_on == "loss"
    assert trainer.loss.weighted is not None and trainer.fair_config.max_gradient == 0.5
    assert trainer.fair_session.weights.by_case() == before.fair_session.weights.by_case()
    assert "as nnUNetTrainerFairDivLoss of this one" in Path(trainer.log_file).read_text()
    trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_latest.pth"))
    assert load_state(Path(trainer.output_folder), 3).acts_on == "loss"  # and so for ever
    with pytest.raises(SystemExit, match="max_gradient"):
        dataset.trainer(sampling, settings=settings).initialize()
    afresh = dataset.trainer(sampling, settings=SETTINGS)
    afresh.on_train_start()
    assert afresh.fair_session.method.acts_on == "sampling" and afresh.loss.weighted is None


def test_a_training_is_not_continued_by_a_trainer_that_does_something_else(tiny_dataset):
    dataset = tiny_dataset()
    interrupted(dataset, 2, SETTINGS)
    other = type(
        "Forgetful", (Forgetful,), {"fair_method": nnUNetTrainerFairDivSampling.fair_method, "former_trainer": None}
    )
    with pytest.raises(SystemExit, match="was begun with weights on loss, but those of this trainer act on sampling"):
        resumed(dataset, SETTINGS, other).on_train_start()


def test_rows_written_after_the_checkpoint_are_not_written_twice(tiny_dataset):
    dataset = tiny_dataset()
    trainer = interrupted(dataset, 3, SETTINGS)
    folder = Path(trainer.output_folder)
    with (folder / "fair_history.csv").open("a") as file:  # a later epoch, and a line cut short by the kill
        file.write("4,density=d,3,0.3,0.5,-0.1,-1.0\n5,density=d,3,0.")
    for _ in range(2):
        trainer = resumed(dataset, SETTINGS)
        trainer.run_training()
        rows = history(trainer)
        assert sorted(rows["epoch"].unique()) == [1, 2, 3, 4, 5]
        assert not rows.duplicated(["epoch", "subgroup"]).any()


def _killed_while_saving(dataset, at_save: int) -> None:
    """Train in a process that is killed, hard, when its ``at_save``-th checkpoint is half written."""
    whole_save, saves = torch.save, []

    def save(content, path):
        saves.append(path)
        whole_save(content, path)
        if len(saves) == at_save:
            size = Path(path).stat().st_size
            os.truncate(path, size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = save
    torch.set_num_threads(1)
    interrupted(dataset, 6, SETTINGS)


@pytest.mark.parametrize("at_save", [2, 5])
def test_killed_in_the_middle_of_writing_a_checkpoint(tiny_dataset, at_save):
    dataset = tiny_dataset()
    process = multiprocessing.get_context("fork").Process(target=_killed_while_saving, args=(dataset, at_save))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    trainer = resumed(dataset, SETTINGS)
    trainer.on_train_start()
    assert 0 < trainer.current_epoch < 6
    log = Path(trainer.log_file).read_text()
    assert f"continuing with the scores and weights saved for epoch {trainer.current_epoch}" in log
    assert trainer.fair_session._scores.patches.sum() == trainer.current_epoch * 6 * 2
    rows = history(trainer)
    assert sorted(rows["epoch"].unique()) == list(range(1, trainer.current_epoch + 1))


def test_a_missing_state_is_refused_unless_accepted(tiny_dataset, monkeypatch):
    dataset = tiny_dataset()
    trainer = interrupted(dataset, 3, SETTINGS)
    for path in Path(trainer.output_folder).glob("fair_state*"):
        path.unlink()
    with pytest.raises(SystemExit, match=r"no saved state for epoch 3 .*NNUNET_FAIR_ACCEPT_MISSING_STATE=1"):
        resumed(dataset, SETTINGS).on_train_start()
    monkeypatch.setenv("NNUNET_FAIR_ACCEPT_MISSING_STATE", "1")
    trainer = resumed(dataset, SETTINGS)
    trainer.on_train_start()
    assert set(trainer.fair_session.weights.values) == {1.0}
    log = max(Path(trainer.output_folder).glob("training_log*.txt"), key=lambda path: path.stat().st_mtime).read_text()
    assert "no saved state for epoch 3" in log


def test_changed_metadata_is_refused_unless_accepted(tiny_dataset, monkeypatch):
    dataset = tiny_dataset()
    interrupted(dataset, 3, SETTINGS)
    table = pd.read_csv(dataset.fair_cases)
    table.loc[1, "density"] = "c"
    table.to_csv(dataset.fair_cases, index=False)
    with pytest.raises(SystemExit, match=r"metadata .* changed .*NNUNET_FAIR_ACCEPT_CHANGED_METADATA=1"):
        resumed(dataset, SETTINGS).on_train_start()
    monkeypatch.setenv("NNUNET_FAIR_ACCEPT_CHANGED_METADATA", "1")
    accepted = resumed(dataset, SETTINGS)
    accepted.on_train_start()
    assert accepted.current_epoch == 3


def test_every_checkpoint_has_its_state_and_no_more(tiny_dataset):
    trainer = interrupted(tiny_dataset(), 4, SETTINGS)
    folder = Path(trainer.output_folder)
    checkpoints = {path.stem: torch.load(path, weights_only=False)["current_epoch"] for path in folder.glob("*.pth")}
    states = {path.name for path in folder.glob("fair_state*")}
    assert states == {f"fair_state_{name}_{epoch}.json" for name, epoch in checkpoints.items()}


def test_a_finished_training_keeps_only_what_its_checkpoints_need(tiny_dataset):
    trainer = run(tiny_dataset().trainer(Forgetful, settings=SETTINGS), 3)
    names = {path.name for path in Path(trainer.output_folder).glob("fair_state*")}
    assert "fair_state_checkpoint_final_3.json" in names
    assert not any("latest" in name for name in names)


def test_no_metadata_is_one_sentence_that_says_what_to_do(tiny_dataset):
    dataset = tiny_dataset()
    dataset.fair_cases.unlink()
    trainer = dataset.trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS)
    with pytest.raises(SystemExit) as stopped:
        trainer.on_train_start()
    message = str(stopped.value)
    assert str(dataset.fair_cases) in message
    assert str(dataset.raw) in message
    assert "nnunet_fair metadata -d" in message


def test_an_unknown_setting_stops_before_the_network_is_built(tiny_dataset):
    trainer = tiny_dataset().trainer(nnUNetTrainerFairDivLoss, settings={"strenght": 1.0})
    with pytest.raises(SystemExit, match="did you mean 'strength'"):
        trainer.initialize()
    assert trainer.network is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attributes": ["bmi"]}, "names 'bmi', which fair_cases.csv lacks"),
        ({"score_class": 1}, '"score_class" is 1, but the dataset has 1 foreground'),
    ],
    ids=["attribute", "class"],
)
def test_settings_the_dataset_cannot_meet(tiny_dataset, settings, message):
    with pytest.raises(SystemExit, match=message):
        tiny_dataset().trainer(nnUNetTrainerFairDivLoss, settings=settings).on_train_start()


def test_a_warm_up_as_long_as_the_training_is_said(tiny_dataset):
    trainer = run(tiny_dataset().trainer(nnUNetTrainerFairDivLoss, settings={**SETTINGS, "warmup_epochs": 2}), 2)
    assert set(trainer.fair_session.weights.values) == {1.0}
    assert "warm-up is as long as the training (2 epochs)" in Path(trainer.log_file).read_text()


def test_metadata_of_other_patients_is_refused(tiny_dataset):
    dataset = tiny_dataset()
    dataset.fair_cases.write_text("case_id,density\nOTHER_1,a\n")
    with pytest.raises(SystemExit, match="none of the 9 training cases has metadata"):
        dataset.trainer(nnUNetTrainerFairDivLoss).on_train_start()


def test_cases_without_a_row_are_counted_and_neutral(tiny_dataset):
    dataset = tiny_dataset()
    table = pd.read_csv(dataset.fair_cases)
    table[table["case_id"] != "CASE_001"].to_csv(dataset.fair_cases, index=False)
    trainer = run(dataset.trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS), 3)
    log = next(Path(trainer.output_folder).glob("training_log*.txt")).read_text()
    assert "1 of 9 training cases without metadata" in log
    table = weights(trainer)
    assert table.loc["CASE_001", "subgroup"] == ""
    assert table.loc["CASE_001", "weight"] == pytest.approx(table["weight"].min())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_leaves_scores_and_weights_alone(tiny_dataset, bad):
    trainer = tiny_dataset().trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS)
    trainer.on_train_start()
    batch = next(trainer.dataloader_train)
    for _ in range(3):
        assert np.isnan(trainer.train_step({**batch, "data": torch.full_like(batch["data"], bad)})["loss"])
    trainer.fair_session.end_epoch(1, 6)
    assert trainer.fair_session._scores.scores().isna().all()
    assert set(trainer.fair_session.weights.values) == {1.0}
    assert trainer.fair_session.last_refresh.note == "no case has been scored yet"


def test_nothing_about_patients_is_in_what_nnunet_ships(tiny_dataset):
    dataset = tiny_dataset()
    table = pd.read_csv(dataset.fair_cases)
    table["density"] = table["density"].map({"a": "Zebra-a", "d": "Zebra-d"})
    table.to_csv(dataset.fair_cases, index=False)
    trainer = run(dataset.trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS, plots=True), 3)
    model = Path(trainer.output_folder_base)
    # what nnUNetv2_export_model_to_zip takes of a model, the validation's summary aside
    fold = model / "fold_0"
    shipped = [*model.glob("*.json"), *fold.glob("*.pth"), fold / "debug.json", fold / "progress.png"]
    assert len(shipped) == 7
    for path in shipped:
        content = path.read_bytes()
        assert b"CASE_0" not in content, path
        assert b"Zebra" not in content, path
    assert b"Zebra" in (fold / "fair_history.csv").read_bytes()  # the search does find what is there


def test_validation_needs_no_metadata(tiny_dataset):
    from nnunetv2.run.run_training import maybe_load_checkpoint

    dataset = tiny_dataset()
    run(dataset.trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS), 2)
    dataset.fair_cases.unlink()
    trainer = dataset.trainer(nnUNetTrainerFairDivLoss, settings=SETTINGS)
    maybe_load_checkpoint(trainer, continue_training=False, validation_only=True)
    assert trainer.fair_session is None
    assert trainer.current_epoch == 2
