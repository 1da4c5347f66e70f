"""One run: a training of the trainer's class on one seed's cases, and the scores of the test cases."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.effect.cohorts import PLANS, Cohort, set_paths
from benchmarks.effect.methods import METHODS, Method
from benchmarks.effect.references import GroupDRO, InverseFrequency, Oracle
from benchmarks.effect.scale import Scale
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.training.records import HISTORY_COLUMNS, HISTORY_FILE

START_FILE = "start.pth"
CASES, SCORES, TRACE, RUN = "cases.csv", "running_scores.csv", "weights.csv", "run.json"


@dataclass(frozen=True)
class Run:
    """What is trained.

    Attributes:
        kind: the cohort's.
        missing: how metadata is missing.
        method: key of ``METHODS``.
        seed: of the choice of training cases, the initialisation and the batch order.
    """

    kind: str
    missing: str
    method: str
    seed: int

    def folder(self, work: Path) -> Path:
        """Where the run is kept."""
        return work / "runs" / f"{self.kind}-{self.missing}" / self.method / f"seed_{self.seed}"


def read_notes(run: Run, work: Path) -> dict:
    """What ``run.json`` says of a finished run."""
    return json.loads((run.folder(work) / RUN).read_text())


def weight_ratio(weights: pd.DataFrame, group: set[str]) -> list[float]:
    """The planted group's mean weight over the others', by epoch.

    Args:
        weights: one row an epoch, one column a training case.
        group: the planted group's case IDs.
    """
    inside = weights.columns.isin(group)
    ratio = weights.loc[:, inside].mean(axis=1) / weights.loc[:, ~inside].mean(axis=1)
    return [round(float(value), 3) for value in ratio]


def learning_curve(scores: Sequence[pd.Series]) -> list[float]:
    """The mean running score of the cases that have one, by epoch; 0 where none has."""
    return [round(float(known.mean()), 4) if (known := epoch.dropna()).size else 0.0 for epoch in scores]


def top_subgroup(path: Path) -> dict:
    """The most probable subgroup of the later refreshes: its probability, its name and how steadily it is on top.

    Args:
        path: a training's ``fair_history.csv``, which is not there where no subgroup was looked for.
    """
    history = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=list(HISTORY_COLUMNS))
    late = history[history["epoch"] >= history["epoch"].median()].dropna(subset=["probability"])
    if late.empty:
        return {"top_subgroup": "", "top_probability": None, "top_share": None}
    top = late.loc[late.groupby("epoch")["probability"].idxmax()]
    commonest = top["subgroup"].value_counts(normalize=True)
    return {
        "top_subgroup": commonest.index[0],
        "top_probability": round(top["probability"].mean(), 3),
        "top_share": round(commonest.iloc[0], 3),
    }


def training_cases(case_ids: list[str], scale: Scale, seed: int) -> dict[str, list[str]]:
    """The seed's fold: ``n_train`` cases drawn from those available, the others validate."""
    order = np.random.default_rng([seed, 77]).permutation(sorted(case_ids))
    return {"train": sorted(map(str, order[: scale.n_train])), "val": sorted(map(str, order[scale.n_train :]))}


def execute(run: Run, cohort: Cohort, scale: Scale, work: Path) -> Path:
    """Train and score, unless that was done before.

    Args:
        run: what to train.
        cohort: the prepared cohort.
        scale: the study's size.
        work: the study's folder.

    Returns:
        The run's folder with ``cases.csv`` (test cases), ``running_scores.csv`` and ``weights.csv`` (by epoch).
    """
    done = run.folder(work)
    if (done / CASES).is_file():
        return done
    done.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".run.", dir=done.parent) as scratch:
        started = time.monotonic()
        folder, output = Path(scratch), Path(scratch) / "done"
        output.mkdir()
        _lay_out(folder, run, cohort, scale)
        with (folder / "log.txt").open("w") as log, redirect_stdout(log):
            trainer = _train(run, cohort, scale, work, output)
            trained = time.monotonic()
            predicted = folder / "predicted"
            _predict(trainer, cohort, predicted)
            cases = _score(cohort, predicted)
        cases.insert(0, "group", cases.index.isin(cohort.group()).astype(int))
        write_csv(cases.rename_axis("case_id").reset_index(), output / CASES)
        times = {"training_s": round(trained - started, 1), "all_s": round(time.monotonic() - started, 1)}
        norms = dict(zip(("gradient_90", "gradient_max"), np.quantile(trainer.gradient_norms, (0.9, 1)), strict=True))
        notes = {
            **times,
            **{name: round(float(norm), 3) for name, norm in norms.items()},
            **top_subgroup(output / HISTORY_FILE),
            "learning_curve": learning_curve(trainer.seen_scores),
            "weight_ratio": weight_ratio(pd.DataFrame(trainer.seen_weights), cohort.group()),
        }
        write_json({**vars(run), **notes}, output / RUN)
        shutil.rmtree(done, ignore_errors=True)
        output.replace(done)
    return done


def train_start(cohort: Cohort, scale: Scale, work: Path) -> None:
    """Train the network every training starts from, unless it is there: stock nnU-Net on the cohort ``start``."""
    import torch

    if (work / START_FILE).is_file():
        return
    run = Run(cohort.kind, "none", "stock", 0)
    with tempfile.TemporaryDirectory(prefix=".start.", dir=work) as scratch:
        folder = Path(scratch)
        longer = replace(scale, epochs=scale.start_epochs, learning_rate=scale.start_learning_rate)
        _lay_out(folder, run, cohort, longer)
        with (folder / "log.txt").open("w") as log, redirect_stdout(log):
            trainer = _train(run, cohort, longer, work, folder)
        torch.save(trainer.network.state_dict(), folder / START_FILE)
        (folder / START_FILE).replace(work / START_FILE)


def _lay_out(folder: Path, run: Run, cohort: Cohort, scale: Scale) -> None:
    """nnU-Net's folders for this run: the cohort's preprocessed data by link, its own folds, metadata and plans."""
    preprocessed = folder / "preprocessed" / cohort.dataset
    preprocessed.mkdir(parents=True)
    (folder / "raw").symlink_to(cohort.folder / "raw")
    own = {"splits_final.json", "fair_cases.csv", f"{PLANS}.json"}
    for path in cohort.preprocessed.iterdir():
        if path.name not in own:
            (preprocessed / path.name).symlink_to(path)
    shutil.copyfile(cohort.metadata(run.missing), preprocessed / "fair_cases.csv")
    plans = json.loads((cohort.preprocessed / f"{PLANS}.json").read_text())
    write_json({**plans, "nnunet_fair": dict(METHODS[run.method].settings)}, preprocessed / f"{PLANS}.json")
    split = json.loads((cohort.preprocessed / "splits_final.json").read_text())[0]
    write_json([training_cases(split["train"] + split["val"], scale, run.seed)], preprocessed / "splits_final.json")
    set_paths(folder, folder / "results")


def _train(run: Run, cohort: Cohort, scale: Scale, work: Path, output: Path):
    """Train with the trainer's class; the same seed draws the same initialisation and batches for every method."""
    import torch

    from benchmarks.effect.trainer import EffectTrainer
    from studies.small_lesions.trainers import with_candidate

    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112 - nnU-Net's own name; batches in one order
    torch.set_num_threads(1 if scale.device == "cpu" else 8)
    preprocessed = Path(os.environ["nnUNet_preprocessed"]) / cohort.dataset  # noqa: SIM112
    plans = {**json.loads((preprocessed / f"{PLANS}.json").read_text()), "continue_training": False}
    dataset_json = json.loads((preprocessed / "dataset.json").read_text())
    method = METHODS[run.method]
    trainer = with_candidate(EffectTrainer, method.candidate)(
        plans, "3d_fullres", 0, dataset_json, torch.device(scale.device)
    )
    trainer.num_epochs = scale.epochs * method.longer
    trainer.study(method)
    trainer.num_iterations_per_epoch = scale.iterations
    trainer.num_val_iterations_per_epoch = scale.val_iterations
    trainer.initial_lr = scale.learning_rate * method.learning_rate
    trainer.disable_checkpointing = True
    trainer.logger.plot_progress_png = lambda folder: None  # takes longer than the epoch
    trainer.finder_for = lambda cases: _reference(method, cohort, cases)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(run.seed)
    trainer.initialize()
    if scale.device == "cpu":
        trainer.network.to(memory_format=torch.channels_last_3d)  # the same numbers but for rounding, a third faster
    start = work / START_FILE
    if start.is_file():
        # every layer; nnU-Net's -pretrained_weights leaves out the last one, and learning it takes a third of the steps
        trainer.network.load_state_dict(torch.load(start, weights_only=True))
    trainer.run_training()
    write_csv(pd.DataFrame(trainer.seen_scores).rename_axis("epoch").reset_index(), output / SCORES)
    write_csv(pd.DataFrame(trainer.seen_weights).rename_axis("epoch").reset_index(), output / TRACE)
    history = Path(trainer.output_folder) / HISTORY_FILE
    if history.is_file():
        shutil.copyfile(history, output / history.name)
    return trainer


def _reference(method: Method, cohort: Cohort, train_cases: pd.DataFrame):
    """The reference rule in the finder's place; None for the trainer's own finder."""
    if method.reference == "oracle":
        return Oracle(list(train_cases.index), cohort.group(), method.argument)
    if method.reference == "inverse":
        return InverseFrequency(train_cases)
    if method.reference == "dro":
        return GroupDRO(train_cases, method.argument)
    return None


def _predict(trainer, cohort: Cohort, folder: Path) -> None:
    """Predict the test cases with nnU-Net's sliding window and write them with its export."""
    import torch
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=False,
        perform_everything_on_device=trainer.device.type == "cuda",
        device=trainer.device,
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        None,
    )
    folder.mkdir()
    for path in sorted(cohort.test.glob("*.pkl")):
        data, properties = pd.read_pickle(path)
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data))
        export_prediction_from_logits(
            logits,
            properties,
            trainer.configuration_manager,
            trainer.plans_manager,
            trainer.dataset_json,
            str(folder / path.stem),
        )


def _score(cohort: Cohort, predicted: Path) -> pd.DataFrame:
    from nnunet_fair.evaluation.metrics.options import ScoringOptions
    from nnunet_fair.evaluation.metrics.score_cases import score_cases
    from nnunet_fair.masks.endings import list_masks
    from nnunet_fair.masks.pairing import pair_cases

    pairing = pair_cases(list_masks(cohort.labels), list_masks(predicted), missing="empty", where="")
    return score_cases(pairing.pairs, ScoringOptions(), n_processes=1)
