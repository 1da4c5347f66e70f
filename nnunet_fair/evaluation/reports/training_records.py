"""What a training left behind: weights and divergence of each fold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import with_formula

HISTORY, WEIGHTS = "fair_history.csv", "fair_weights.csv"
HISTORY_COLUMNS = ("epoch", "subgroup", "n", "support", "mean_score", "divergence")
WEIGHT_COLUMNS = ("case_id", "weight", "subgroup")


@dataclass(frozen=True)
class TrainingRecords:
    """The records of one or more folds.

    Attributes:
        history: columns fold, epoch, subgroup, n, support, mean_score, divergence; one row a refresh and subgroup.
        weights: columns fold, case_id, weight, subgroup: the weights of the last refresh.
    """

    history: pd.DataFrame
    weights: pd.DataFrame

    @property
    def folds(self) -> list[str]:
        """The folds' names, in order."""
        return list(dict.fromkeys(self.weights["fold"]))

    def subgroup_weights(self) -> pd.DataFrame:
        """Mean weight and number of training cases of each subgroup that decided weights, the heaviest first."""
        named = self.weights[self.weights["subgroup"].notna()]
        table = named.groupby("subgroup")["weight"].agg(n="size", mean_weight="mean", largest_weight="max")
        return table.sort_values("mean_weight", ascending=False).reset_index()


def has_training_records(folder: Path) -> bool:
    """Whether a fold of a model folder holds the records of a divergence-weighted training."""
    return any((fold / HISTORY).is_file() and (fold / WEIGHTS).is_file() for fold in folder.glob("fold_*"))


def read_training_records(folder: Path) -> TrainingRecords:
    """Read the records of a trained model.

    Args:
        folder: a model folder (``TRAINER__PLANS__CONFIGURATION`` with ``fold_0`` …) or one fold's folder.

    Raises:
        UserError: no fold with records there, or a record that lacks a column.
    """
    if not folder.is_dir():
        raise UserError(f"there is no training folder {folder}")
    folds = [folder] if (folder / HISTORY).is_file() else sorted(folder.glob("fold_*"))
    folds = [fold for fold in folds if (fold / HISTORY).is_file() and (fold / WEIGHTS).is_file()]
    if not folds:
        raise UserError(
            f"{folder} has no {HISTORY} and {WEIGHTS} of a fold; give the model or fold folder of a FairDiv training"
        )
    history = [_read(fold / HISTORY, HISTORY_COLUMNS).assign(fold=fold.name) for fold in folds]
    weights = [_read(fold / WEIGHTS, WEIGHT_COLUMNS).assign(fold=fold.name) for fold in folds]
    return TrainingRecords(pd.concat(history, ignore_index=True), pd.concat(weights, ignore_index=True))


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read one record and check its columns."""
    try:
        frame = pd.read_csv(path)
    except ValueError as error:  # pandas' own errors, and characters that are no UTF-8
        raise UserError(
            f"{path} cannot be read as CSV ({str(error).strip()}); it is written by the training"
        ) from error
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise UserError(f"{path} has no column {absent[0]!r}; found {', '.join(map(str, frame.columns))}")
    return frame[list(columns)].map(with_formula)
