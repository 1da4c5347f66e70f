"""What the study tries beside the product's own: a rule, a search, a session and a loss that are variants of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nnunet_fair.training.clipping import GradientClipping
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.losses import CaseWeightedDiceCE
from nnunet_fair.training.search import LowestSearch
from nnunet_fair.training.session import FairSession

if TYPE_CHECKING:
    from benchmarks.effect.methods import Method


def exponential_weights(shortfall: np.ndarray, spread: float, config: FairConfig) -> np.ndarray:
    """W = min(max_weight, exp(strength · d/σ)), divided by the mean; see ``shortfall_weights``."""
    relative = shortfall / spread if spread > 0 else np.zeros_like(shortfall)
    weights = np.exp(np.minimum(config.strength * relative, np.log(config.max_weight)))
    weights = np.minimum(config.max_weight, weights)
    return weights / weights.mean()


def shrunk_lowest(shrinkage: float) -> type[LowestSearch]:
    """The search for the lowest divergence, shrunk by n/(n + ``shrinkage``) against chance."""

    class ShrunkLowestSearch(LowestSearch):
        def estimate(self, divergence: pd.DataFrame) -> np.ndarray:
            n = divergence["n"].to_numpy(dtype=float)
            return divergence["divergence"].to_numpy() * n / (n + shrinkage)

    return ShrunkLowestSearch


class DiceTermOnly(CaseWeightedDiceCE):
    """The weights multiply the Dice term alone."""

    def cross_entropy(self, logits: Tensor, target: Tensor, mask: Tensor | None, weights: Tensor) -> Tensor:
        """As if all weights were 1."""
        return super().cross_entropy(logits, target, mask, torch.ones_like(weights))


class EffectSession(FairSession):
    """The session of a method of the study.

    Args:
        studied: the method.
        others: as for ``FairSession``.
    """

    def __init__(self, studied: Method, **others: Any) -> None:
        self.studied = studied
        super().__init__(**others)
        self.clipping = GradientClipping(studied.max_gradient)
        self._scored = frozenset(self._scores.case_ids)

    def scorable(self, train_ids: tuple[str, ...], val_ids: tuple[str, ...]) -> tuple[str, ...]:
        """The method's choice of cases."""
        both = tuple(dict.fromkeys((*train_ids, *val_ids)))
        return {"train": train_ids, "val": val_ids, "both": both}[self.studied.score_cases]

    def refreshes_at(self, epoch: int, num_epochs: int) -> bool:
        """At every ``refresh_every``-th of the session's epochs."""
        waited = epoch - self.config.warmup(num_epochs)
        return super().refreshes_at(epoch, num_epochs) and waited % self.studied.refresh_every == 0

    def add_patches(self, case_ids: Sequence[str], intersection: np.ndarray, total: np.ndarray) -> None:
        """As the session's, of the cases that are scored."""
        counted = [str(case_id) in self._scored for case_id in case_ids]
        super().add_patches(np.asarray(case_ids)[counted], intersection[counted], total[counted])

    def begin_step(self, case_ids: Sequence[str]) -> list[float] | None:
        """As the session's, divided by the batch's mean where the method says so."""
        weights = super().begin_step(case_ids)
        if weights is not None and self.studied.by_batch and len(weights) > 1:
            mean = sum(weights) / len(weights)
            weights = [weight / mean for weight in weights]
            self._batch_weights = None if all(weight == 1.0 for weight in weights) else weights
        return self._batch_weights
