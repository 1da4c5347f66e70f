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
class OverlapMetrics:
    """The overlap metrics of a case; NaN where the policy for empty masks leaves a metric without a value.

    Distances need no table: they follow from the surfaces, 0 where neither mask has one and infinite where only one
    has. Where the policy leaves the case without a DSC it has no distance either.

    Attributes:
        dsc: Dice similarity coefficient.
        surface_dsc: surface Dice at the tolerance.
        precision: share of the predicted voxels that are right.
        recall: share of the reference voxels that are found.
    """

    dsc: float
    surface_dsc: float
    precision: float
    recall: float


_MISSED = OverlapMetrics(dsc=0.0, surface_dsc=0.0, precision=math.nan, recall=0.0)
_INVENTED = OverlapMetrics(dsc=0.0, surface_dsc=0.0, precision=0.0, recall=math.nan)
_BOTH_EMPTY = {
    EmptyMaskPolicy.CHALLENGE: OverlapMetrics(dsc=0.0, surface_dsc=0.0, precision=math.nan, recall=math.nan),
    EmptyMaskPolicy.PERFECT: OverlapMetrics(dsc=1.0, surface_dsc=1.0, precision=1.0, recall=1.0),
    EmptyMaskPolicy.EXCLUDE: OverlapMetrics(dsc=math.nan, surface_dsc=math.nan, precision=math.nan, recall=math.nan),
}


def empty_mask_values(
    policy: EmptyMaskPolicy, *, reference_empty: bool, prediction_empty: bool
) -> OverlapMetrics | None:
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
