"""The cases a response model is trained and validated on: table, features and folds put together by case ID."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_fair.case_ids import match_cases, match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.case_groups import case_groups
from nnunet_fair.metadata.case_metadata import SPLITS_FINAL
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.metadata.cells import text_value
from nnunet_fair.metadata.dataset_cases import find_cases
from nnunet_fair.metadata.folds import read_folds, stratified_folds
from nnunet_fair.metadata.outcome import outcome_values
from nnunet_fair.paths import preprocessed_folder
from nnunet_fair.pcr.clinical_columns import attribute_groups, clinical_values
from nnunet_fair.pcr.deep_features import fold_table
from nnunet_fair.pcr.feature_tables import Features, read_features
from nnunet_fair.pcr.fitting import ResponseCases
from nnunet_fair.pcr.pipeline import Inputs
from nnunet_fair.settings_record import nearest_hint

DEFAULT_OUTCOME, DEFAULT_CENTRE = "pcr", "dataset"


@dataclass(frozen=True)
class TrainingSources:
    """Where the training cases come from.

    Attributes:
        table: the patient table with the outcome.
        features: tables of features, none for a model of clinical columns only.
        dataset: the nnU-Net dataset whose training cases and folds are taken; None takes every case with an outcome and
            makes folds that spread outcome and centre evenly.
        deep: folder of deep features, one table a fold of the dataset.
        clinical: columns of the table that the model reads.
        outcome: the table's column of the outcome.
        centre: its column of the centre; None takes ``dataset`` where there is one.
        fairdiv: attributes whose subgroups are weighed; None weighs all cases alike.
        with_groups: whether the groups of the ranking's fairness are needed.
        variables: variables of that fairness; None for the challenge's.
        n_folds: folds made where no dataset says them.
        seed: of those folds.
        reading: how the table is to be read.
    """

    table: Path
    features: tuple[Path, ...] = ()
    dataset: str | None = None
    deep: Path | None = None
    clinical: tuple[str, ...] = ()
    outcome: str = DEFAULT_OUTCOME
    centre: str | None = None
    fairdiv: tuple[str, ...] | None = None
    with_groups: bool = False
    variables: tuple[str, ...] | None = None
    n_folds: int = 5
    seed: int = 0
    reading: TableReading = field(default_factory=TableReading)


@dataclass(frozen=True, repr=False)
class TrainingCases:
    """The cases, the fold that holds each out, and what a reader has to know.

    Attributes:
        cases: the cases, in the order of their IDs.
        folds: number of the fold that holds each case out, int series indexed by case ID.
        notes: sentences.
        frames: with deep features, the cases' columns by the encoder that left a fold out, by fold; ``cases`` has those
            of the first.
    """

    cases: ResponseCases
    folds: pd.Series
    notes: tuple[str, ...]
    frames: Mapping[int, pd.DataFrame] | None = None


def read_training_cases(sources: TrainingSources) -> TrainingCases:
    """Put the training cases together; test cases of the dataset take no part in anything.

    Args:
        sources: where they come from.

    Raises:
        UserError: nothing to learn from, a column that is not there, no case in common, or one outcome only.
    """
    if not sources.features and not sources.clinical and sources.deep is None:
        raise UserError("nothing to learn from: give tables of `features`, `deep` features, `clinical` columns, or all")
    if sources.outcome in sources.clinical:
        raise UserError(f"the clinical column {sources.outcome!r} is the outcome itself; leave it away")
    table = sources.reading.read(sources.table)
    by_fold = _features_by_fold(sources)
    features = by_fold[min(by_fold)] if by_fold else _features(sources)
    notes = [*table.notes_on([sources.outcome, *sources.clinical]), *(features.notes if features else ())]
    candidates = list(table.frame.index if features is None else features.frame.index)
    folds = None
    if sources.dataset is not None:
        candidates, folds = _of_dataset(sources.dataset, candidates, notes)
    rows = _rows(table.frame, candidates, sources.table, notes)
    rows, truth = _with_outcome(rows, sources, notes)
    centres = _centres(rows, sources, notes)
    if folds is None:
        folds = _even_folds(truth, centres, rows.index, sources)
    folds = folds.reindex(rows.index)
    frames = {fold: _columns(rows, own, sources)[0] for fold, own in by_fold.items()}
    _check_folds(folds, frames, sources)
    groups = None
    if sources.with_groups:
        found = case_groups(rows, rows.index, variables=sources.variables, takes_all=False, where=str(sources.table))
        groups = found.frame[list(found.variables)].reindex(rows.index)
    frame, inputs = _columns(rows, features, sources)
    cases = ResponseCases(
        frame=frame,
        truth=truth,
        inputs=inputs,
        clinical=sources.clinical,
        masks=() if features is None else features.masks,
        centres=centres,
        attributes=None if sources.fairdiv is None else attribute_groups(rows, sources.fairdiv),
        groups=groups,
        encoder_fold=min(by_fold) if by_fold else None,
    )
    return TrainingCases(cases, folds, tuple(notes), frames or None)


def _features(sources: TrainingSources, *further: Path) -> Features | None:
    paths = (*sources.features, *further)
    return read_features(paths, sources.outcome) if paths else None


def _features_by_fold(sources: TrainingSources) -> dict[int, Features]:
    """The features with the deep ones of each fold's encoder; nothing without deep features."""
    if sources.deep is None:
        return {}
    if sources.dataset is None:
        raise UserError("`deep` features are of the folds of a dataset; name it with `dataset`")
    names = [path.stem.removeprefix("fold_") for path in sources.deep.glob("fold_*.csv")]
    numbers = sorted(int(name) for name in names if name.isdecimal())
    if not numbers:
        raise UserError(f"{sources.deep} holds no deep features (fold_0.csv …) of nnunet_fair pcr deep-features")
    found = {fold: _features(sources, fold_table(sources.deep, fold)) for fold in numbers}
    return {fold: features for fold, features in found.items() if features is not None}


def _check_folds(folds: pd.Series, frames: Mapping[int, pd.DataFrame], sources: TrainingSources) -> None:
    lacking = sorted(set(folds) - set(frames))
    if frames and lacking:
        raise UserError(
            f"{sources.deep} has no table of fold {lacking[0]}, which {int((folds == lacking[0]).sum())} cases of "
            f"{sources.dataset} were left out by; encode the cases with every fold of the model"
        )
    if len({tuple(frame.columns) for frame in frames.values()}) > 1:
        raise UserError(
            f"the tables in {sources.deep} have different columns; encode the cases anew, all folds at once"
        )


def _of_dataset(dataset: str, candidates: list[str], notes: list[str]) -> tuple[list[str], pd.Series | None]:
    """The training cases of a dataset among the candidates, and the fold that holds each out where there are folds."""
    path = preprocessed_folder(dataset) / SPLITS_FINAL
    held_out = read_folds(path) if path.is_file() else []
    training = [case_id for fold in held_out for case_id in fold] or list(find_cases(dataset).training)
    found = match_cases(candidates, training)
    if not found:
        raise UserError(
            f"no training case of {dataset} is among the cases: they are called like {candidates[0]!r}, those of the "
            f"dataset like {training[0]!r}"
        )
    if len(found) < len(candidates):
        notes.append(f"{len(candidates) - len(found)} cases are no training cases of {dataset} and take no part")
    if not held_out:
        notes.append(
            f"{dataset} has no {SPLITS_FINAL} yet: folds with as many of each outcome and centre are made here"
        )
        return list(found.values()), None
    numbers = {found[case]: number for number, fold in enumerate(held_out) for case in fold if case in found}
    return list(numbers), pd.Series(numbers, dtype=int)


def _rows(frame: pd.DataFrame, case_ids: list[str], path: Path, notes: list[str]) -> pd.DataFrame:
    """The table's rows of the cases, under the cases' IDs."""
    match = match_rows(frame.index, case_ids)
    notes += match.notes
    if not match.rows:
        raise UserError(
            f"{path} has no row of any of the {len(case_ids)} cases: its IDs are like {frame.index[0]!r}, the "
            f"cases are called like {case_ids[0]!r}; choose another `id_column`"
        )
    if len(match.rows) < len(case_ids):
        notes.append(f"{len(case_ids) - len(match.rows)} cases have no row in {path.name} and are left out")
    return frame.loc[list(match.rows.values())].set_axis(pd.Index(list(match.rows), name="case_id"), axis="index")


def _with_outcome(rows: pd.DataFrame, sources: TrainingSources, notes: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows whose outcome is known, in the order of their IDs, and the outcome."""
    outcome = outcome_values(rows, sources.outcome, str(sources.table))
    if outcome.isna().any():
        notes.append(f"{int(outcome.isna().sum())} cases have no known outcome and are left out")
    rows = rows[outcome.notna()].sort_index()
    truth = (outcome.reindex(rows.index) == 1).to_numpy(dtype=bool)
    if truth.all() or not truth.any():
        what = f"have the outcome {int(truth[0])}" if len(truth) else "have a known outcome"
        raise UserError(
            f"{len(truth)} cases of {sources.table} {what} in column {sources.outcome!r} and none has another; a model "
            "needs cases with 0 and with 1"
        )
    return rows, truth


def _centres(rows: pd.DataFrame, sources: TrainingSources, notes: list[str]) -> pd.Series | None:
    """The centre of each case; None where the table has none."""
    column = sources.centre or DEFAULT_CENTRE
    if column not in rows.columns:
        if sources.centre is not None:
            raise UserError(
                f"{sources.table} has no column {column!r} with the centre{nearest_hint(column, rows.columns)}; it has "
                f"{', '.join(map(repr, rows.columns))}"
            )
        notes.append("the table names no centre, so none is left out")
        return None
    centres = rows[column].map(text_value)
    if centres.isna().any():
        notes.append(
            f"{int(centres.isna().sum())} cases have no centre in column {column!r} and take no part in leaving one out"
        )
    return centres


def _even_folds(
    truth: np.ndarray, centres: pd.Series | None, case_ids: pd.Index, sources: TrainingSources
) -> pd.Series:
    """Folds that spread the outcome evenly within every centre."""
    outcome = pd.Series(np.where(truth, "1", "0"), index=case_ids, dtype=object)
    together = outcome if centres is None else outcome + " " + centres.fillna("")
    made = stratified_folds(pd.DataFrame({"outcome": together}), sources.n_folds, sources.seed)
    return pd.Series({case_id: number for number, fold in enumerate(made) for case_id in fold["val"]}, dtype=int)


def _columns(rows: pd.DataFrame, features: Features | None, sources: TrainingSources) -> tuple[pd.DataFrame, Inputs]:
    """The columns of the inputs, and which are numbers and which categories."""
    columns = {} if features is None else {name: features.frame[name].reindex(rows.index) for name in features.frame}
    categories = []
    for name in sources.clinical:
        if name in columns:
            raise UserError(f"{name!r} is a clinical column and a feature; leave one away or rename it")
        columns[name] = clinical_values(rows, name, str(sources.table))
        categories += [name] if columns[name].dtype == object else []
    numbers = tuple(name for name in columns if name not in categories)
    return pd.DataFrame(columns, index=rows.index), Inputs(numbers, tuple(categories))
