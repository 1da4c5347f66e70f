"""The subgroup table of a fold's final validation, from nnU-Net's own whole-case predictions and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_fair.files import write_csv
from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.group_means import group_mean_intervals
from nnunet_fair.subgroups.options import SubgroupOptions
from nnunet_fair.subgroups.search import find_subgroups
from nnunet_fair.training.validation_summary import SUMMARY_FILE, ClassScores, class_scores

VALIDATION_TABLE = "fair_subgroups.csv"
MEAN = "mean"
"""Stands in the column ``class`` for the mean over the classes a case has."""
COLUMNS = (
    *("class", "subgroup", "n", "support", "mean_score", "low", "high", "divergence", "t", "p"),
    *("n_without", "false_positive_share"),
)


def validation_table(
    scores: ClassScores, metadata: pd.DataFrame, class_names: Sequence[str], options: SubgroupOptions | None = None
) -> pd.DataFrame:
    """What a fold's validation says of every group and frequent combination, class by class.

    Two questions, two answers: the DSC of the cases whose reference contains the class, and how many of the others got
    a voxel of it.

    Args:
        scores: of the validation cases.
        metadata: attribute table indexed by case ID; may lack cases and hold others.
        class_names: of the foreground labels or regions, in nnU-Net's order.
        options: size of the groups, bootstrap; None for the evaluation's defaults.

    Returns:
        One row a class and subgroup, the mean over the classes first where there are several: class, subgroup, n (cases
        with the class), support, mean_score, low and high (bootstrap interval of the mean; missing for a single case),
        divergence, t and p (Welch, against the other cases), n_without (cases without the class) and
        false_positive_share (of these, with a predicted voxel of it; missing where there are none).
    """
    questions = [(name, scores.dsc[column], scores.false_positive[column]) for column, name in enumerate(class_names)]
    if len(questions) > 1:
        questions.insert(0, (MEAN, scores.mean_dsc(), scores.any_false_positive()))
    options = options or SubgroupOptions()
    tables = [_of_class(metadata, dsc, wrong, options).assign(**{"class": name}) for name, dsc, wrong in questions]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _of_class(
    metadata: pd.DataFrame, dsc: pd.Series, false_positive: pd.Series, options: SubgroupOptions
) -> pd.DataFrame:
    """The rows of one class."""
    asked = dsc.notna() | false_positive.notna()
    subgroups = find_subgroups(metadata.reindex(dsc.index[asked]), options)
    values, wrong = dsc[asked].to_numpy(), false_positive[asked].to_numpy()
    table = subgroup_divergence(subgroups, values)
    if table.empty:
        return table.assign(low=[], high=[], n_without=[], false_positive_share=[])
    without = subgroups.membership[np.isfinite(wrong)]
    n_without = without.sum(axis=0)
    n_wrong = wrong[np.isfinite(wrong)] @ without
    means = group_mean_intervals(
        values,
        subgroups.membership,
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    return table.assign(
        low=means.low,
        high=means.high,
        n_without=n_without,
        false_positive_share=np.where(n_without > 0, n_wrong / np.maximum(n_without, 1), np.nan),
    )


def write_validation_table(
    folder: Path, metadata: pd.DataFrame, *, file_ending: str, class_names: Sequence[str]
) -> pd.DataFrame:
    """Write the table beside ``summary.json``.

    Args:
        folder: the fold's ``validation`` folder.
        metadata: see :func:`validation_table`.
        file_ending: of the predictions.
        class_names: see :func:`validation_table`.

    Returns:
        The table.
    """
    table = validation_table(class_scores(folder / SUMMARY_FILE, file_ending), metadata, class_names)
    write_csv(table, folder / VALIDATION_TABLE)
    return table
