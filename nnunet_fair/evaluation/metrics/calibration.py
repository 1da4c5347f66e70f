"""Whether the probabilities of one case mean what they say, and how sure the model was.

Almost every voxel of an image is background that every model is sure about; over the whole image each model would look
calibrated. So calibration is measured near what there is to decide: inside a margin around the reference and the
prediction together. How sure the model was must be known where there is no reference, so it is measured inside the same
margin around the prediction alone.

Sources: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015 (the
expected calibration error, with 15 bins as in Guo et al., ICML 2017); Brier, Monthly Weather Review 78 (1950); Jungo,
Balsiger and Reyes, Frontiers in Neuroscience 14 (2020), for measuring it near the structure.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import distance_transform_edt

from nnunet_fair.masks.boxes import bounding_box

N_BINS = 15
BINS = tuple(range(1, N_BINS + 1))
SHARES = tuple(f"calibration_share_{k:02d}" for k in BINS)
SAID = tuple(f"calibration_said_{k:02d}" for k in BINS)
TRUE = tuple(f"calibration_true_{k:02d}" for k in BINS)
BIN_COLUMNS = (*SHARES, *SAID, *TRUE)
CALIBRATION_METRICS = ("brier", "ece", "uncertainty", "volume_expected_mm3")
CALIBRATION_PROBLEM = "calibration_problem"


def case_calibration(
    probability: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: tuple[float, ...],
    margin_mm: float,
    *,
    annotated: np.ndarray | None = None,
) -> dict[str, float]:
    """Calibration of one case and class.

    Args:
        probability: float array, the foreground's probability of each voxel.
        reference: bool array of the same shape, the expert's mask.
        prediction: bool array of the same shape.
        spacing: voxel size in mm along each array axis.
        margin_mm: how far around the masks calibration is measured, in mm.
        annotated: bool array of the same shape, voxels that count; None where all do.

    Returns:
        ``brier``, the mean squared difference of probability and truth inside the margin around both masks, and
        ``ece``, the expected calibration error of 15 bins there; NaN where both masks are empty. ``uncertainty``, the
        mean binary entropy in bits inside the margin around the prediction, around the most probable voxel where
        nothing is predicted. ``volume_expected_mm3``, the sum of the probabilities of the whole image times a voxel's
        volume. And for each bin its share of the margin's voxels (``calibration_share_…``), and its sums of probability
        (``…_said_…``) and of truth (``…_true_…``) over the number of all of them.
    """
    counted = probability if annotated is None else np.where(annotated, probability, 0.0)
    expected = float(counted.sum(dtype=float)) * math.prod(spacing)
    found: dict[str, float] = dict.fromkeys((*CALIBRATION_METRICS, *BIN_COLUMNS), math.nan)
    found["volume_expected_mm3"] = expected
    box, near = within_margin(reference | prediction, spacing, margin_mm)
    inside = near if annotated is None else near & annotated[box]
    if inside.any():
        said, true = probability[box][inside].astype(float), reference[box][inside].astype(float)
        found["brier"] = float(np.mean((said - true) ** 2))
        which = np.clip((said * N_BINS).astype(int), 0, N_BINS - 1)
        shares, said_sums, true_sums = (
            np.bincount(which, weights=weights, minlength=N_BINS) / len(said) for weights in (None, said, true)
        )
        found["ece"] = float(np.abs(said_sums - true_sums).sum())
        found |= dict(zip(BIN_COLUMNS, np.concatenate([shares, said_sums, true_sums]).tolist(), strict=True))
    found["uncertainty"] = _uncertainty(counted, prediction, spacing, margin_mm)
    return found


def within_margin(
    mask: np.ndarray, spacing: tuple[float, ...], margin_mm: float
) -> tuple[tuple[slice, ...], np.ndarray]:
    """The voxels of a mask and those whose centre is at most so far from the centre of one of them.

    Args:
        mask: bool array.
        spacing: voxel size in mm along each array axis.
        margin_mm: the distance in mm.

    Returns:
        A box of the array, and a bool array of the box's shape; the box is empty where the mask is.
    """
    tight = bounding_box(mask)
    if tight is None:
        box = tuple(slice(0, 0) for _ in spacing)
        return box, mask[box]
    box = tuple(
        slice(max(part.start - steps, 0), part.stop + steps)
        for part, steps in zip(tight, (math.ceil(margin_mm / size) for size in spacing), strict=True)
    )
    return box, distance_transform_edt(~mask[box], sampling=spacing) <= margin_mm


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """The entropy in bits of a yes or no with this probability, of the same shape; 0 at 0 and 1."""
    p = np.clip(probability, 0.0, 1.0).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.where((p > 0) & (p < 1), entropy, 0.0)


def _uncertainty(
    probability: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], margin_mm: float
) -> float:
    """The mean entropy around the prediction; around the most probable voxel where there is none."""
    if not prediction.any():
        prediction = np.zeros(prediction.shape, dtype=bool)
        prediction[np.unravel_index(int(np.argmax(probability)), probability.shape)] = True
    box, near = within_margin(prediction, spacing, margin_mm)
    return float(binary_entropy(probability[box][near]).mean())
