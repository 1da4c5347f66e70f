"""The metrics of one case, from its two masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy, OverlapMetrics, empty_mask_values
from nnunet_fair.evaluation.metrics.lesions import Lesion, case_lesions, lesion_counts
from nnunet_fair.evaluation.metrics.options import SURFACE_TOLERANCE_MM
from nnunet_fair.evaluation.metrics.surface_distance import surface_distances
from nnunet_fair.masks.boxes import bounding_box

HD_MAX_VOXELS = 150.0  # the challenge's divisor of HD95


@dataclass(frozen=True)
class CaseMetrics:
    """The metrics of one case; NaN where a metric has no value.

    Attributes:
        dsc: Dice similarity coefficient 2TP / (2TP + FP + FN), in [0, 1].
        hd95_voxel: 95th percentile Hausdorff distance in voxel units, as in the challenge.
        norm_hd: hd95_voxel / 150, 1 where it is infinite, not clipped, as in the challenge.
        hd95_mm: 95th percentile Hausdorff distance in mm.
        surface_dsc: share of the surface voxels of both masks within the tolerance (mm) of the other surface.
        precision: TP / (TP + FP).
        recall: TP / (TP + FN).
        volume_reference_mm3: volume of the reference.
        volume_prediction_mm3: volume of the prediction.
        volume_error_mm3: prediction minus reference.
        volume_image_mm3: volume of the whole image, without what the reference ignores.
        lesions_reference: connected components (26-neighbourhood; 8 in 2D) of the reference.
        lesions_detected: those that the prediction touches with at least one voxel.
        lesions_prediction: connected components of the prediction.
        lesions_false: those that touch no reference voxel.
    """

    dsc: float
    hd95_voxel: float
    norm_hd: float
    hd95_mm: float
    surface_dsc: float
    precision: float
    recall: float
    volume_reference_mm3: float
    volume_prediction_mm3: float
    volume_error_mm3: float
    volume_image_mm3: float
    lesions_reference: int
    lesions_detected: int
    lesions_prediction: int
    lesions_false: int


def case_metrics(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: tuple[float, ...],
    n_voxels: int | None = None,
    *,
    policy: EmptyMaskPolicy = EmptyMaskPolicy.CHALLENGE,
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
) -> CaseMetrics:
    """Score one case, see :func:`score_masks`."""
    return score_masks(reference, prediction, spacing, n_voxels, policy=policy, tolerance_mm=tolerance_mm)[0]


def score_masks(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: tuple[float, ...],
    n_voxels: int | None = None,
    *,
    policy: EmptyMaskPolicy = EmptyMaskPolicy.CHALLENGE,
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
) -> tuple[CaseMetrics, list[Lesion]]:
    """Score one case and list its lesions.

    Args:
        reference: bool array of shape (slices, rows, columns) or (rows, columns), the expert's mask.
        prediction: bool array of the same shape.
        spacing: voxel size in mm along each array axis.
        n_voxels: voxels of the whole image, where the masks are a part of it; None where they are all of it.
        policy: what empty masks mean.
        tolerance_mm: the tolerance of the surface DSC, in mm.

    Returns:
        The metrics and the lesions. Computed on the masks' joint bounding box, and equal to those of the whole image.

    Raises:
        ValueError: the shapes differ, an array is not bool or spacing has another length than the arrays' dimensions.
    """
    if reference.shape != prediction.shape or len(spacing) != reference.ndim:
        raise ValueError(f"shapes {reference.shape} and {prediction.shape} with spacing {spacing} do not fit together")
    if reference.dtype != bool or prediction.dtype != bool:
        raise ValueError(f"expected bool masks, found {reference.dtype} and {prediction.dtype}")
    n_voxels = reference.size if n_voxels is None else n_voxels
    box = bounding_box(reference, prediction, margin=1) or tuple(slice(0, 1) for _ in spacing)
    reference, prediction = reference[box], prediction[box]

    n_reference, n_prediction = int(np.count_nonzero(reference)), int(np.count_nonzero(prediction))
    voxel_volume = math.prod(spacing)
    empty = empty_mask_values(policy, reference_empty=not n_reference, prediction_empty=not n_prediction)
    if empty is not None and math.isnan(empty.dsc):
        hd95 = hd95_mm = math.nan
    else:
        in_voxels, in_mm = surface_distances(reference, prediction, spacing)
        hd95, hd95_mm = in_voxels.hausdorff95(), in_mm.hausdorff95()
    if empty is None:
        overlap = int(np.count_nonzero(reference & prediction))
        overlaps = OverlapMetrics(
            dsc=2 * overlap / (n_reference + n_prediction),
            surface_dsc=in_mm.surface_dice(tolerance_mm),
            precision=overlap / n_prediction,
            recall=overlap / n_reference,
        )
    else:
        overlaps = empty
    lesions = case_lesions(reference, prediction, spacing)
    metrics = CaseMetrics(
        dsc=overlaps.dsc,
        hd95_voxel=hd95,
        norm_hd=normalised_hd(hd95),
        hd95_mm=hd95_mm,
        surface_dsc=overlaps.surface_dsc,
        precision=overlaps.precision,
        recall=overlaps.recall,
        volume_reference_mm3=n_reference * voxel_volume,
        volume_prediction_mm3=n_prediction * voxel_volume,
        volume_error_mm3=(n_prediction - n_reference) * voxel_volume,
        volume_image_mm3=n_voxels * voxel_volume,
        **lesion_counts(lesions),
    )
    return metrics, lesions


def normalised_hd(hd95_voxel: float) -> float:
    """The challenge's NormHD: HD95 in voxels over 150, infinity becomes 1, larger values are not clipped."""
    return 1.0 if math.isinf(hd95_voxel) else hd95_voxel / HD_MAX_VOXELS
