"""Cross-validated scores of a trained model, from the validation nnU-Net ran at the end of each fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.group_order import ordered_groups
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.subgroups.disclosure import MIN_CASES
from nnunet_fair.subgroups.group_means import group_mean_intervals
from nnunet_fair.training.validation_summary import SUMMARY_FILE, validation_scores


@dataclass(frozen=True)
class CrossValidation:
    """Per-case scores of the validation cases of the folds.

    Attributes:
        dsc: mean DSC over the foreground labels or regions, indexed by case ID, NaN where nnU-Net gives none.
        missing: folds without a validation summary.
    """

    dsc: pd.Series
    missing: tuple[int | str, ...]


def read_cross_validation(model: TrainedModel) -> CrossValidation:
    """Read ``fold_X/validation/summary.json`` of the model's folds.

    A model of ``fold_all`` has no validation cases of its own, so that fold counts as missing.

    Raises:
        UserError: a summary cannot be read, or a case is validated in two folds.
    """
    dsc: dict[str, float] = {}
    missing = []
    for fold in model.folds:
        path = model.folder / f"fold_{fold}" / "validation" / SUMMARY_FILE
        if fold == "all" or not path.is_file():
            missing.append(fold)
            continue
        try:
            scores = validation_scores(path, model.dataset["file_ending"]).to_dict()
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise UserError(f"{path} cannot be read ({error!r}); validate again with nnUNetv2_train … --val") from error
        twice = sorted(dsc.keys() & scores.keys())
        if twice:
            raise UserError(f"{path}: {twice[0]} was validated in an earlier fold too; the folds overlap")
        dsc.update(scores)
    return CrossValidation(pd.Series(dsc, dtype=float).sort_index(), tuple(missing))


def subgroup_scores(dsc: pd.Series, groups: pd.DataFrame) -> pd.DataFrame:
    """Mean DSC of the cohort and of every group of every attribute, with the intervals a report gives them.

    Args:
        dsc: scores indexed by case ID, sorted; NaN is left out.
        groups: table of shape (n_cases, n_attributes) indexed by case ID, NaN where unknown: groups that may be
            published, see :func:`nnunet_fair.subgroups.disclosure.publishable_groups`.

    Returns:
        Table with ``attribute`` ('' for the whole cohort), ``group``, ``n`` (scored cases), ``mean``, ``low`` and
        ``high`` (95 %); the scores are NaN for groups of fewer than five cases.
    """
    scored = dsc.dropna()
    groups = groups.reindex(scored.index)
    sets = [("", "all cases", np.ones(len(scored), dtype=bool))]
    for attribute in groups.columns:
        column = groups[attribute]
        names = ordered_groups(column.dropna().unique())
        sets += [(attribute, str(name), (column == name).to_numpy(dtype=bool, na_value=False)) for name in names]
    membership = np.column_stack([inside for _, _, inside in sets])
    means = group_mean_intervals(scored.to_numpy(dtype=float), membership, min_cases=MIN_CASES)
    table = pd.DataFrame(
        {
            "attribute": [attribute for attribute, _, _ in sets],
            "group": [group for _, group, _ in sets],
            "n": means.n,
            "mean": means.mean,
            "low": means.low,
            "high": means.high,
        }
    )
    table.loc[table["n"] < MIN_CASES, "mean"] = np.nan
    return table
