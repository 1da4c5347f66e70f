"""What nnU-Net's trainer can do, done by the plugin's trainer."""

import multiprocessing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nnunetv2.training.nnUNetTrainer.nnUNetTrainer as nnunet_trainer_module
import numpy as np
import pandas as pd
import pytest
import torch

from nnunet_fair.training.clipping import GradientClipping
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.divergence_weighting import DivergenceWeighting
from nnunet_fair.training.method import ON_LOSS
from nnunet_fair.training.session import FairSession
from nnunet_fair.training.trainer import nnUNetTrainerFairDiv

pytestmark = pytest.mark.slow  # every test trains, or starts processes

SETTINGS = {"min_support": 0.1, "warmup_epochs": 1, "max_items": 2, "min_t": 0.0}


@pytest.fixture(autouse=True)
def _one_export_process(monkeypatch):
    """nnU-Net starts eight processes for a validation, each of which imports torch."""
    monkeypatch.setattr(nnunet_trainer_module, "default_num_processes", 1)


def test_low_resolution_then_cascade(tiny_dataset):
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    dataset = tiny_dataset()
    low = dataset.trainer(nnUNetTrainerFairDiv, configuration="3d_lowres", settings=SETTINGS)
    low.num_epochs = 2
    low.run_training()
    low.perform_actual_validation()
    next_stage = Path(low.output_folder_base) / "predicted_next_stage" / "3d_cascade_fullres"
    assert len(list(next_stage.glob("*.b2nd"))) == 3  # the fold's validation cases
    table = pd.read_csv(Path(low.output_folder) / "validation" / "fair_subgroups.csv")
    assert {"density=a", "density=d"} <= set(table["subgroup"])
    assert table.loc[table["subgroup"].str.startswith("density"), "n"].sum() == 3

    # the other folds' predictions, which the cascade trains on: here the references
    data = nnUNetDatasetBlosc2(str(dataset.folder / "nnUNetPlans_3d"))
    for case_id in dataset.case_ids:
        if not (next_stage / f"{case_id}.b2nd").exists():
            _, seg, _, _ = data.load_case(case_id)
            nnUNetDatasetBlosc2.save_seg(np.asarray(seg[0]), str(next_stage / case_id))
    cascade = dataset.trainer(nnUNetTrainerFairDiv, configuration="3d_cascade_fullres", settings=SETTINGS)
    assert cascade.is_cascaded
    cascade.num_epochs = 2
    cascade.run_training()
    assert len(pd.read_csv(Path(cascade.output_folder) / "fair_history.csv")) > 0


@pytest.mark.slow
def test_pretrained_weights(tiny_dataset):
    from nnunetv2.run.run_training import maybe_load_checkpoint

    dataset = tiny_dataset()
    first = dataset.trainer(nnUNetTrainerFairDiv, settings=SETTINGS)
    first.num_epochs = 1
    first.run_training()
    checkpoint = str(Path(first.output_folder) / "checkpoint_final.pth")
    second = dataset.trainer(nnUNetTrainerFairDiv, fold=1, settings=SETTINGS)
    maybe_load_checkpoint(second, False, False, pretrained_weights_file=checkpoint)
    expected = first.network.state_dict()
    loaded = second.network.state_dict()
    # nnU-Net leaves the segmentation layers out
    assert all(torch.equal(loaded[key], expected[key]) for key in expected if "seg_layers" not in key)
    second.num_epochs = 2
    second.run_training()


def test_validation_of_the_best_checkpoint_with_probabilities(tiny_dataset):
    dataset = tiny_dataset()
    trainer = dataset.trainer(nnUNetTrainerFairDiv, settings=SETTINGS)
    trainer.num_epochs = 1
    trainer.run_training()
    trainer.load_checkpoint(str(Path(trainer.output_folder) / "checkpoint_best.pth"))
    trainer.perform_actual_validation(save_probabilities=True)
    folder = Path(trainer.output_folder) / "validation"
    assert len(list(folder.glob("*.npz"))) == 3
    assert (folder / "fair_subgroups.csv").is_file()


def test_a_validation_without_metadata_says_why_there_is_no_table(tiny_dataset):
    dataset = tiny_dataset()
    trainer = dataset.trainer(nnUNetTrainerFairDiv, settings=SETTINGS)
    trainer.num_epochs = 1
    trainer.run_training()
    dataset.fair_cases.unlink()
    again = dataset.trainer(nnUNetTrainerFairDiv, settings=SETTINGS)
    again.load_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
    again.perform_actual_validation()
    folder = Path(again.output_folder)
    assert (folder / "validation" / "summary.json").is_file()
    assert not (folder / "validation" / "fair_subgroups.csv").exists()
    assert "no subgroup table of the validation: no case metadata" in Path(again.log_file).read_text()


@pytest.mark.slow
def test_experiment_trackers_get_the_fairness_values(tiny_dataset):
    logged = []
    tracker = SimpleNamespace(
        log=lambda key, value, step: logged.append((key, value, step)), log_summary=None, update_config=lambda _: None
    )
    trainer = tiny_dataset().trainer(nnUNetTrainerFairDiv, settings=SETTINGS)
    trainer.logger.loggers.append(tracker)
    trainer.num_epochs = 3
    trainer.run_training()
    fair = [(key, value, step) for key, value, step in logged if key.startswith("fair/")]
    assert {key for key, _, _ in fair} == {
        "fair/weight_min",
        "fair/weight_max",
        "fair/worst_divergence",
        "fair/worst_mean_score",
    }
    assert {step for _, _, step in fair} == {0, 1}  # the refreshes before epochs 1 and 2
    assert all(isinstance(value, float) and np.isfinite(value) for _, value, _ in fair)


CASES = [f"c{i}" for i in range(8)]


def _session(folder: Path, writes: bool) -> FairSession:
    metadata = pd.DataFrame({"group": ["x"] * 4 + ["y"] * 4}, index=CASES, dtype=object)
    return FairSession(
        config=FairConfig(min_t=0.0, warmup_epochs=1),
        method=replace(ON_LOSS, min_cases=2),
        metadata=metadata,
        train_ids=CASES,
        val_ids=["v"],
        present=pd.DataFrame({0: True}, index=[*CASES, "v"]),
        folder=folder,
        log=lambda _: None,
        writes=writes,
    )


def _patches(case: int) -> tuple:
    return [CASES[case]], np.array([[1 + case]]), np.array([[20]])


def _rank(rank: int, store: str, folder: str, results) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    session = _session(Path(folder), writes=rank == 0)
    for case in range(len(CASES)):
        for _ in range(2):
            if case % 2 == rank:  # each rank sees half of the cases only
                session.add_patches(*_patches(case))
    trainer = SimpleNamespace(is_ddp=True)
    session.end_epoch(1, 10, lambda counts: DivergenceWeighting._sum_over_ranks(trainer, counts))
    clipping = GradientClipping("auto")
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.tensor([6.0])  # nnU-Net's mean over the ranks
    clipping.clip([parameter], [1.0 + 4 * rank], neutral=False)
    clipping.end_epoch(lambda counts: DivergenceWeighting._sum_over_ranks(trainer, counts))
    results.put((rank, (session.weights.by_case(), clipping.state())))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_every_rank_of_a_distributed_training_holds_the_same_weights(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [
        context.Process(target=_rank, args=(rank, str(tmp_path / "store"), str(tmp_path), results)) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    told = dict(results.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    alone = _session(tmp_path, writes=False)
    for case in range(len(CASES)):
        for _ in range(2):
            alone.add_patches(*_patches(case))
    alone.end_epoch(1, 10)
    weights = {rank: of_rank for rank, (of_rank, _) in told.items()}
    assert weights[0] == weights[1] == alone.weights.by_case()
    assert [norms for _, norms in told.values()] == [[2.0], [2.0]]  # 6 for a mean weight of 3
    assert weights[0]["c0"] > 1 > weights[0]["c7"]
    assert sorted(path.name for path in tmp_path.glob("fair_*")) == [
        "fair_history.csv",
        "fair_progress.png",
        "fair_weights.csv",
    ]
