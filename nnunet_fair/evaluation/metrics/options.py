"""How masks are read and scored; loads nothing heavy, so that the command line can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.masks.label_classes import LabelClasses
from nnunet_fair.masks.label_set import LabelSet

SURFACE_TOLERANCE_MM = 2.0
CALIBRATION_MARGIN_MM = 10.0
TOUCH, IOU, ONE_TO_ONE = "touch", "iou", "one-to-one"
MATCHINGS = (TOUCH, IOU, ONE_TO_ONE)
"""Rules for which lesions were found, see :mod:`nnunet_fair.evaluation.metrics.lesions`."""


@dataclass(frozen=True)
class ScoringOptions:
    """How masks are read and scored.

    Attributes:
        labels: labels that together are the foreground; None expects a binary image.
        empty: what empty masks mean.
        tolerance_mm: tolerance of the surface DSC, in mm.
        resample: resample predictions of another grid instead of refusing them.
        classes: name and labels of each class to score by itself; None for one foreground, as ``labels`` says.
        ignore: label of the reference's voxels that count in no metric, where there are classes.
        calibrate: measure the calibration of the saved probabilities too.
        margin_mm: how far around the masks calibration is measured, in mm.
        second_reader: measure how well a second reader agrees with the reference, too.
        label_set: what the probabilities' channels are; None takes channel k as label k.
    """

    labels: tuple[int, ...] | None = None
    empty: EmptyMaskPolicy = EmptyMaskPolicy.CHALLENGE
    tolerance_mm: float = SURFACE_TOLERANCE_MM
    resample: bool = False
    classes: tuple[tuple[str, tuple[int, ...]], ...] | None = None
    ignore: int | None = None
    calibrate: bool = False
    margin_mm: float = CALIBRATION_MARGIN_MM
    label_set: LabelSet | None = None
    second_reader: bool = False

    @property
    def foreground(self) -> tuple[int, ...] | None:
        """The labels that together are the foreground: those of all classes, where there are classes."""
        if self.classes is None:
            return self.labels
        return tuple(sorted({label for _, labels in self.classes for label in labels}))

    @property
    def known_labels(self) -> frozenset[int]:
        """The labels that may occur beside the background, 0, where there are classes."""
        return frozenset(self.foreground or ()) | (frozenset() if self.ignore is None else {self.ignore})

    def with_classes(self, declared: LabelClasses | None) -> ScoringOptions:
        """The options with the classes of a dataset; unchanged where its masks are of 0 and 1 only.

        Args:
            declared: the classes, or None where none are declared.
        """
        if declared is None or declared.is_plain:
            return self
        return replace(self, classes=declared.classes, ignore=declared.ignore)
