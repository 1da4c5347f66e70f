"""Scoring masks that are in memory already."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from nnunet_fair.evaluation.metrics.case_metrics import case_metrics
from nnunet_fair.evaluation.metrics.options import ScoringOptions


def score_arrays(
    reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], options: ScoringOptions
) -> dict[str, Any]:
    """The metrics of one case from its label arrays.

    Args:
        reference: label array of shape (slices, rows, columns) or (rows, columns), bool or numbers.
        prediction: label array of the same shape.
        spacing: voxel size in mm along each array axis.
        options: labels, policy for empty masks and tolerance.

    Returns:
        The metrics by name, see :class:`~nnunet_fair.evaluation.metrics.case_metrics.CaseMetrics`.

    Raises:
        ValueError: the shapes or the spacing do not fit, or there are labels other than 0 and 1 and none was named.
    """
    masks = [_foreground(np.asarray(array), options.labels) for array in (reference, prediction)]
    return asdict(case_metrics(masks[0], masks[1], spacing, policy=options.empty, tolerance_mm=options.tolerance_mm))


def _foreground(array: np.ndarray, labels: tuple[int, ...] | None) -> np.ndarray:
    """The foreground of a label array, as a bool array."""
    if labels is not None:
        return np.isin(array, labels)
    mask = array == 1
    if np.count_nonzero(array) != np.count_nonzero(mask):
        values = ", ".join(f"{value:g}" for value in np.unique(array)[:6].tolist())
        raise ValueError(f"an array holds the values {values} where 0 and 1 are expected; name the labels in `labels`")
    return mask
