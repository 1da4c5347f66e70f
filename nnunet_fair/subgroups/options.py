"""How subgroups are found and described; loads nothing heavy, so that the command line can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass

N_RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_GROUP = 10
MIN_SUPPORT = 0.05
MAX_ITEMS = 3
FAILURE_DSC = 0.1


@dataclass(frozen=True)
class SubgroupOptions:
    """How subgroups are found and described.

    Attributes:
        min_group: groups with fewer cases are shown but decide nothing.
        min_support: smallest share of the cases a combination of attributes must hold.
        max_items: largest number of attributes in a combination.
        failure_dsc: a case with a DSC of 0 or below this is a failure.
        n_resamples: bootstrap replicates.
        confidence: coverage of the intervals.
        seed: seed of the bootstrap.
    """

    min_group: int = MIN_GROUP
    min_support: float = MIN_SUPPORT
    max_items: int = MAX_ITEMS
    failure_dsc: float = FAILURE_DSC
    n_resamples: int = N_RESAMPLES
    confidence: float = CONFIDENCE
    seed: int = 0
