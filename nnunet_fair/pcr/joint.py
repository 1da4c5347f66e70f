"""From what the response heads of a model say of patients to probabilities and decisions, and their table.

A head's loss weighs the rarer outcome up until both count the same, so its logit starts from an even chance: adding the
log odds of the training cases' prevalence makes a probability of it (Elkan, IJCAI 2001). From that prevalence on the
decision is pCR: for a calibrated probability no threshold has a higher balanced accuracy, and no case was needed to
choose it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import expit

from nnunet_fair import __version__
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.pcr.output_files import check_table, table_lock
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.response import Readings, ResponseHeads
from nnunet_fair.training.response.table import mean_log_odds, response_probability

COLUMNS = ("case_id", "probability", "prediction", "note")
NO_LESION = "no lesion was predicted in any patch, so nothing is known of its response"
TRAINING_CASES, UNSEEN = "training cases, each by the fold that left it out", "by all folds together"


def joint_probability(readings: Readings, prevalence: Mapping[str, float]) -> tuple[float, bool] | None:
    """The probability of a pCR and the decision for one patient.

    Args:
        readings: what the folds' heads say.
        prevalence: share of pCR among the training cases of these folds.

    Returns:
        The sigmoid of the mean of the logits (of the folds that predicted a lesion) and of the prevalences' log odds,
        and whether it is at least their prevalence; None where no fold predicted a lesion.
    """
    logits = [reading.logit for reading in readings.values() if reading.logit is not None]
    if not logits:
        return None
    return response_probability(logits, [prevalence[fold] for fold in readings])


def joint_table(
    readings: Mapping[str, Readings], model: TrainedModel, heads: ResponseHeads, skipped: Mapping[str, str]
) -> pd.DataFrame:
    """The table of patients.

    Args:
        readings: what the folds' heads say, by case ID.
        model: the model, which names the folds.
        heads: its heads, which know the prevalence.
        skipped: why a patient could not be predicted, by case ID.

    Returns:
        One row a case, columns :data:`COLUMNS`; probability and prediction are missing where nothing is known, and the
        note says why.
    """
    prevalence = prevalence_by_fold(model, heads)
    rows: list[dict[str, Any]] = []
    for case_id in sorted({*readings, *skipped}):
        found = joint_probability(readings[case_id], prevalence) if case_id in readings else None
        probability, decision = (None, None) if found is None else (found[0], int(found[1]))
        note = _note(readings[case_id]) if case_id in readings else f"skipped: {skipped[case_id]}"
        rows.append({"case_id": case_id, "probability": probability, "prediction": decision, "note": note})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"probability": float, "prediction": "Int64"})


def check_joint_table(
    output: Path, model: TrainedModel, *, overwrite: bool, inputs: Iterable[Path | None] = ()
) -> None:
    """Refuse a table that cannot be written, before hours of prediction.

    Args:
        output: the table, ``.csv``; a record (``.json``) is written beside it.
        model: the model.
        overwrite: whether one of an earlier run may be replaced.
        inputs: what is read.

    Raises:
        UserError: it is no ``.csv``, an input, somebody else's, or there and not to be replaced.
    """
    check_table(
        output,
        overwrite=overwrite,
        beginning=",".join(COLUMNS),
        keys=("prevalence", "n_predicted_pcr"),
        inputs=(model.folder, *inputs),
    )


def write_joint_table(
    output: Path,
    table: pd.DataFrame,
    model: TrainedModel,
    heads: ResponseHeads,
    options: PredictorOptions,
    *,
    cases: str,
) -> None:
    """Write the table, and what it was made with beside it (``.json``).

    Args:
        output: the table, checked by :func:`check_joint_table`.
        table: from :func:`joint_table`.
        model: the model.
        heads: its heads.
        options: how it predicted.
        cases: :data:`UNSEEN` or :data:`TRAINING_CASES`.
    """
    shares = prevalence_by_fold(model, heads)
    together = round(float(expit(mean_log_odds(list(shares.values())))), 4)
    thresholds = {fold: round(share, 4) for fold, share in shares.items()}
    record = {
        "nnunet_fair": __version__,
        "model": f"{model.folder.parent.name}/{model.folder.name}",
        "checkpoint": model.checkpoint,
        "folds": list(model.folds),
        "cases": cases,
        "prevalence": shares,
        "threshold": thresholds if cases == TRAINING_CASES else together,
        "threshold_by": "prevalence of the training cases",
        "step_size": options.step_size,
        "mirroring": options.mirroring,
        "n_cases": len(table),
        "n_without_probability": int(table["probability"].isna().sum()),
        "n_predicted_pcr": int(table["prediction"].sum()),
    }
    with table_lock(output):
        write_csv(table, output)
        write_json(record, output.with_suffix(".json"))


def prevalence_by_fold(model: TrainedModel, heads: ResponseHeads) -> dict[str, float]:
    """The share of pCR among each fold's training cases, by the fold's name."""
    return {str(fold): round(share, 4) for fold, share in zip(model.folds, heads.prevalence, strict=True)}


def _note(readings: Readings) -> str:
    blind = [fold for fold, reading in readings.items() if reading.logit is None]
    if len(blind) == len(readings):
        return NO_LESION
    return f"fold {' and '.join(blind)} predicted no lesion and has no part in it" if blind else ""
