"""The subgroup table of a fold's final validation, from nnU-Net's own whole-case predictions and scores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nnunet_fair.files import write_csv
from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.group_means import group_mean_intervals
from nnunet_fair.subgroups.options import SubgroupOptions
from nnunet_fair.subgroups.search import find_subgroups
from nnunet_fair.training.validation_summary import SUMMARY_FILE, validation_scores

VALIDATION_TABLE = "fair_subgroups.csv"


def validation_table(scores: pd.Series, metadata: pd.DataFrame, options: SubgroupOptions | None = None) -> pd.DataFrame:
    """Mean DSC of every group and frequent combination of a fold's validation cases.

    Args:
        scores: DSC indexed by case ID; NaN is left out.
        metadata: attribute table indexed by case ID; may lack cases and hold others.
        options: size of the groups, bootstrap; None for the evaluation's defaults.

    Returns:
        One row a subgroup: subgroup, n, support, mean_score, low and high (bootstrap interval of the mean; missing for
        a single case), divergence, t and p (Welch, against the other cases).
    """
    options = options or SubgroupOptions()
    scores = scores.dropna()
    subgroups = find_subgroups(metadata.reindex(scores.index), options)
    values = scores.to_numpy()
    table = subgroup_divergence(subgroups, values)
    if table.empty:
        return table.assign(low=[], high=[])
    means = group_mean_intervals(
        values,
        subgroups.membership,
        n_resamples=options.n_resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    columns = ["subgroup", "n", "support", "mean_score", "low", "high", "divergence", "t", "p"]
    return table.assign(low=means.low, high=means.high)[columns]


def write_validation_table(
    folder: Path, metadata: pd.DataFrame, *, file_ending: str, score_class: int | None
) -> pd.DataFrame:
    """Write the table beside ``summary.json``.

    Args:
        folder: the fold's ``validation`` folder.
        metadata: see :func:`validation_table`.
        file_ending: of the predictions.
        score_class: see ``validation_scores``.

    Returns:
        The table.
    """
    table = validation_table(validation_scores(folder / SUMMARY_FILE, file_ending, score_class), metadata)
    write_csv(table, folder / VALIDATION_TABLE)
    return table
