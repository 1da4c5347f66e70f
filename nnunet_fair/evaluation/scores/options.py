"""How the per-case table becomes scores; loads nothing heavy, so that the command line can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnunet_fair.evaluation.metrics.options import TOUCH
from nnunet_fair.subgroups.options import SubgroupOptions

CHALLENGE_LAMBDA = 0.5


@dataclass(frozen=True)
class AnalysisOptions:
    """How the per-case table becomes scores.

    Attributes:
        lambda_: weight of the fairness in the ranking.
        subgroups: how subgroups are found and described.
        margin: the largest difference of the mean DSC that does not matter; None tests no equivalence.
        lesion_matching: the rule for which lesions were found, one of ``MATCHINGS`` of the metrics.
        reference_share: r of the nDSC, the share of the image that a lesion takes; None takes the cohort's mean.
    """

    lambda_: float = CHALLENGE_LAMBDA
    subgroups: SubgroupOptions = field(default_factory=SubgroupOptions)
    margin: float | None = None
    lesion_matching: str = TOUCH
    reference_share: float | None = None
