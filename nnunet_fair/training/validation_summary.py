"""The per-case scores nnU-Net writes at the end of a fold: ``validation/summary.json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

SUMMARY_FILE = "summary.json"


def validation_scores(summary: Path, file_ending: str, score_class: int | None = None) -> pd.Series:
    """Each validation case's DSC as nnU-Net computed it.

    Args:
        summary: nnU-Net's ``summary.json``.
        file_ending: of the predictions, such as ``.nii.gz``.
        score_class: foreground class or region, counted from 0; None for the mean over those a case has.

    Returns:
        DSC in [0, 1] indexed by case ID, NaN for a case with neither reference nor prediction.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the file is not what nnU-Net writes.
    """
    scores = {}
    for case in json.loads(summary.read_text(encoding="utf-8"))["metric_per_case"]:
        # nnU-Net writes NaN for a class that neither mask has
        dice = np.array([metrics["Dice"] for metrics in case["metrics"].values()], dtype=float)
        if score_class is not None:
            dice = dice[score_class : score_class + 1]
        case_id = Path(case["prediction_file"]).name.removesuffix(file_ending)
        scores[case_id] = np.nanmean(dice) if np.isfinite(dice).any() else np.nan
    return pd.Series(scores, dtype=float)
