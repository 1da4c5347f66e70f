"""How the per-case table becomes scores; loads nothing heavy, so that the command line can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnunet_fair.subgroups.options import SubgroupOptions

CHALLENGE_LAMBDA = 0.5


@dataclass(frozen=True)
class AnalysisOptions:
    """How the per-case table becomes scores.

    Attributes:
        lambda_: weight of the fairness in the ranking.
        subgroups: how subgroups are found and described.
    """

    lambda_: float = CHALLENGE_LAMBDA
    subgroups: SubgroupOptions = field(default_factory=SubgroupOptions)
