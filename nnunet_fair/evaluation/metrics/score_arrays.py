"""Scoring masks that are in memory already."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from nnunet_fair.evaluation.metrics.case_metrics import score_masks
from nnunet_fair.evaluation.metrics.lesions import Lesion
from nnunet_fair.evaluation.metrics.options import ScoringOptions

CLASS = "class"
"""The column of the class's name, where there are several."""


def score_arrays(
    reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], options: ScoringOptions
) -> list[tuple[dict[str, Any], list[Lesion]]]:
    """The metrics and lesions of one case from its label arrays.

    Args:
        reference: label array of shape (slices, rows, columns) or (rows, columns), bool or numbers.
        prediction: label array of the same shape.
        spacing: voxel size in mm along each array axis.
        options: labels or classes, policy for empty masks and tolerance.

    Returns:
        The metrics by name, see :class:`~nnunet_fair.evaluation.metrics.case_metrics.CaseMetrics`, and the lesions; one
        entry a class, with its name in ``class``, where there are classes.

    Raises:
        ValueError: the shapes or the spacing do not fit, or there are labels that were not named.
    """
    arrays = [np.asarray(array) for array in (reference, prediction)]
    if options.classes is not None:
        _check_labels(arrays, options.known_labels)
        return score_class_arrays(arrays[0], arrays[1], spacing, options)
    masks = [_foreground(array, options.labels) for array in arrays]
    metrics, lesions = score_masks(masks[0], masks[1], spacing, policy=options.empty, tolerance_mm=options.tolerance_mm)
    return [(asdict(metrics), lesions)]


def score_class_arrays(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: tuple[float, ...],
    options: ScoringOptions,
    n_voxels: int | None = None,
) -> list[tuple[dict[str, Any], list[Lesion]]]:
    """The metrics and lesions of one case in each class; voxels that the reference ignores are background in both.

    Args:
        reference: label array of shape (slices, rows, columns) or (rows, columns).
        prediction: label array of the same shape.
        spacing: voxel size in mm along each array axis.
        options: the classes, the ignore label, policy for empty masks and tolerance.
        n_voxels: voxels of the whole image, where the arrays are a part of it that holds every label; None where they
            are all of it.

    Returns:
        The metrics by name with the class's name in ``class``, and the lesions, one entry a class.
    """
    annotated = np.ones(reference.shape, bool) if options.ignore is None else reference != options.ignore
    n_annotated = (reference.size if n_voxels is None else n_voxels) - int(np.count_nonzero(~annotated))
    scored: list[tuple[dict[str, Any], list[Lesion]]] = []
    for name, labels in options.classes or ():
        masks = [np.isin(array, labels) & annotated for array in (reference, prediction)]
        metrics, lesions = score_masks(
            masks[0], masks[1], spacing, n_annotated, policy=options.empty, tolerance_mm=options.tolerance_mm
        )
        scored.append(({CLASS: name, **asdict(metrics)}, lesions))
    return scored


def _check_labels(arrays: list[np.ndarray], known: frozenset[int]) -> None:
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(f"reference {arrays[0].shape} and prediction {arrays[1].shape} do not fit together")
    for array in arrays:
        other = [value for value in np.unique(array).tolist() if value != 0 and value not in known]
        if other:
            labels = ", ".join(map(str, sorted(known)))
            raise ValueError(f"an array holds the value {other[0]:g}, which is no label of the dataset ({labels})")


def _foreground(array: np.ndarray, labels: tuple[int, ...] | None) -> np.ndarray:
    """The foreground of a label array, as a bool array."""
    if labels is not None:
        return np.isin(array, labels)
    mask = array == 1
    if np.count_nonzero(array) != np.count_nonzero(mask):
        values = ", ".join(f"{value:g}" for value in np.unique(array)[:6].tolist())
        raise ValueError(f"an array holds the values {values} where 0 and 1 are expected; name the labels in `labels`")
    return mask
