"""How masks are read and scored; loads nothing heavy, so that the command line can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy

SURFACE_TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class ScoringOptions:
    """How masks are read and scored.

    Attributes:
        labels: labels that together are the foreground; None expects a binary image.
        empty: what empty masks mean.
        tolerance_mm: tolerance of the surface DSC, in mm.
        resample: resample predictions of another grid instead of refusing them.
    """

    labels: tuple[int, ...] | None = None
    empty: EmptyMaskPolicy = EmptyMaskPolicy.CHALLENGE
    tolerance_mm: float = SURFACE_TOLERANCE_MM
    resample: bool = False
