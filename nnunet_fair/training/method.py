"""What a trainer's name decides: where weights act, how they are found, and which settings have no say in it.

None of it can be set in the plans: a reader of a checkpoint's trainer name knows the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnunet_fair.subgroups.shortfalls import AveragedSearch
from nnunet_fair.training.config import RESPONSE_SETTINGS, FairConfig
from nnunet_fair.training.search import LowestSearch, Search
from nnunet_fair.training.weights import CaseWeights, published_weights, shortfall_weights

MIN_CASES = 5
"""Smallest number of scored cases that makes a subgroup frequent: the mean of fewer says nothing. It matters below 100
scored cases, where the default share of 0.05 is smaller."""

SMOOTHING = 0.8
"""Share of the former weights kept at a refresh: weighting a group narrows the gap it is found by, and without memory
the weights let go of it again (docs/effect.md: +5.3 instead of +8.6 where it is hard to see)."""


PLACES = ("", "loss", "sampling", "loss and sampling")
"""Where a method's weights may act, see ``FairMethod.acts_on``."""


@dataclass(frozen=True)
class FairMethod:
    """A way of training.

    Attributes:
        on_loss: whether the weights multiply the loss.
        on_sampling: whether they change how often a case is drawn.
        search: how a case's shortfall is found.
        weigh: how a shortfall becomes a weight: of shortfalls, the scores' standard deviation and the settings.
        missing_as_group: whether the cases without a value of an attribute form a subgroup too. They do, except in the
            publication: values that are missing not at random mark a group (docs/effect.md).
        alpha: share of the unweighted loss; it does as a lower cap does.
        smoothing: share of the former weights kept at a refresh.
        min_cases: smallest number of scored cases that makes a subgroup frequent.
        defaults: settings in which the method differs from ``FairConfig``'s defaults.
        without_effect: settings that mean nothing to the method.
    """

    on_loss: bool = False
    on_sampling: bool = False
    search: type[Search] = field(default=AveragedSearch, repr=False)
    weigh: Callable[[np.ndarray, float, FairConfig], np.ndarray] = field(default=shortfall_weights, repr=False)
    missing_as_group: bool = True
    alpha: float = 0.0
    smoothing: float = SMOOTHING
    min_cases: int = MIN_CASES
    defaults: Mapping[str, Any] = field(default_factory=dict)
    without_effect: tuple[str, ...] = ()

    @property
    def acts_on(self) -> str:
        """Which of ``PLACES``: nowhere where the method has no weights."""
        return PLACES[self.on_loss + 2 * self.on_sampling]

    def neutral(self, case_ids: tuple[str, ...]) -> CaseWeights:
        """Weights of 1 that act where this method's weights do."""
        return CaseWeights(case_ids, np.ones(len(case_ids)), self.on_loss, self.on_sampling, self.alpha)

    def settings(self, plans: Mapping[str, Any], trainer: str) -> FairConfig:
        """The settings of a plans file as this method has them, see ``FairConfig.from_plans``.

        Args:
            plans: the plans as loaded.
            trainer: the trainer's name, for messages.
        """
        return FairConfig.from_plans(plans, defaults=self.defaults, without_effect=self.without_effect, trainer=trainer)


ON_LOSS = FairMethod(on_loss=True, without_effect=RESPONSE_SETTINGS)
ON_SAMPLING = FairMethod(
    on_sampling=True, defaults={"max_gradient": None}, without_effect=("max_gradient", *RESPONSE_SETTINGS)
)
PUBLISHED = FairMethod(
    on_loss=True,
    search=LowestSearch,
    weigh=published_weights,
    missing_as_group=False,
    alpha=0.5,
    smoothing=0.0,
    defaults={"min_support": 0.005, "min_t": 0.0, "max_gradient": None},
    without_effect=("strength", "max_weight", "min_t", "max_gradient", "healthy_cases", *RESPONSE_SETTINGS),
)
"""Poeta et al. 2025 as its code has it, but with the gradient of the weighted loss and weights looked up by case ID."""
