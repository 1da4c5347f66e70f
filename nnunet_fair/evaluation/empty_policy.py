"""What an empty mask means, as data: a policy names the value of every metric that has no value of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class EmptyMaskPolicy(str, Enum):
    """How cases without a lesion in the reference, in the prediction or in both are scored.

    Attributes:
        CHALLENGE: the MAMA-MIA challenge's: both empty scores DSC 0 (0/0 taken as 0) and distance 0.
        PERFECT: both empty is a right answer: DSC 1, surface DSC 1, precision 1, recall 1, distance 0.
        EXCLUDE: both empty has no overlap or distance metric at all; such a case enters no mean and is counted.
    """

    CHALLENGE = "challenge"
    PERFECT = "perfect"
    EXCLUDE = "exclude"


@dataclass(frozen=True)
class EmptyMaskValues:
    """The values of a case with an empty mask; NaN where the policy leaves the metric without one.

    Attributes:
        dsc: Dice similarity coefficient.
        surface_dsc: surface Dice at the tolerance.
        precision: share of the predicted voxels that are right.
        recall: share of the reference voxels that are found.
        hd95: 95th percentile Hausdorff distance, in voxels and in mm alike; infinite where only one mask is empty.
        norm_hd: the challenge's normalised distance.
    """

    dsc: float
    surface_dsc: float
    precision: float
    recall: float
    hd95: float
    norm_hd: float


_MISSED = EmptyMaskValues(dsc=0.0, surface_dsc=0.0, precision=math.nan, recall=0.0, hd95=math.inf, norm_hd=1.0)
_INVENTED = EmptyMaskValues(dsc=0.0, surface_dsc=0.0, precision=0.0, recall=math.nan, hd95=math.inf, norm_hd=1.0)
_BOTH_EMPTY = {
    EmptyMaskPolicy.CHALLENGE: EmptyMaskValues(0.0, 0.0, math.nan, math.nan, hd95=0.0, norm_hd=0.0),
    EmptyMaskPolicy.PERFECT: EmptyMaskValues(1.0, 1.0, 1.0, 1.0, hd95=0.0, norm_hd=0.0),
    EmptyMaskPolicy.EXCLUDE: EmptyMaskValues(*[math.nan] * 6),
}


def empty_mask_values(
    policy: EmptyMaskPolicy, *, reference_empty: bool, prediction_empty: bool
) -> EmptyMaskValues | None:
    """The values a policy gives to a case with an empty mask.

    Args:
        policy: the policy.
        reference_empty: whether the reference holds no foreground voxel.
        prediction_empty: whether the prediction holds no foreground voxel.

    Returns:
        The values; None where neither mask is empty, because every metric then has a value of its own.
    """
    if reference_empty and prediction_empty:
        return _BOTH_EMPTY[policy]
    if prediction_empty:
        return _MISSED
    if reference_empty:
        return _INVENTED
    return None
