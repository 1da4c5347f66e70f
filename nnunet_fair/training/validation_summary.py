"""The per-case scores nnU-Net writes at the end of a fold: ``validation/summary.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SUMMARY_FILE = "summary.json"


@dataclass(frozen=True, repr=False)
class ClassScores:
    """What nnU-Net counted for every validation case and class, apart for the two questions there are.

    Attributes:
        dsc: table of shape (n_cases, n_classes), indexed by case ID, one column a foreground label or region in
            nnU-Net's order: the DSC in [0, 1] where the reference contains the class, NaN elsewhere.
        false_positive: table of the same shape: 1 where the reference lacks the class and the prediction has a voxel
            of it, 0 where it has none, NaN where the reference contains it.
    """

    dsc: pd.DataFrame
    false_positive: pd.DataFrame

    def __repr__(self) -> str:
        return f"ClassScores({self.dsc.shape[0]} cases, {self.dsc.shape[1]} classes)"

    def mean_dsc(self) -> pd.Series:
        """Each case's mean DSC over the classes it has; NaN for a case that has none."""
        return self.dsc.mean(axis=1)

    def any_false_positive(self) -> pd.Series:
        """1 where a case that has no class at all got a voxel of any, 0 where it got none, NaN for the other cases."""
        return self.false_positive.max(axis=1).where(self.dsc.isna().all(axis=1))


def class_scores(summary: Path, file_ending: str) -> ClassScores:
    """Read nnU-Net's summary.

    Args:
        summary: nnU-Net's ``summary.json``.
        file_ending: of the predictions, such as ``.nii.gz``.

    Returns:
        The scores by case and class.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the file is not what nnU-Net writes.
    """
    dsc, false_positive = {}, {}
    for case in json.loads(summary.read_text(encoding="utf-8"))["metric_per_case"]:
        classes = list(case["metrics"].values())
        present = np.array([metrics["n_ref"] > 0 for metrics in classes])
        case_id = Path(case["prediction_file"]).name.removesuffix(file_ending)
        dsc[case_id] = np.where(present, [metrics["Dice"] for metrics in classes], np.nan)
        false_positive[case_id] = np.where(present, np.nan, [metrics["n_pred"] > 0 for metrics in classes])
    return ClassScores(*(pd.DataFrame.from_dict(table, orient="index", dtype=float) for table in (dsc, false_positive)))


def validation_scores(summary: Path, file_ending: str) -> pd.Series:
    """Each validation case's mean DSC over the classes its reference contains, see :func:`class_scores`.

    Returns:
        DSC in [0, 1] indexed by case ID, NaN for a case whose reference is empty.
    """
    return class_scores(summary, file_ending).mean_dsc()
