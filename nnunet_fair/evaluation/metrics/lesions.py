"""The lesions of one case: which were found, which are false, and how large they are.

A lesion is a connected component (26-neighbourhood; 8 in 2D). Three rules say whether a lesion of the reference was
found, and whether a predicted one is right:

- ``touch``: it shares a voxel with a lesion of the other mask, as BraTS counts (Saluja et al., BraTS 2023 metrics; that
  challenge dilates the reference before, which joins neighbours; nothing is dilated here);
- ``iou``: its intersection over union with one lesion of the other mask is 0.1 or more;
- ``one-to-one``: as ``iou``, each lesion being paired with one of the other mask at most, such that the sum of the
  pairs' intersections over unions is as large as possible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

import cc3d
import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from nnunet_fair.evaluation.metrics.options import IOU, TOUCH

LEAST_IOU = 0.1
REFERENCE, PREDICTION = "reference", "prediction"


@dataclass(frozen=True)
class Lesion:
    """One lesion of the reference or of the prediction.

    Attributes:
        kind: ``reference`` or ``prediction``.
        lesion: its number in its mask, from 1, the largest first.
        volume_mm3: its volume; its area in mm² in 2D.
        diameter_mm: of the ball (the circle) of that volume.
        touches: whether it shares a voxel with a lesion of the other mask.
        best_iou: its largest intersection over union with one lesion of the other mask.
        matched_iou: that with the lesion it is paired with one-to-one; NaN where it has no partner.
        dsc: of a reference lesion and all predicted ones that touch it; 0 where none does; NaN for a predicted one.
    """

    kind: str
    lesion: int
    volume_mm3: float
    diameter_mm: float
    touches: bool
    best_iou: float
    matched_iou: float
    dsc: float


LESION_FIELDS = tuple(field.name for field in fields(Lesion))


def case_lesions(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> list[Lesion]:
    """Every lesion of a case.

    Args:
        reference: bool array of shape (slices, rows, columns) or (rows, columns).
        prediction: bool array of the same shape.
        spacing: voxel size in mm along each array axis.

    Returns:
        The lesions of the reference, the largest first, then those of the prediction.
    """
    masks = _components(reference), _components(prediction)
    n_voxels = [_sizes(mask, labels) for mask, labels in zip((reference, prediction), masks, strict=True)]
    touching, shared = _overlaps(masks[0], masks[1], reference & prediction, len(n_voxels[1]))
    sizes = [n[of_mask] for n, of_mask in zip(n_voxels, touching, strict=True)]
    iou = shared / (sizes[0][:, None] + sizes[1] - shared)
    matched = np.where(_one_to_one(iou), iou, np.nan)
    dsc = 2 * shared.sum(axis=1) / (sizes[0] + (shared > 0) @ sizes[1])
    lesions: list[Lesion] = []
    for axis, kind in ((1, REFERENCE), (0, PREDICTION)):
        of_lesion = {int(position): row for row, position in enumerate(touching[1 - axis])}
        best, pair = iou.max(axis=axis, initial=0.0), np.fmax.reduce(matched, axis=axis, initial=np.nan)
        for number, position in enumerate(np.argsort(-n_voxels[1 - axis], kind="stable"), start=1):
            volume = float(n_voxels[1 - axis][position] * math.prod(spacing))
            row = of_lesion.get(int(position))
            is_reference = kind == REFERENCE
            lesions.append(
                Lesion(
                    kind=kind,
                    lesion=number,
                    volume_mm3=volume,
                    diameter_mm=equivalent_diameter(volume, reference.ndim),
                    touches=row is not None,
                    best_iou=0.0 if row is None else float(best[row]),
                    matched_iou=math.nan if row is None else float(pair[row]),
                    dsc=math.nan if not is_reference else 0.0 if row is None else float(dsc[row]),
                )
            )
    return lesions


def _components(mask: np.ndarray) -> np.ndarray:
    """The lesions of a mask, numbered from 1; int array of the mask's shape."""
    connectivity: Literal[8, 26] = 26 if mask.ndim == 3 else 8
    # A rim of background: cc3d 4.1.1 fails on arrays that are one voxel wide along all axes but one.
    labels = cc3d.connected_components(np.pad(mask, 1), connectivity=connectivity)
    return labels[tuple(slice(1, -1) for _ in mask.shape)]


def _sizes(mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Voxels of each lesion of a mask, int array of shape (n_lesions,)."""
    n_lesions = int(labels.max(initial=0))
    if n_lesions < 2:
        return np.full(n_lesions, np.count_nonzero(mask))
    return np.bincount(labels[mask], minlength=n_lesions + 1)[1:]


def _overlaps(
    first: np.ndarray, second: np.ndarray, both: np.ndarray, n_second: int
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The lesions of either mask that touch one of the other, from 0, and the voxels that each two of them share.

    Others have no row and no column: predictions may be of thousands of specks.
    """
    pairs = (first[both].astype(np.int64) - 1) * max(n_second, 1) + (second[both].astype(np.int64) - 1)
    largest = int(pairs.max(initial=0))
    if largest < len(pairs):  # counting is faster than sorting
        counts = np.bincount(pairs)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(pairs, return_counts=True)
    rows, columns = np.divmod(found, max(n_second, 1))
    touching = np.unique(rows), np.unique(columns)
    shared = np.zeros((len(touching[0]), len(touching[1])), dtype=int)
    shared[np.searchsorted(touching[0], rows), np.searchsorted(touching[1], columns)] = counts
    return touching, shared


def _one_to_one(iou: np.ndarray) -> np.ndarray:
    """Which pairs of lesions belong together, bool array of the shape of ``iou``."""
    eligible = np.where(iou >= LEAST_IOU, iou, 0.0)
    rows, columns = linear_sum_assignment(eligible, maximize=True)
    matched = np.zeros(iou.shape, dtype=bool)
    matched[rows, columns] = eligible[rows, columns] > 0
    return matched


def equivalent_diameter(volume_mm3: float, n_dimensions: int = 3) -> float:
    """Diameter in mm of the ball of a volume in mm³, or of the circle of an area in mm²."""
    return (6 * volume_mm3 / math.pi) ** (1 / 3) if n_dimensions == 3 else math.sqrt(4 * volume_mm3 / math.pi)


def lesion_counts(lesions: list[Lesion]) -> dict[str, int]:
    """How many lesions a case has, were found, were predicted and are false, by the rule ``touch``.

    Args:
        lesions: of the case.

    Returns:
        lesions_reference, lesions_detected, lesions_prediction, lesions_false.
    """
    touches = {kind: [lesion.touches for lesion in lesions if lesion.kind == kind] for kind in (REFERENCE, PREDICTION)}
    return {
        "lesions_reference": len(touches[REFERENCE]),
        "lesions_detected": sum(touches[REFERENCE]),
        "lesions_prediction": len(touches[PREDICTION]),
        "lesions_false": len(touches[PREDICTION]) - sum(touches[PREDICTION]),
    }


def is_found(lesions: pd.DataFrame, matching: str) -> np.ndarray:
    """Which lesions of a table were found, or are right, by a rule.

    Args:
        lesions: one row a lesion, with the fields of :class:`Lesion`.
        matching: one of ``MATCHINGS`` of the options.

    Returns:
        Bool array of shape (n_lesions,).
    """
    if matching == TOUCH:
        return lesions["touches"].to_numpy(dtype=bool)
    if matching == IOU:
        return lesions["best_iou"].to_numpy(dtype=float) >= LEAST_IOU
    return lesions["matched_iou"].notna().to_numpy()
