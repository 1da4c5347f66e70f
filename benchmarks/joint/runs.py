"""One run: a trainer's two folds of one seed, the masks and, of the joint trainer, the head's probabilities."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.effect.cohorts import PLANS, Cohort, set_paths
from benchmarks.effect.runs import START_FILE
from benchmarks.effect.scale import SMALL
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_cases import score_cases
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.pairing import pair_cases
from nnunet_fair.pcr.cohort_images import find_images, lesion_files
from nnunet_fair.pcr.fitting import FittingOptions
from nnunet_fair.pcr.joint import joint_table
from nnunet_fair.pcr.lesion_features import OUT_OF_FOLD, write_features
from nnunet_fair.pcr.train import train_response
from nnunet_fair.pcr.training_cases import TrainingSources, read_training_cases
from nnunet_fair.prediction.model import TrainedModel, open_model
from nnunet_fair.prediction.nnunet_predict import load_predictor, load_response_predictor
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.response import case_readings, read_heads
from nnunet_fair.prediction.training_images import training_images
from nnunet_fair.training.joint.outcomes import RESPONSE_TABLE

SCALE = replace(SMALL, n_cases=240, n_train=110, val_iterations=2)
ARMS = {"stock": "nnUNetTrainer", "joint": "nnUNetTrainerFairJoint"}
FOLDS = (0, 1)
HEAD, FEATURES = "head", "lesion features"
TABLE = "clinical_and_imaging_info.xlsx"
CONFIGURATION = "3d_fullres"
OPTIONS = PredictorOptions(device="cpu", mirroring=False, n_preprocessing=0, n_export=0)


@dataclass(frozen=True)
class Run:
    """What is trained.

    Attributes:
        arm: key of ``ARMS``.
        seed: of the two folds and of the batches.
    """

    arm: str
    seed: int

    def folder(self, work: Path) -> Path:
        """Where the run is kept."""
        return work / "runs" / f"seed_{self.seed}" / self.arm

    def result(self, results: Path) -> Path:
        """The run's table: one row a case."""
        return results / f"{self.arm}_{self.seed}.csv"


def halves(case_ids: list[str], outcome: pd.Series, seed: int) -> list[dict[str, list[str]]]:
    """Two folds of a seed, each half of those with and of those without the outcome."""
    rng = np.random.default_rng([seed, 99])
    parts: list[list[str]] = [[], []]
    for value in (0.0, 1.0):
        for number, case_id in enumerate(rng.permutation([c for c in sorted(case_ids) if outcome[c] == value])):
            parts[number % 2].append(str(case_id))
    return [{"train": sorted(parts[1 - fold]), "val": sorted(parts[fold])} for fold in FOLDS]


def execute(run: Run, cohort: Cohort, work: Path, results: Path) -> Path:
    """Train both folds and predict each half by the fold that did not see it, unless that was done before.

    Args:
        run: what to train.
        cohort: the prepared cohort.
        work: the study's folder.
        results: folder of the finished runs' tables.

    Returns:
        The table: ``case_id``, ``fold``, ``pcr``, ``dsc`` and each method's probability of response.
    """
    done = run.result(results)
    if done.is_file():
        return done
    folder = run.folder(work)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    table = cohort.folder / "cohort" / TABLE
    os.environ[RESPONSE_TABLE] = str(table)
    outcome = pd.read_excel(table, index_col="patient_id")["pcr"].astype(float)
    _lay_out(folder, run, cohort, outcome)
    started = time.process_time()
    with (folder / "log.txt").open("w") as log, redirect_stdout(log):
        for fold in FOLDS:
            _train(run, fold, cohort, work)
        trained = time.process_time()
        model = open_model(folder / "results" / cohort.dataset / f"{ARMS[run.arm]}__{PLANS}__{CONFIGURATION}")
        rows = _predict(run, model, cohort, folder / "masks")
        rows = rows.join(_score(cohort, folder / "masks")).join(outcome)
        predicted = time.process_time()
        rows[FEATURES] = _respond(cohort, folder, table)
    rows.insert(0, "fold", fold_of(folder, cohort))
    times = {
        "training_s": trained - started,
        "prediction_s": predicted - trained,
        "all_s": time.process_time() - started,
    }
    results.mkdir(parents=True, exist_ok=True)
    write_json({**vars(run), **{name: round(value) for name, value in times.items()}}, done.with_suffix(".json"))
    write_csv(rows.rename_axis("case_id").reset_index().round(5), done)
    return done


def fold_of(folder: Path, cohort: Cohort) -> pd.Series:
    """The fold that left each case out."""
    splits = json.loads((folder / "preprocessed" / cohort.dataset / "splits_final.json").read_text())
    return pd.Series({case_id: fold for fold in FOLDS for case_id in splits[fold]["val"]})


def _lay_out(folder: Path, run: Run, cohort: Cohort, outcome: pd.Series) -> None:
    """nnU-Net's folders for this run: the cohort's preprocessed data by link, and its own folds."""
    preprocessed = folder / "preprocessed" / cohort.dataset
    preprocessed.mkdir(parents=True)
    (folder / "raw").symlink_to(cohort.folder / "raw")
    for path in cohort.preprocessed.iterdir():
        if path.name != "splits_final.json":
            (preprocessed / path.name).symlink_to(path)
    cases = [path.name.removesuffix(".nii.gz") for path in (cohort.preprocessed / "gt_segmentations").iterdir()]
    write_json(halves(cases, outcome, run.seed), preprocessed / "splits_final.json")
    set_paths(folder, folder / "results")


def _train(run: Run, fold: int, cohort: Cohort, work: Path) -> None:
    """Train one fold with the trainer as users have it, from the common start, in few and short epochs."""
    import torch

    from nnunet_fair.training.joint.trainer import nnUNetTrainerFairJoint

    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112 - nnU-Net's own name; batches in one order
    torch.set_num_threads(1)
    preprocessed = Path(os.environ["nnUNet_preprocessed"]) / cohort.dataset  # noqa: SIM112
    plans = {**json.loads((preprocessed / f"{PLANS}.json").read_text()), "continue_training": False}
    dataset_json = json.loads((preprocessed / "dataset.json").read_text())
    trainer_class = nnUNetTrainerFairJoint
    if run.arm == "stock":
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer as trainer_class
    trainer = trainer_class(plans, CONFIGURATION, fold, dataset_json, torch.device("cpu"))
    trainer.num_epochs = SCALE.epochs
    trainer.num_iterations_per_epoch = SCALE.iterations
    trainer.num_val_iterations_per_epoch = SCALE.val_iterations
    trainer.initial_lr = SCALE.learning_rate
    trainer.logger.plot_progress_png = lambda folder: None  # takes longer than the epoch
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(run.seed * len(FOLDS) + fold)
    trainer.initialize()
    trainer.network.load_state_dict(torch.load(work / START_FILE, weights_only=True))
    trainer.run_training()


def _predict(run: Run, model: TrainedModel, cohort: Cohort, masks: Path) -> pd.DataFrame:
    """Each half's masks by the fold that left it out and, of the joint trainer, the head's probabilities."""
    import torch
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

    masks.mkdir()
    heads = read_heads(model) if run.arm == "joint" else None
    predictor = load_predictor(model, OPTIONS) if heads is None else load_response_predictor(model, OPTIONS, heads)
    predictor.allow_tqdm = False
    of_folds, images, readings = predictor.list_of_parameters, training_images(model, cohort.dataset), {}
    cases = [case_id for part in images.cases for case_id in part]
    for position, fold in enumerate(model.folds):
        predictor.list_of_parameters = of_folds[position : position + 1]
        stored = infer_dataset_class(str(images.folder))(str(images.folder), list(images.cases[position]))
        for case_id in images.cases[position]:
            data, _, _, properties = stored.load_case(case_id)
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(np.asarray(data[:])))
            export_prediction_from_logits(
                logits,
                properties,
                predictor.configuration_manager,
                predictor.plans_manager,
                predictor.dataset_json,
                str(masks / case_id),
            )
            if heads is not None:
                readings[case_id] = case_readings((fold,), predictor.readings)
    rows = pd.DataFrame(index=cases)
    if heads is not None:
        table = joint_table(readings, model, heads, {}).set_index("case_id")
        rows[HEAD], rows[f"{HEAD} decision"] = table["probability"], table["prediction"]
    return rows


def _score(cohort: Cohort, masks: Path) -> pd.DataFrame:
    labels = cohort.folder / "raw" / cohort.dataset / "labelsTr"
    pairing = pair_cases(list_masks(labels), list_masks(masks), missing="empty", where="")
    return score_cases(pairing.pairs, ScoringOptions(), n_processes=1)[["dsc"]]


def _respond(cohort: Cohort, folder: Path, table: Path) -> pd.Series:
    """Probabilities of ``pcr train`` on the lesion features of these masks, by the model that did not see the fold."""
    images = find_images(cohort.folder / "cohort")
    cases = lesion_files(images, list_masks(folder / "masks"))
    write_features(cases, folder / "features.csv", masks=OUT_OF_FOLD)
    sources = TrainingSources(table, features=(folder / "features.csv",), dataset=cohort.dataset)
    return train_response(read_training_cases(sources), FittingOptions()).out_of_fold.rows["probability"]
