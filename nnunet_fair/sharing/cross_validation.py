"""Cross-validated scores of a trained model, from the validation nnU-Net ran at the end of each fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.group_order import ordered_groups
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.training.validation_summary import SUMMARY_FILE, validation_scores

N_RESAMPLES = 2000
CONFIDENCE = 0.95
# Statistics of fewer patients than this could be traced back to them, so they are not published.
MIN_GROUP = 5


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
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} cannot be read ({error!r}); validate again with nnUNetv2_train … --val") from error
        twice = sorted(dsc.keys() & scores.keys())
        if twice:
            raise UserError(f"{path}: {twice[0]} was validated in an earlier fold too; the folds overlap")
        dsc.update(scores)
    return CrossValidation(pd.Series(dsc, dtype=float).sort_index(), tuple(missing))


def subgroup_scores(dsc: pd.Series, groups: pd.DataFrame) -> pd.DataFrame:
    """Mean DSC of the cohort and of every group of every attribute, with bootstrap intervals.

    Args:
        dsc: scores indexed by case ID; NaN is left out.
        groups: table of shape (n_cases, n_attributes) indexed by case ID, NaN where unknown.

    Returns:
        Table with ``attribute`` ('' for the whole cohort), ``group``, ``n`` (scored cases), ``mean``, ``low`` and
        ``high`` (BCa bootstrap, 95 %); the scores are NaN for groups of fewer than five cases.
    """
    scored = dsc.dropna()
    rows = [("", "all cases", scored)]
    for attribute in groups.columns:
        column = groups[attribute].reindex(scored.index)
        rows += [(attribute, str(group), scored[column == group]) for group in ordered_groups(column.dropna().unique())]
    return pd.DataFrame(
        [
            {"attribute": attribute, "group": group, "n": len(values), **_mean_interval(values)}
            for attribute, group, values in rows
        ]
    )


def _mean_interval(values: pd.Series) -> dict[str, float]:
    if len(values) < MIN_GROUP:
        return dict.fromkeys(("mean", "low", "high"), float("nan"))
    mean = float(values.mean())
    if values.nunique() == 1:  # the bootstrap of a constant has no spread to correct
        return {"mean": mean, "low": mean, "high": mean}
    interval = stats.bootstrap(
        (values.to_numpy(),),
        np.mean,
        n_resamples=N_RESAMPLES,
        confidence_level=CONFIDENCE,
        vectorized=True,
        random_state=np.random.default_rng(0),  # the name SciPy before 1.15 knows, and later versions take too
    ).confidence_interval
    return {"mean": mean, "low": float(interval.low), "high": float(interval.high)}
