"""nDSC: the Dice coefficient as it would be if every case held the same share of lesion.

DSC rewards size: of two lesions that are outlined equally well voxel by voxel, the larger one scores higher, because
the same rate of false positives among the background weighs less beside it. nDSC = 2TP / (2TP + κ FP + FN) scales the
false positives as if the lesion took the share r of the image: κ = h (1/r − 1), with h the ratio of lesion to
background in the case and r a reference, here the mean share over the cases unless another one is named. Source: Raina
et al.,
"Tackling bias in the Dice similarity coefficient: introducing nDSC for white matter lesion segmentation", IEEE ISBI
2023. The image counts whole, without the voxels a reference ignores; where fields of view differ between patients, so
does h.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

NDSC = "ndsc"
_NEEDED = ("volume_reference_mm3", "volume_prediction_mm3", "volume_image_mm3", "recall")


def normalised_dsc(
    true_positive: np.ndarray, false_positive: np.ndarray, false_negative: np.ndarray, image: np.ndarray, r: float
) -> np.ndarray:
    """The nDSC of cases from their volumes or numbers of voxels.

    Args:
        true_positive: float array of shape (n_cases,), lesion found.
        false_positive: float array of shape (n_cases,), background taken for lesion.
        false_negative: float array of shape (n_cases,), lesion missed.
        image: float array of shape (n_cases,), everything there is, in the same unit.
        r: reference share of lesion, in (0, 1).

    Returns:
        Float array of shape (n_cases,); NaN where a case holds no lesion or no background.
    """
    lesion = true_positive + false_negative
    background = image - lesion
    usable = (lesion > 0) & (background > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = lesion / background * (1 / r - 1)
        score = 2 * true_positive / (2 * true_positive + kappa * false_positive + false_negative)
    return np.where(usable, score, np.nan)


def reference_share(cases: pd.DataFrame) -> float:
    """r: the mean share of the image that the lesion takes, over the cases that hold one.

    Args:
        cases: a per-case table.

    Returns:
        The share; NaN where no case holds a lesion, or volumes were not measured.
    """
    if not set(_NEEDED) <= set(cases.columns):
        return float("nan")
    lesion, image = (cases[name].to_numpy(dtype=float) for name in ("volume_reference_mm3", "volume_image_mm3"))
    held = (lesion > 0) & (image > lesion)
    return float(np.mean(lesion[held] / image[held])) if held.any() else float("nan")


def with_ndsc(cases: pd.DataFrame, r: float | None = None) -> pd.DataFrame:
    """A per-case table with the column ``ndsc`` behind ``dsc``.

    Args:
        cases: a per-case table.
        r: reference share, in (0, 1); None takes :func:`reference_share`.

    Returns:
        The table; as it was where volumes were not measured.
    """
    if not {*_NEEDED, "dsc"} <= set(cases.columns):
        return cases
    share = reference_share(cases) if r is None else r
    lesion, predicted, image, recall = (cases[name].to_numpy(dtype=float) for name in _NEEDED)
    found = np.where(lesion > 0, recall * lesion, 0.0)
    score = normalised_dsc(found, predicted - found, lesion - found, image, share)
    table = cases.drop(columns=NDSC, errors="ignore")
    table.insert(table.columns.get_loc("dsc") + 1, NDSC, np.where(cases["dsc"].notna(), score, np.nan))
    return table
