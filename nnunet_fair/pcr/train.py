"""``nnunet_fair pcr train``: a response model, and what it is worth on cases and centres it did not see."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from nnunet_fair import __version__
from nnunet_fair.errors import UserError
from nnunet_fair.files import plain, replace_folder, staging_folder, write_csv, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.pcr.discrimination import Auc, auc_with_interval, centre_sentence, within_auc_with_interval
from nnunet_fair.pcr.fitting import FittedResponse, FittingOptions, fit_response
from nnunet_fair.pcr.held_out import BY_BALANCED_ACCURACY, HeldOut, hold_out
from nnunet_fair.pcr.output_files import check_folder
from nnunet_fair.pcr.threshold_audit import threshold_audit
from nnunet_fair.pcr.thresholds import BALANCED_ACCURACY
from nnunet_fair.pcr.training_cases import TrainingCases

MODEL, RECORD = "model.json", "training.json"
OUT_OF_FOLD_TABLE, CENTRE_TABLE, WEIGHTS, AUDIT = (
    *("out_of_fold.csv", "leave_one_centre_out.csv", "weights.csv", "levelling.csv"),
)


@dataclass(frozen=True, repr=False)
class ResponseTraining:
    """A trained model and what it is worth.

    Attributes:
        fit: fitted to all cases.
        out_of_fold: each case's prediction by the folds that left it out.
        by_centre: each case's prediction without its centre; None where there are not two centres.
        pooled: AUC over all cases, out of fold.
        within: AUC within centres, out of fold; None where there is no centre.
        left_out: AUC within centres, each predicted without its centre.
        centres: that AUC centre by centre.
        balanced_accuracy: of the out-of-fold decisions.
        audit: of the threshold by ranking; None for the one by balanced accuracy.
        sentences: what a reader must know, in order.
    """

    fit: FittedResponse
    out_of_fold: HeldOut
    by_centre: HeldOut | None
    pooled: Auc
    within: Auc | None
    left_out: Auc | None
    centres: dict[str, Auc]
    balanced_accuracy: float
    audit: pd.DataFrame | None
    sentences: tuple[str, ...]

    def report_line(self) -> str:
        """AUC and balanced accuracy in one line."""
        held = self.left_out.text() if self.left_out else "none"
        return (
            f"AUC {self.pooled.text()} out of fold, {held} within centres left out; balanced accuracy "
            f"{self.balanced_accuracy:.3f} ({self.pooled.n_cases} cases)"
        )


def train_response(training: TrainingCases, options: FittingOptions) -> ResponseTraining:
    """Validate on folds and on centres left out, then fit to all cases.

    Args:
        training: cases and folds.
        options: how to fit.

    Raises:
        UserError: too few cases of an outcome in a fold's training part.
    """
    cases = training.cases
    by_centre, sentences = None, []
    out_of_fold = hold_out(cases, training.folds, options, name="fold", needs_all=True, frames=training.frames)
    if cases.centres is not None and cases.centres.nunique() > 1:
        try:
            by_centre = hold_out(cases, cases.centres, options, name="centre", needs_all=False)
        except UserError as error:
            sentences.append(f"{str(error)[:1].upper()}{str(error)[1:]}.")
    fit = fit_response(cases, options)
    pooled, left_out, within, centres = _auc(out_of_fold), None, None, {}
    if by_centre is not None and cases.centres is not None:
        known = cases.centres.reindex(out_of_fold.rows.index)
        within = _auc(out_of_fold, known)
        left_out = _auc(by_centre, by_centre.rows["centre"])
        centres = {str(name): _auc(by_centre, chosen=name) for name in by_centre.rows["centre"].unique()}
    sentences.insert(0, centre_sentence(pooled, left_out))
    if fit.found_nothing:
        sentences.append("The inner folds found nothing to learn: every probability is nearly the outcome's rate.")
    for centre, reason in (by_centre.left_out if by_centre else {}).items():
        sentences.append(f"Without centre {centre} no model can be fitted: {reason}.")
    audit = None
    if options.threshold != BALANCED_ACCURACY:
        order = cases.frame.index
        accuracy, ranking = (
            out_of_fold.rows[name].reindex(order).to_numpy(dtype=bool) for name in (BY_BALANCED_ACCURACY, "prediction")
        )
        audit, sentence = threshold_audit(cases.truth, accuracy, ranking, cases.memberships)
        sentences.append(sentence)
    return ResponseTraining(
        fit=fit,
        out_of_fold=out_of_fold,
        by_centre=by_centre,
        pooled=pooled,
        within=within,
        left_out=left_out,
        centres=centres,
        balanced_accuracy=float(balanced_accuracy_score(out_of_fold.truth, out_of_fold.rows["prediction"])),
        audit=audit,
        sentences=tuple(sentences),
    )


def _auc(held_out: HeldOut, strata: pd.Series | None = None, chosen: object = None) -> Auc:
    """The AUC of held-out cases; of those whose stratum is known, or of one centre."""
    rows = held_out.rows
    taken = np.ones(len(rows), dtype=bool)
    if chosen is not None:
        taken = (rows["centre"] == chosen).to_numpy()
    elif strata is not None:
        taken = strata.notna().to_numpy()
    truth, scores = held_out.truth[taken], rows["probability"].to_numpy()[taken]
    if strata is None:
        return auc_with_interval(truth, scores)
    return within_auc_with_interval(truth, scores, strata[taken].to_numpy())


def write_training(
    training: TrainingCases,
    options: FittingOptions,
    output: str | os.PathLike,
    *,
    inputs: Iterable[Path | None] = (),
    overwrite: bool = False,
) -> ResponseTraining:
    """Train, and write the model's folder: whole or not at all.

    ``model.json`` is what predicts, and holds no patient. ``training.json`` (choices, AUC, centres), the predictions
    (``out_of_fold.csv``, ``leave_one_centre_out.csv``), with FairDiv ``weights.csv``, and with a threshold by ranking
    ``levelling.csv`` are the record of the training and name cases and centres.

    Args:
        training: cases and folds.
        options: how to fit.
        output: the folder.
        inputs: files and folders the cases were read from; None for one that is not there.
        overwrite: replace a model that is there.

    Raises:
        UserError: the folder cannot be written (:func:`~nnunet_fair.pcr.output_files.check_folder`), or see
            :func:`train_response`.
    """
    output = Path(output)
    check_folder(
        output,
        overwrite=overwrite,
        record=RECORD,
        keys=("auc", "chosen", "options"),
        is_own=(MODEL, RECORD, OUT_OF_FOLD_TABLE, CENTRE_TABLE, WEIGHTS, AUDIT),
        inputs=inputs,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(output), staging_folder(output.resolve()) as scratch:
        result = train_response(training, options)
        folder = scratch / "model"
        folder.mkdir()
        write_json(result.fit.model.to_json(), folder / MODEL)
        _write_record(result, training, options, folder)
        replace_folder(folder, output)
    return result


def _write_record(result: ResponseTraining, training: TrainingCases, options: FittingOptions, folder: Path) -> None:
    cases, weights = training.cases, result.fit.weights
    write_csv(result.out_of_fold.rows.rename_axis("case_id").reset_index(), folder / OUT_OF_FOLD_TABLE)
    if result.by_centre is not None:
        write_csv(result.by_centre.rows.rename_axis("case_id").reset_index(), folder / CENTRE_TABLE)
    if weights is not None:
        table = {"case_id": cases.frame.index, "weight": weights.values, "subgroup": weights.subgroup}
        write_csv(pd.DataFrame(table), folder / WEIGHTS)
    if result.audit is not None:
        write_csv(result.audit, folder / AUDIT)
    choices = {f"fold {part}": _chosen(fit) for part, fit in result.out_of_fold.fits.items()}
    record = {
        "nnunet_fair": __version__,
        "options": asdict(options),
        "fairdiv": None if cases.attributes is None else list(cases.attributes.columns),
        "clinical": list(cases.clinical),
        "masks": list(cases.masks),
        "encoder_fold": cases.encoder_fold,
        "n_cases": len(cases),
        "n_pcr": int(cases.truth.sum()),
        "auc": {
            "out_of_fold": result.pooled.to_json(),
            "out_of_fold_within_centres": result.within.to_json() if result.within else None,
            "centres_left_out": result.left_out.to_json() if result.left_out else None,
            "by_centre_left_out": {name: auc.to_json() for name, auc in result.centres.items()},
        },
        "balanced_accuracy": result.balanced_accuracy,
        "chosen": {"all cases": _chosen(result.fit), **choices},
        "sentences": list(result.sentences),
        "notes": list(training.notes),
    }
    write_json(plain(record), folder / RECORD)


def _chosen(fit: FittedResponse) -> dict[str, Any]:
    return {"complexity": fit.complexity, "threshold": fit.model.threshold, "slope": fit.model.slope}
