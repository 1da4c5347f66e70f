"""One run: a training, nnU-Net's validation of the patients it never saw, their scores."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.score_cases import ScoringOptions, score_cases
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.pairing import pair_cases
from nnunet_fair.metadata.fair_cases import write_fair_cases
from nnunet_fair.training.chance import dealt_out
from studies.real.dataset import CONFIGURATION, FINER, PLANS, SHIFT_SPLIT, SPLITS, Dataset, point_to
from studies.real.methods import METHODS
from studies.real.results import late_evidence, numbered, write_result
from studies.real.scale import Scale

if TYPE_CHECKING:
    from studies.real.trainers import Watched

PERMUTATION = 4711
"""Beside the run's seed, of the order in which attributes are dealt out."""
SCORES, WEIGHTS = "running_scores.csv", "weights.csv"
FOLDS, SHIFT = "folds", "shift"


@dataclass(frozen=True)
class Run:
    """What is trained.

    Attributes:
        part: ``folds``, the cross-validation, or ``shift``, the external shift, which has the one fold 0.
        method: key of ``METHODS``.
        seed: of the initialisation and the batch order.
        fold: of the cross-validation.
    """

    part: str
    method: str
    seed: int
    fold: int

    @property
    def name(self) -> str:
        """Its folder's name, and its results' file name."""
        return f"{self.part}-{self.method}-seed{self.seed}-fold{self.fold}"


def execute(run: Run, dataset: Dataset, scale: Scale, results: Path) -> None:
    """Train, predict the fold's other patients, score them and write the run's result.

    Call it in a process of its own: nnU-Net reads its variables once.

    Args:
        run: what to train.
        dataset: the prepared cohort.
        scale: how long.
        results: folder of the cohort's results.
    """
    folder = dataset.folder / "runs" / run.name
    if not scale.checkpoints:
        shutil.rmtree(folder, ignore_errors=True)
    _lay_out(folder, run, dataset)
    started, used = time.monotonic(), _cpu_seconds()
    with (folder / "log.txt").open("a") as log, redirect_stdout(log):
        trainer = _train(run, dataset, scale, folder)
        trained = _cpu_seconds()
        predicted = Path(trainer.output_folder) / "validation"
        trainer.perform_actual_validation()
        cases = _score(dataset, predicted)
    write_csv(pd.DataFrame(trainer.seen_scores).round(4).rename_axis("epoch").reset_index(), folder / SCORES)
    write_csv(pd.DataFrame(trainer.seen_weights).round(4).rename_axis("epoch").reset_index(), folder / WEIGHTS)
    noted = {
        **vars(run),
        "settings": scale.settings(),
        "source": dataset.source(),
        "cpu_training_s": round(trained - used),
        "cpu_all_s": round(_cpu_seconds() - used),
        "hours": round((time.monotonic() - started) / 3600, 3),
        **late_evidence(Path(trainer.output_folder), trainer.seen_weights),
    }
    write_result(results, run.name, numbered(cases, dataset.patient_of()), noted)
    shutil.rmtree(predicted)  # pictures of patients are not kept, the scores are


def _lay_out(folder: Path, run: Run, dataset: Dataset) -> None:
    """nnU-Net's folders for this run: the preprocessed data by link, its own folds, metadata and settings."""
    method = METHODS[run.method]
    target = folder / "preprocessed" / dataset.cohort.dataset
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    own = {SPLITS, "fair_cases.csv", f"{PLANS}.json"}
    for path in dataset.preprocessed.iterdir():
        if path.name not in own:
            (target / path.name).symlink_to(path)
    if not (folder / "raw").is_symlink():
        (folder / "raw").symlink_to(dataset.folder / "raw")
    splits = dataset.folder / SHIFT_SPLIT if run.part == SHIFT else dataset.preprocessed / SPLITS
    shutil.copyfile(splits, target / SPLITS)
    cases = dataset.sizes() if method.by_size else dataset.cases()
    dealt = dealt_out(cases, dataset.patient_of(), (run.seed, PERMUTATION)) if method.permuted else cases
    write_fair_cases(dealt, target)
    plans = json.loads((dataset.preprocessed / f"{PLANS}.json").read_text())
    write_json({**plans, "nnunet_fair": dict(method.settings)}, target / f"{PLANS}.json")
    point_to(folder, folder / "results")


def _train(run: Run, dataset: Dataset, scale: Scale, folder: Path) -> Watched:
    """Train; the same seed draws the same initialisation and batches for every method."""
    os.environ["nnUNet_n_proc_DA"] = str(scale.workers)  # noqa: SIM112 (nnU-Net's own name)
    import torch

    from studies.real.trainers import study_trainer

    if scale.device == "cpu":
        torch.set_num_threads(1)
    preprocessed = folder / "preprocessed" / dataset.cohort.dataset
    plans = json.loads((preprocessed / f"{PLANS}.json").read_text())
    dataset_json = json.loads((preprocessed / "dataset.json").read_text())
    plans["continue_training"] = False
    method = METHODS[run.method]
    configuration = FINER if method.finer else CONFIGURATION
    made = study_trainer(method, scale, dataset.cohort)
    trainer = made(plans, configuration, run.fold, dataset_json, torch.device(scale.device))
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(run.seed)
    trainer.initialize()
    checkpoints = [Path(trainer.output_folder) / f"checkpoint_{name}.pth" for name in ("final", "latest", "best")]
    found = [path for path in checkpoints if path.is_file()]
    if found:
        trainer.load_checkpoint(str(found[0]))
    if not found or found[0] is not checkpoints[0]:
        trainer.run_training()
    return trainer


def _score(dataset: Dataset, predicted: Path) -> pd.DataFrame:
    """The scores of the predictions in a folder."""
    predictions = list_masks(predicted)
    references = {name: path for name, path in list_masks(dataset.raw / "labelsTr").items() if name in predictions}
    pairing = pair_cases(references, predictions)
    return score_cases(pairing.pairs, ScoringOptions(), n_processes=1)


def _cpu_seconds() -> float:
    """User time of this process and of those it has waited for."""
    return sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
