"""The encoder's features of cases: of training cases by the fold that did not train on them, or of any images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_fair import __version__
from nnunet_fair.environment import make_trainers_findable
from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import list_images
from nnunet_fair.prediction.encoder_features import image_features
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.nnunet_images import image_problem
from nnunet_fair.prediction.nnunet_predict import load_predictor
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.training_images import training_images

if TYPE_CHECKING:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

NETWORK = "network"


@dataclass(frozen=True, repr=False)
class CaseFeatures:
    """Features of cases.

    Attributes:
        frame: one row a case, indexed by case ID: ``network``, the folds whose networks saw the case, and the features.
            Features of rows with different networks cannot be compared.
        skipped: case ID and reason of every case that could not be read.
        record: how they were made; no case ID.
    """

    frame: pd.DataFrame
    skipped: dict[str, str]
    record: dict[str, Any]


def training_case_features(model: TrainedModel, dataset: str | int, options: PredictorOptions) -> CaseFeatures:
    """Features of a dataset's training cases, each from the fold that validates it.

    Args:
        model: the model; its folds say which cases.
        dataset: nnU-Net dataset number or name, whose preprocessed images are read.
        options: device and step between patches.

    Raises:
        UserError: the model is of fold all or the second stage of a cascade, nothing is preprocessed, or no case can be
            read.
    """
    images = training_images(model, dataset)
    predictor = _predictor(model, options)
    rows, skipped = {}, {}
    for position, fold in enumerate(model.folds):
        n_cases = len(images.cases[position])
        bar = tqdm(images.of_fold(position), total=n_cases, desc=f"features, fold {fold}", unit="case")
        for case_id, image in bar:
            if isinstance(image, str):
                skipped[case_id] = image
            else:
                features = _features(predictor, position, image, options)
                rows[case_id] = {NETWORK: f"fold_{fold}", **_named(features)}
    return _found(rows, skipped, _record(model, options, "training cases, each by the fold that validates it"))


def image_folder_features(model: TrainedModel, root: Path, options: PredictorOptions) -> CaseFeatures:
    """Features of the images of a folder, by the networks of all folds together.

    Args:
        model: the model.
        root: folder of images as nnU-Net names them (``CASE_0000``, one file a channel), that no fold trained on.
        options: device and step between patches.

    Raises:
        UserError: there are no such images, none can be read, or the model is the second stage of a cascade.
    """
    ending = model.dataset["file_ending"]
    cases = {
        case_id: tuple(paths.values())
        for case_id, paths in list_images(root).items()
        if all(path.name.endswith(ending) for path in paths.values())
    }
    if not cases:
        raise UserError(f"{root} holds no image of the model's format (CASE_0000{ending})")
    predictor = _predictor(model, options)
    folds = list(model.folds)
    preprocessor = predictor.configuration_manager.preprocessor_class(verbose=False)
    rows, skipped = {}, {}
    for case_id, paths in tqdm(cases.items(), desc="features", unit="case"):
        problem = image_problem(paths, len(model.dataset["channel_names"]))
        if problem:
            skipped[case_id] = problem
            continue
        image, *_ = preprocessor.run_case(
            [str(path) for path in paths],
            None,
            predictor.plans_manager,
            predictor.configuration_manager,
            predictor.dataset_json,
        )
        row: dict[str, Any] = {NETWORK: "+".join(f"fold_{fold}" for fold in folds)}
        for position, fold in enumerate(folds):
            row |= _named(_features(predictor, position, image, options), f"fold{fold}_")
        rows[case_id] = row
    return _found(rows, skipped, _record(model, options, "images, by all folds together"))


def _predictor(model: TrainedModel, options: PredictorOptions) -> nnUNetPredictor:
    """nnU-Net's predictor with its network on the device."""
    if model.previous_stage() is not None:
        raise UserError(
            f"{model.configuration} reads what an earlier stage predicted; take that stage (`configuration`)"
        )
    make_trainers_findable()
    predictor = load_predictor(model, options)
    predictor.network.to(predictor.device).eval()
    return predictor


def _features(predictor: nnUNetPredictor, position: int, image: np.ndarray, options: PredictorOptions) -> np.ndarray:
    """The features of one image by the network of one fold."""
    predictor.network.load_state_dict(predictor.list_of_parameters[position])
    return image_features(
        predictor.network,
        np.asarray(image),
        predictor.configuration_manager.patch_size,
        device=predictor.device,
        step_size=options.step_size,
    )


def _named(features: np.ndarray, prefix: str = "") -> dict[str, float]:
    """The features by name, from ``mean_0000`` and from ``max_0000`` on."""
    n = len(features) // 2
    names = [f"{prefix}{kind}_{k:04d}" for kind in ("mean", "max") for k in range(n)]
    return dict(zip(names, features.tolist(), strict=True))


def _found(rows: dict[str, dict[str, Any]], skipped: dict[str, str], record: dict[str, Any]) -> CaseFeatures:
    if not rows:
        case_id, reason = next(iter(skipped.items()), ("", "there is no case"))
        raise UserError(f"no case has features{f'; {case_id}: {reason}' if case_id else f': {reason}'}")
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("case_id")
    return CaseFeatures(frame, skipped, {**record, "n_cases": len(frame), "n_skipped": len(skipped)})


def _record(model: TrainedModel, options: PredictorOptions, cases: str) -> dict[str, Any]:
    """How the features were made."""
    trainer, plans, configuration = model.folder.name.split("__")
    return {
        "features": "bottleneck of the encoder: mean over positions, then maximum",
        "cases": cases,
        "dataset": str(model.plans.get("dataset_name", "")),
        "trainer": trainer,
        "plans": plans,
        "configuration": configuration,
        "folds": list(model.folds),
        "checkpoint": model.checkpoint,
        "step_size": options.step_size,
        "nnunet_fair": __version__,
    }
