"""From unseen patients to final masks in one call: their images prepared, nnU-Net's predictor, post-processing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.dataset_conversion.layout import IMAGES, INPUT_FOLDERS
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json, staging_folder, write_csv, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.masks.endings import case_id_of
from nnunet_fair.masks.reading import read_mask
from nnunet_fair.outputs import begins_with, refuse_among_inputs, refuse_foreign, refuse_inputs
from nnunet_fair.postprocessing.postprocess_folder import FolderSummary, check_mask_folder, postprocess_folder
from nnunet_fair.postprocessing.settings import PostprocessingSettings
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.nnunet_images import prepare_images
from nnunet_fair.prediction.nnunet_predict import predict_images
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.prepare import PreparedCohort, prepare_cohort
from nnunet_fair.prediction.response import Readings, ResponseHeads, read_readings

REPORT_FILE = "prediction_report.csv"
REPORT_COLUMNS = "case_id,status,reason"
RAW_RECORD = "nnunet_fair_predict.json"


@dataclass(frozen=True)
class Prediction:
    """What became of a cohort.

    Attributes:
        report: one row a case: ``case_id``, ``status`` (``predicted`` or ``skipped``), ``reason``.
        postprocessing: what post-processing did.
        settings: the post-processing settings used.
        readings: what the response heads say of every case that was predicted, by case ID; empty without heads.
    """

    report: pd.DataFrame
    postprocessing: FolderSummary
    settings: PostprocessingSettings
    readings: Mapping[str, Readings] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, str]:
        """Why a case has no mask, by case ID."""
        rows = self.report[self.report["status"] == "skipped"]
        return dict(zip(rows["case_id"], rows["reason"], strict=True))


def predict_cohort(
    root: str | os.PathLike,
    target: str | os.PathLike,
    model: TrainedModel,
    *,
    options: PredictorOptions | None = None,
    settings: PostprocessingSettings | None = None,
    keep_raw: str | os.PathLike | None = None,
    n_processes: int = 1,
    overwrite: bool = False,
    heads: ResponseHeads | None = None,
) -> Prediction:
    """Predict the patients of a folder, from images alone.

    Args:
        root: a cohort in the MAMA-MIA layout (``images/<ID>/<ID>_0000.nii.gz …``; breast boxes from
            ``patient_info_files`` where they are), or a folder of images in nnU-Net's own format (``CASE_0000.ending``,
            see :mod:`nnunet_fair.prediction.nnunet_images`).
        target: folder for the masks, named by patient ID and on the original grid, and for the records
            (``prediction_report.csv``, ``postprocessing.csv``, ``postprocessing.json``).
        model: the model; to a cohort the recipe it was trained with is applied, and no other can be. Images in
            nnU-Net's format are taken as they are.
        options: how nnU-Net predicts.
        settings: post-processing; None takes the model folder's ``postprocessing.json``, else does nothing but list
            empty masks.
        keep_raw: folder for nnU-Net's own predictions, which are then kept; those already there, by the same model, are
            not predicted again, so a run that was interrupted goes on. None keeps none.
        n_processes: processes that prepare images and post-process.
        overwrite: replace masks in ``target``.
        heads: the model's response heads (:func:`.response.read_heads`), to be read too; the masks are the same.

    Raises:
        UserError: no case can be predicted, the target holds masks, or the model records no recipe for a cohort.
    """
    target = Path(target)
    settings = settings or model.postprocessing() or PostprocessingSettings()
    _check_target(Path(root), target, keep_raw, model, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(target), staging_folder(target.resolve()) as folder:
        cohort = _prepare(Path(root), folder, model, n_processes)
        settings = replace(settings, uncrop=cohort.cropped)
        options, needs_probabilities = options or PredictorOptions(), settings.on_empty == "lower-threshold"
        predicted = Path(keep_raw) if keep_raw else folder / "predicted"
        needs = {"needs_probabilities": needs_probabilities, "needs_readings": heads is not None}
        missing = _open_raw(predicted, model, options, cohort.images, **needs)
        if missing:
            predict_images(model, missing, predicted, options, save_probabilities=needs_probabilities, heads=heads)
        found = {case_id: read_readings(predicted, case_id) for case_id in cohort.images} if heads else {}
        summary = postprocess_folder(
            predicted,
            target,
            settings,
            boxes=cohort.boxes,
            probabilities=predicted if needs_probabilities else None,
            crops=cohort.crops,
            n_processes=n_processes,
            overwrite=overwrite,
            record=lambda summary, finished: write_csv(_report(cohort, summary), finished / REPORT_FILE),
        )
    readings = {case_id: reading for case_id, reading in found.items() if reading is not None}
    return Prediction(_report(cohort, summary), summary, settings, readings)


def _prepare(root: Path, folder: Path, model: TrainedModel, n_processes: int) -> PreparedCohort:
    if (root / IMAGES).is_dir():
        return prepare_cohort(root, folder, model.recipe(), n_processes=n_processes)
    return prepare_images(root, model, n_processes=n_processes)


def _check_target(
    root: Path, target: Path, keep_raw: str | os.PathLike | None, model: TrainedModel, overwrite: bool
) -> None:
    """Before hours of prediction, not after them."""
    if keep_raw is not None and Path(keep_raw).resolve() == target.resolve():
        raise UserError(f"`keep_raw` and `target` are the same folder {target}; nnU-Net's own masks need another")
    if target.resolve() == root.resolve():
        raise UserError(f"input and output are the same folder {target}; give another `target`")
    for output, name in ((target, "target"), (keep_raw, "keep_raw")):
        if output is not None:
            remedy = f"give another `{name}` folder"
            refuse_inputs(output, (root, model.folder, *(root / part for part in INPUT_FOLDERS)), remedy=remedy)
            refuse_among_inputs(output, (root / part for part in INPUT_FOLDERS), remedy=remedy)
    if target.is_dir() and not overwrite:
        there = [path.name for path in target.iterdir() if case_id_of(path) or path.name == REPORT_FILE]
        if there:
            raise UserError(f"{target} already holds {there[0]} and {len(there) - 1} more; `overwrite` replaces them")
    check_mask_folder(target, overwrite=overwrite)
    report = target / REPORT_FILE
    refuse_foreign(report, begins_with(report, REPORT_COLUMNS), remedy="move it away or give another `target` folder")


def _open_raw(
    folder: Path,
    model: TrainedModel,
    options: PredictorOptions,
    images: Mapping[str, Sequence[Path]],
    *,
    needs_probabilities: bool,
    needs_readings: bool,
) -> dict[str, Sequence[Path]]:
    """Prepare the folder for nnU-Net's predictions; the cases that are still to be predicted.

    Raises:
        UserError: the folder holds predictions of another model or made in another way.
    """
    record = {
        "model": f"{model.folder.parent.name}/{model.folder.name}",
        "folds": list(model.folds),
        "checkpoint": model.checkpoint,
        "step_size": options.step_size,
        "mirroring": options.mirroring,
    }
    path = folder / RAW_RECORD
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        if any(case_id_of(file) for file in folder.iterdir()):
            raise UserError(f"{folder} holds masks that were not made by nnunet_fair predict; give another folder")
        write_json(record, path)
    elif read_json(path, remedy="give another folder") != record:
        raise UserError(
            f"{folder} holds predictions of another model or other options ({RAW_RECORD}); give another folder"
        )
    ending = model.dataset["file_ending"]
    others = [file.name for file in folder.iterdir() if case_id_of(file) and case_id_of(file) not in images]
    if others:
        raise UserError(f"{folder} holds {others[0]}, which is no case of this cohort; give another folder")
    return {
        case_id: paths
        for case_id, paths in images.items()
        if (needs_probabilities and not (folder / f"{case_id}.npz").is_file())  # whole, being written before the mask
        or (needs_readings and read_readings(folder, case_id) is None)
        or not _has_mask(folder, case_id, ending)
    }


def _has_mask(folder: Path, case_id: str, ending: str) -> bool:
    """Whether a case's mask is there and whole: nnU-Net may have been stopped while it wrote."""
    try:
        read_mask(folder / f"{case_id}{ending}")
    except UserError:
        return False
    return True


def _report(cohort: PreparedCohort, summary: FolderSummary) -> pd.DataFrame:
    skipped = {**cohort.skipped, **summary.errors}
    written = {outcome.case_id for outcome in summary.outcomes if not outcome.error}
    without = [case_id for case_id in cohort.images if case_id not in written and case_id not in skipped]
    lost = dict.fromkeys(without, "nnU-Net wrote no mask")
    reasons = {**dict.fromkeys(written, ""), **skipped, **lost}
    rows = [
        {"case_id": case_id, "status": "skipped" if reasons[case_id] else "predicted", "reason": reasons[case_id]}
        for case_id in sorted(reasons)
    ]
    return pd.DataFrame(rows, columns=REPORT_COLUMNS.split(","))
