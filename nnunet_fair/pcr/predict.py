"""``nnunet_fair pcr predict``: probabilities and decisions for unseen patients, by a trained response model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_fair import __version__
from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.pcr.clinical_columns import clinical_values
from nnunet_fair.pcr.deep_features import fold_table
from nnunet_fair.pcr.feature_tables import Features, read_features
from nnunet_fair.pcr.lesion_features import EXPERTS
from nnunet_fair.pcr.output_files import check_table, table_lock
from nnunet_fair.pcr.response_model import ResponseModel, read_model
from nnunet_fair.pcr.train import MODEL
from nnunet_fair.settings_record import nearest_hint


@dataclass(frozen=True)
class ResponsePrediction:
    """What became of the patients.

    Attributes:
        rows: one row a case: ``case_id``, ``probability`` and ``prediction`` (0 or 1).
        notes: what a reader has to know.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...]


def write_predictions(
    model: str | os.PathLike,
    output: str | os.PathLike,
    *,
    features: Sequence[Path] = (),
    deep: Path | None = None,
    table: Path | None = None,
    reading: TableReading | None = None,
    overwrite: bool = False,
) -> ResponsePrediction:
    """Predict patients and write the table, and what it was made with beside it (``.json``).

    Args:
        model: the model's folder or its ``model.json``.
        output: the table, ``.csv``.
        features: tables of features, the patients those of the first; none for a model of clinical columns only.
        deep: folder of deep features by the model's own encoders.
        table: the patient table, for a model that reads clinical columns.
        reading: how the table is to be read.
        overwrite: replace a table that is there.

    Raises:
        UserError: the output exists, the model cannot be read, or the patients lack a column that it reads.
    """
    output = Path(output)
    check_table(
        output,
        overwrite=overwrite,
        beginning="case_id,probability,prediction",
        keys=("threshold", "n_predicted_pcr"),
        inputs=(*features, table, model),
    )
    path = Path(model) / MODEL if Path(model).is_dir() else Path(model)
    response = read_model(path)
    result = predict_response(response, features=features, deep=deep, table=table, reading=reading)
    with table_lock(output):
        write_csv(result.rows, output)
        record = {
            "nnunet_fair": __version__,
            "threshold": response.threshold,
            "threshold_by": response.threshold_by,
            "n_cases": len(result.rows),
            "n_predicted_pcr": int(result.rows["prediction"].sum()),
        }
        write_json(record, output.with_suffix(".json"))
    return result


def predict_response(
    model: ResponseModel,
    *,
    features: Sequence[Path] = (),
    deep: Path | None = None,
    table: Path | None = None,
    reading: TableReading | None = None,
) -> ResponsePrediction:
    """Predict patients.

    Args:
        model: the model.
        features: see :func:`write_predictions`.
        deep: see :func:`write_predictions`.
        table: see :func:`write_predictions`.
        reading: see :func:`write_predictions`.

    Raises:
        UserError: a column that the model reads is not there.
    """
    if model.clinical and table is None:
        raise UserError(
            f"the model was trained with the clinical columns {', '.join(map(repr, model.clinical))}; give the "
            "patients' `table` with them, or a model that was trained without"
        )
    measured = [name for name in model.columns if name not in model.clinical]
    features = [*features, *_deep_table(model, deep)]
    if measured and not features:
        raise UserError(f"the model reads features such as {measured[0]!r}; give the patients' `features`")
    notes: list[str] = []
    frame = pd.DataFrame()
    if features:
        found = read_features(features)
        notes += [*found.notes, *_mask_notes(model, found)]
        frame = _measured(found.frame, measured)
    if model.clinical and table is not None:
        rows = (reading or TableReading()).read(table)
        notes += rows.notes_on(model.clinical)
        cells = _of_cases(rows.frame, frame.index if features else rows.frame.index, table, notes)
        for name in model.clinical:
            frame[name] = clinical_values(cells, name, str(table), is_category=model.columns[name])
    n_unknown = int(frame[measured].isna().all(axis=1).sum()) if measured else 0
    if n_unknown:
        notes.append(f"{n_unknown} cases have no feature (an empty mask): they are predicted as unknown lesions")
    probabilities = model.probabilities(frame)
    decisions = (probabilities >= model.threshold).astype(int)
    table_out = {"case_id": frame.index, "probability": probabilities, "prediction": decisions}
    return ResponsePrediction(pd.DataFrame(table_out), tuple(notes))


def _deep_table(model: ResponseModel, deep: Path | None) -> list[Path]:
    """The deep features by the encoder that the model was trained with."""
    if model.encoder_fold is None:
        if deep is not None:
            raise UserError("the model was trained without `deep` features; leave them away")
        return []
    if deep is None:
        raise UserError("the model reads `deep` features of the patients; nnunet_fair pcr deep-features makes them")
    path = fold_table(deep, model.encoder_fold)
    if not path.is_file():
        raise UserError(f"the model reads the deep features of fold {model.encoder_fold}'s encoder; there is no {path}")
    return [path]


def _measured(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    lacking = [name for name in names if name not in frame.columns]
    if lacking:
        raise UserError(
            f"the features lack {len(lacking)} of the {len(names)} columns the model reads, the first is {lacking[0]!r}"
            f"{nearest_hint(lacking[0], frame.columns)}; measure the patients as the training cases were measured"
        )
    return frame[list(names)].copy()


def _of_cases(frame: pd.DataFrame, case_ids: pd.Index, table: Path, notes: list[str]) -> pd.DataFrame:
    """The table's rows under the cases' IDs; empty ones for cases that have none."""
    match = match_rows(frame.index, case_ids)
    notes += match.notes
    if not match.rows:
        raise UserError(
            f"{table} has no row of any of the {len(case_ids)} cases: its IDs are like {frame.index[0]!r}, the cases "
            f"are called like {case_ids[0]!r}; choose another `id_column`"
        )
    if len(match.rows) < len(case_ids):
        n_unknown = len(case_ids) - len(match.rows)
        notes.append(f"{n_unknown} cases have no row in {table.name}: their clinical values are unknown")
    rows = frame.loc[list(match.rows.values())].set_axis(list(match.rows), axis="index")
    return rows.reindex(case_ids)


def _mask_notes(model: ResponseModel, found: Features) -> list[str]:
    """Whether the lesions were outlined by the same kind of hand as in training."""
    if not model.masks or not found.masks or (EXPERTS in model.masks) == (EXPERTS in found.masks):
        return []
    return [
        f"the model was trained on {' and '.join(model.masks)} masks and these are {' and '.join(found.masks)}: "
        "outlines of another hand have other features"
    ]
