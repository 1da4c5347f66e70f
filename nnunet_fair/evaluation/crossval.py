"""The validation predictions of a cross-validation, pooled: each case as the fold that did not train on it sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.pairing import CasePair, Pairing
from nnunet_fair.metadata.case_metadata import SPLITS_FINAL
from nnunet_fair.metadata.folds import read_folds
from nnunet_fair.paths import preprocessed_folder, raw_folder

VALIDATION = "validation"


def crossval_pairing(dataset: str | int, model: Path, folds: Sequence[int] | None = None) -> Pairing:
    """Pair the folds' validation predictions with their labels.

    Args:
        dataset: nnU-Net dataset number or name.
        model: the trained model's folder, see ``paths.find_model``.
        folds: the folds to pool; None takes every ``fold_<number>`` of the model.

    Returns:
        The cases of all folds. A case that ``splits_final.json`` puts into a fold's validation set and that has no
        prediction there is missing.

    Raises:
        UserError: no such model or fold, a fold without validation predictions, a case predicted by two folds, or no
            label for a prediction.
    """
    chosen = _fold_folders(model, folds)
    labels = _labels(dataset)
    path = preprocessed_folder(dataset) / SPLITS_FINAL
    splits = read_folds(path) if path.is_file() else []  # nnU-Net keeps none for a fold of all cases
    pairs: dict[str, CasePair] = {}
    missing, extra = [], []
    for fold, folder in chosen.items():
        predictions = list_masks(folder)
        if not predictions:
            raise UserError(
                f"{folder} holds no validation prediction; finish the fold with nnUNetv2_train … {fold} --val, or name "
                "the finished folds with `folds`"
            )
        expected = splits[fold] if fold < len(splits) else list(predictions)
        found = match_cases(predictions, labels)
        extra += [predictions[key].name for key in predictions if key not in set(found.values())]
        for case_id in sorted({*found, *(case for case in expected if case in labels)}):
            if case_id in pairs:
                raise UserError(
                    f"case {case_id!r} is a validation case of folds {pairs[case_id].fold} and {fold}; pool folds of "
                    "one split only"
                )
            prediction = predictions.get(found.get(case_id, ""))
            pairs[case_id] = CasePair(case_id, labels[case_id], prediction, fold)
            if prediction is None:
                missing.append(case_id)
    if not any(pair.prediction for pair in pairs.values()):
        raise UserError(f"no validation prediction of {model} has a label in {dataset}")
    return Pairing(tuple(pairs[case_id] for case_id in sorted(pairs)), tuple(sorted(missing)), tuple(extra))


def default_output(model: Path) -> Path:
    """Where a cross-validated report goes: ``crossval_fairness`` in the model folder."""
    return model / "crossval_fairness"


def _fold_folders(model: Path, folds: Sequence[int] | None) -> dict[int, Path]:
    """The validation folder of each fold."""
    if not model.is_dir():
        raise UserError(f"there is no trained model {model}; check `dataset`, `trainer`, `plans` and `configuration`")
    there = {
        int(folder.name[5:]): folder / VALIDATION
        for folder in model.glob("fold_*")
        if folder.name[5:].isdecimal() and folder.is_dir()
    }
    if not there:
        raise UserError(f"{model} has no fold_0, fold_1 …; a model of 'fold all' has no cases it did not train on")
    wanted = sorted(there) if folds is None else list(folds)
    for fold in wanted:
        if fold not in there or not there[fold].is_dir():
            raise UserError(
                f"{model} has no {VALIDATION} folder for fold {fold}; finish it with nnUNetv2_train … {fold} --val, or "
                "name the finished folds with `folds`"
            )
    return {fold: there[fold] for fold in wanted}


def _labels(dataset: str | int) -> dict[str, Path]:
    """The training labels: nnU-Net's copy beside the preprocessed data, else the raw ones."""
    copied = preprocessed_folder(dataset) / "gt_segmentations"
    folder = copied if copied.is_dir() else raw_folder(dataset) / "labelsTr"
    labels = list_masks(folder)
    if not labels:
        raise UserError(f"{folder} holds no label image")
    return labels
