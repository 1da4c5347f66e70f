"""From unseen patients to final masks in one call: recipe, nnU-Net's predictor, post-processing."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv
from nnunet_fair.inference.masks import case_id_of
from nnunet_fair.inference.model import TrainedModel
from nnunet_fair.inference.nnunet_predict import PredictorOptions, predict_images
from nnunet_fair.inference.postprocess_folder import FolderSummary, postprocess_folder
from nnunet_fair.inference.prepare import prepare_cohort
from nnunet_fair.inference.settings import PostprocessingSettings

REPORT_FILE = "prediction_report.csv"


@dataclass(frozen=True)
class Prediction:
    """What became of a cohort.

    Attributes:
        report: one row a case: ``case_id``, ``status`` (``predicted`` or ``skipped``), ``reason``.
        postprocessing: what post-processing did.
        settings: the post-processing settings used.
    """

    report: pd.DataFrame
    postprocessing: FolderSummary
    settings: PostprocessingSettings

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
    n_processes: int = 1,
    overwrite: bool = False,
) -> Prediction:
    """Predict the patients of a folder in the MAMA-MIA layout, from images alone.

    Args:
        root: the cohort: ``images/<ID>/<ID>_0000.nii.gz …``; breast boxes from ``patient_info_files`` where they are.
        target: folder for the masks, named by patient ID and on the original grid, and for the records
            (``prediction_report.csv``, ``postprocessing.csv``, ``postprocessing.json``).
        model: the model; the recipe it was trained with is applied, and no other can be.
        options: how nnU-Net predicts.
        settings: post-processing; None takes the model folder's ``postprocessing.json``, else does nothing but list
            empty masks.
        n_processes: processes that prepare images and post-process.
        overwrite: replace masks in ``target``.

    Raises:
        UserError: the model records no recipe, no case can be predicted, or the target holds masks.
    """
    target = Path(target)
    recipe = model.recipe()
    settings = settings or model.postprocessing() or PostprocessingSettings()
    settings = replace(settings, uncrop=recipe.crop_margin_mm is not None)
    _check_target(root, target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        cohort = prepare_cohort(root, Path(folder), recipe, n_processes=n_processes)
        predicted = Path(folder) / "predicted"
        predicted.mkdir()
        needs_probabilities = settings.on_empty == "lower-threshold"
        predict_images(
            model, cohort.images, predicted, options or PredictorOptions(), save_probabilities=needs_probabilities
        )
        summary = postprocess_folder(
            predicted,
            target,
            settings,
            boxes=cohort.boxes,
            probabilities=predicted if needs_probabilities else None,
            crops=cohort.crops,
            n_processes=n_processes,
            overwrite=overwrite,
        )
    report = _report(cohort.images, {**cohort.skipped, **summary.errors}, summary)
    write_csv(report, target / REPORT_FILE)
    return Prediction(report, summary, settings)


def _check_target(root: str | os.PathLike, target: Path, overwrite: bool) -> None:
    """Before hours of prediction, not after them."""
    if target.resolve() == Path(root).resolve():
        raise UserError(f"input and output are the same folder {target}; give another folder with -o")
    if target.is_dir() and not overwrite:
        there = [path.name for path in target.iterdir() if case_id_of(path) or path.name == REPORT_FILE]
        if there:
            raise UserError(f"{target} already holds {there[0]} and {len(there) - 1} more; replace with --overwrite")


def _report(images, skipped: dict[str, str], summary: FolderSummary) -> pd.DataFrame:
    written = {outcome.case_id for outcome in summary.outcomes if not outcome.error}
    lost = {case_id: "nnU-Net wrote no mask" for case_id in images if case_id not in written and case_id not in skipped}
    reasons = {**dict.fromkeys(written, ""), **skipped, **lost}
    rows = [
        {"case_id": case_id, "status": "skipped" if reasons[case_id] else "predicted", "reason": reasons[case_id]}
        for case_id in sorted(reasons)
    ]
    return pd.DataFrame(rows, columns=["case_id", "status", "reason"])
