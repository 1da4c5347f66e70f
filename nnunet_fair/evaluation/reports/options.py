"""What the reports show; loads nothing heavy, so that the command line can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class OverlayOptions:
    """Which image lies under the contours.

    Attributes:
        images: folder of images named as nnU-Net's (``CASE_0000.nii.gz``); None draws the contours on plain ground.
        channel: the channel to show; None takes 1, the first post-contrast phase, where there is one, else 0.
    """

    images: Path | None = None
    channel: int | None = None


@dataclass(frozen=True)
class ReportOptions:
    """What the report shows beside the numbers.

    Attributes:
        title: its title.
        overlays: the images under the contours.
        n_overlays: how many of the worst cases to draw.
        model: training folder to show weights and divergence of; not in an anonymised report.
        anonymise: write neutral numbers in place of case IDs, and no group of fewer than five cases.
        pdf: write a summary of one page as well.
        intended_use: what the model is meant for, for the summary.
    """

    title: str = "Segmentation fairness report"
    overlays: OverlayOptions = field(default_factory=OverlayOptions)
    n_overlays: int = 6
    model: Path | None = None
    anonymise: bool = False
    pdf: bool = False
    intended_use: str = "Not stated. For research on segmentation and its fairness; no medical device."


@dataclass(frozen=True)
class CompareOptions:
    """What is compared and shown.

    Attributes:
        name_a: the first model's name in the report.
        name_b: the second model's.
        title: the report's title.
        missing: what a reference without a prediction counts as, ``empty`` or ``skip``.
        overlays: the images under the contours.
        n_overlays: how many of the most changed cases to draw.
        anonymise: replace case IDs by neutral numbers in everything that is written.
        paired_seeds: the k-th folder of A and the k-th of B were trained as a pair.
    """

    name_a: str = "A"
    name_b: str = "B"
    title: str = "Comparison of two models"
    missing: str = "empty"
    overlays: OverlayOptions = field(default_factory=OverlayOptions)
    n_overlays: int = 6
    anonymise: bool = False
    paired_seeds: bool = False
