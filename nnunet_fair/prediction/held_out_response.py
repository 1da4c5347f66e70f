"""What a model's response heads say of its training cases, each by the fold that did not train on it."""

from __future__ import annotations

from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.nnunet_predict import load_response_predictor
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.response import Readings, ResponseHeads, case_readings
from nnunet_fair.prediction.training_images import training_images


def training_case_readings(
    model: TrainedModel, dataset: str | int, options: PredictorOptions, heads: ResponseHeads
) -> tuple[dict[str, Readings], dict[str, str]]:
    """The readings of the training cases, from the images nnU-Net preprocessed for training.

    Args:
        model: the model; its folds say which cases.
        dataset: nnU-Net dataset number or name.
        options: how it predicts.
        heads: its response heads.

    Returns:
        By case ID the reading of the one fold that validates the case, and why others could not be read.

    Raises:
        UserError: as :func:`.training_images.training_images`, or the model is the second stage of a cascade.
    """
    import torch

    if model.previous_stage() is not None:
        raise UserError(
            f"{model.configuration} reads what an earlier stage predicted; take that stage (`configuration`), or "
            "predict the images of each fold's validation cases with that fold alone (nnunet_fair predict -i … -f …)"
        )
    images = training_images(model, dataset)
    predictor = load_response_predictor(model, options, heads)
    predictor.allow_tqdm = False
    of_folds = predictor.list_of_parameters
    readings: dict[str, Readings] = {}
    skipped: dict[str, str] = {}
    for position, fold in enumerate(model.folds):
        predictor.list_of_parameters = of_folds[position : position + 1]
        n_cases = len(images.cases[position])
        for case_id, image in tqdm(images.of_fold(position), total=n_cases, desc=f"fold {fold}", unit="case"):
            if isinstance(image, str):
                skipped[case_id] = image
                continue
            predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image).float())
            readings[case_id] = case_readings((fold,), predictor.readings)
    return readings, skipped
