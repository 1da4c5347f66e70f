"""From how far cases fall short to what each weighs, and what its weight does.

A rule makes a weight of a shortfall; :class:`CaseWeights` holds the weights of all training cases and says what they
mean for the loss of a batch and for the drawing of cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nnunet_fair.subgroups.shortfalls import capped_weights
from nnunet_fair.training.config import FairConfig

SAMPLING_FLOOR = 0.1
"""Smallest probability of a case, as a share of the uniform one: no case is ever forgotten."""


def shortfall_weights(shortfall: np.ndarray, spread: float, config: FairConfig) -> np.ndarray:
    """The weights of ``subgroups.shortfalls.capped_weights``, with the settings' strength and cap.

    Args:
        shortfall: d, float array of shape (n_cases,), how far each case's subgroups fall short of the mean, ≥ 0.
        spread: σ, the standard deviation of the scores; where it is 0 nobody falls short.
        config: the settings.

    Returns:
        Float array of shape (n_cases,), with mean 1.
    """
    return capped_weights(shortfall, spread, strength=config.strength, max_weight=config.max_weight)


def published_weights(shortfall: np.ndarray, spread: float, config: FairConfig) -> np.ndarray:
    """W = |Δ(S*)| for a case in a subgroup below average and 1 for the others (Poeta et al. 2025).

    Neither capped nor normalised. Since |Δ| is well below 1 the *disadvantaged* get the smaller weights: that is the
    publication's rule, here to be reproduced.

    Args:
        shortfall: −Δ(S*), float array of shape (n_cases,), 0 for a case in no subgroup below average.
        spread: not used.
        config: not used.

    Returns:
        Float array of shape (n_cases,).
    """
    return np.where(shortfall > 0, shortfall, 1.0)


@dataclass(frozen=True, repr=False, eq=False)
class CaseWeights:
    """The weight of every training case, and what it does.

    Attributes:
        case_ids: the training cases, each once.
        values: their weights w, float array of shape (n_cases,).
        on_loss: whether the weights multiply the loss.
        on_sampling: whether they change how often a case is drawn.
        alpha: share of the unweighted loss, L = α·L_seg + (1 − α)·L_div (Poeta et al. 2025).
    """

    case_ids: tuple[str, ...]
    values: np.ndarray
    on_loss: bool
    on_sampling: bool
    alpha: float = 0.0

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=float)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __repr__(self) -> str:
        # nnU-Net writes the text of every attribute of a trainer to debug.json: no case ID may be in it.
        return f"CaseWeights({len(self.case_ids)} cases)"

    def renewed(self, values: np.ndarray, kept: float = 0.0) -> CaseWeights:
        """Other weights of the same cases.

        Args:
            values: the new weights, float array of shape (n_cases,).
            kept: share of the present weights that is kept.
        """
        return replace(self, values=values if kept == 0 else kept * self.values + (1 - kept) * values)

    def of(self, saved: Mapping[str, float]) -> CaseWeights:
        """Saved weights by case ID; a case they do not know weighs 1."""
        return self.renewed(np.array([saved.get(case_id, 1.0) for case_id in self.case_ids]))

    def by_case(self) -> dict[str, float]:
        """Each case's weight w, by case ID."""
        return dict(zip(self.case_ids, map(float, self.values), strict=True))

    @cached_property
    def _acting(self) -> np.ndarray:
        """α + (1 − α)·w, and its root where weights act in two places, so that the expected gradient is the same."""
        acting = self.alpha + (1.0 - self.alpha) * self.values
        return np.sqrt(acting) if self.on_loss and self.on_sampling else acting

    @cached_property
    def _on_loss(self) -> dict[str, float]:
        return dict(zip(self.case_ids, map(float, self._acting), strict=True))

    @cached_property
    def neutral_on_loss(self) -> bool:
        """Whether the losses of all training cases weigh 1."""
        return not self.on_loss or bool((self._acting == 1.0).all())

    def loss_weights(self, case_ids: Sequence[str]) -> list[float] | None:
        """What the losses of a batch's cases are multiplied by.

        Args:
            case_ids: the batch's cases, of length B.

        Returns:
            B weights; None where all are 1 or the weights do not act on the loss.

        Raises:
            KeyError: a case that is none of the training's.
        """
        if not self.on_loss:
            return None
        weights = [self._on_loss[str(case_id)] for case_id in case_ids]
        return None if all(weight == 1.0 for weight in weights) else weights

    def sampling_probabilities(self) -> np.ndarray | None:
        """How often each case is drawn, over the uniform probability.

        Returns:
            Float array of shape (n_cases,), at least :data:`SAMPLING_FLOOR`; it need not have mean 1. None where the
            weights do not act on the drawing.
        """
        return np.maximum(self._acting / self._acting.mean(), SAMPLING_FLOOR) if self.on_sampling else None
