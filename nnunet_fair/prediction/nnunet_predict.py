"""Running nnU-Net's own predictor on prepared images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nnunet_fair.environment import make_trainers_findable
from nnunet_fair.errors import UserError
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.response import ResponseHeads, case_readings, write_readings

if TYPE_CHECKING:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from nnunet_fair.training.joint.predictor import ResponsePredictor

    _Predictor = TypeVar("_Predictor", bound=nnUNetPredictor)


def predict_images(
    model: TrainedModel,
    images: Mapping[str, Sequence[Path]],
    folder: Path,
    options: PredictorOptions,
    *,
    save_probabilities: bool = False,
    heads: ResponseHeads | None = None,
) -> None:
    """Predict cases with nnU-Net's predictor, the folds averaged; a cascade's earlier stage is predicted first.

    Args:
        model: the model.
        images: image files (one a channel, in order) by case ID.
        folder: an existing folder for the masks, ``CASE`` + the model's file ending.
        options: how.
        save_probabilities: write ``CASE.npz`` too.
        heads: the model's response heads, whose readings are then written too (:func:`.response.write_readings`); the
            masks are the same.

    Raises:
        UserError: the device is not there, or the trainer class cannot be found.
    """
    previous, previous_folder = model.previous_stage(), None
    if previous is not None:
        previous_folder = folder / f"previous_stage_{previous.configuration}"
        previous_folder.mkdir(exist_ok=True)
        predict_images(previous, images, previous_folder, options)
    predictor: nnUNetPredictor | ResponsePredictor
    if heads is None:
        predictor = load_predictor(model, options)
    else:
        predictor = load_response_predictor(model, options, heads)
        predictor.keep = lambda case, readings: write_readings(folder, case, case_readings(model.folds, readings))
    files = [[str(path) for path in paths] for paths in images.values()]
    targets = [str(folder / case_id) for case_id in images]
    common = {
        "save_probabilities": save_probabilities,
        "folder_with_segs_from_prev_stage": None if previous_folder is None else str(previous_folder),
    }
    if options.n_preprocessing or options.n_export:
        workers = {
            "num_processes_preprocessing": max(1, options.n_preprocessing),
            "num_processes_segmentation_export": max(1, options.n_export),
        }
        predictor.predict_from_files(files, targets, **common, **workers)
    elif heads is None:
        predictor.predict_from_files_sequential(files, targets, **common)
    else:
        for case_id, paths, target in zip(images, files, targets, strict=True):  # who it is, nnU-Net does not tell here
            predictor.case = case_id
            predictor.predict_from_files_sequential([paths], [target], **common)


def load_predictor(model: TrainedModel, options: PredictorOptions) -> nnUNetPredictor:
    """nnU-Net's predictor with a model's folds loaded.

    Args:
        model: the model.
        options: how.

    Raises:
        UserError: the device is not there, or the trainer class cannot be found.
    """
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    return _loaded(nnUNetPredictor, model, options)


def load_response_predictor(model: TrainedModel, options: PredictorOptions, heads: ResponseHeads) -> ResponsePredictor:
    """The same with the folds' response heads.

    Args:
        model: the model.
        options: how.
        heads: its heads.

    Raises:
        UserError: as :func:`load_predictor`, or a head does not fit its network.
    """
    from nnunet_fair.training.joint.predictor import ResponsePredictor

    predictor = _loaded(ResponsePredictor, model, options)
    predictor.add_heads(heads.weights)
    return predictor


def _loaded(predictor_class: type[_Predictor], model: TrainedModel, options: PredictorOptions) -> _Predictor:
    import torch

    make_trainers_findable()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is there; give `device` cpu, or check the set-up with nnunet_fair doctor")
    if not 0 < options.step_size <= 1:
        raise UserError(f"expected a `step_size` above 0 and at most 1, found {options.step_size:g}")
    predictor = predictor_class(
        tile_step_size=options.step_size, use_mirroring=options.mirroring, device=torch.device(options.device)
    )
    try:
        predictor.initialize_from_trained_model_folder(str(model.folder), model.folds, model.checkpoint)
    except RuntimeError as error:
        raise UserError(f"{model.folder} cannot be loaded: {error}") from error
    return predictor
