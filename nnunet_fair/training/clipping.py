"""How long a step may be: clipping of the gradient, to a norm that is given or found while training."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from nnunet_fair.training.config import AUTOMATIC

QUANTILE = 0.9
"""Of the norms of the former steps; a longer step than nine of ten is cut."""
WINDOW = 1000
"""Former steps that count, four epochs of nnU-Net's 250."""


class GradientClipping:
    """Clips the gradient of each step.

    A case's weight is a longer step for its batch. Cut to the length that steps have without weights, it turns the
    training towards the case and cannot throw it off.

    The automatic limit is a quantile of the former steps' norms, as in AutoClip (Seetharaman et al., MLSP 2020), each
    divided by the mean weight of its batch: about the norms the same steps would have without weights. It is renewed
    after an epoch, the same on every process of a distributed training, and cuts nothing while all weights are 1, so
    that a training that finds no disparity is nnU-Net's own.

    Args:
        max_gradient: largest L2 norm of a gradient, or ``auto``.

    Attributes:
        norms: norm of each step's gradient before clipping, since the epoch began.
    """

    def __init__(self, max_gradient: float | str) -> None:
        self._automatic = max_gradient == AUTOMATIC
        self._limit = float("inf") if self._automatic else float(max_gradient)
        self.norms: list[Tensor] = []
        self._limits: list[float] = []
        self._weights: list[float] = []
        self._former: deque[float] = deque(maxlen=WINDOW)

    def clip(self, parameters: Iterable[Tensor], weights: Sequence[float] | None, *, neutral: bool) -> None:
        """Cut the gradient of a step, in place.

        Args:
            parameters: the network's, with their gradients.
            weights: of the batch's cases on the loss, of length B; None where all are 1.
            neutral: whether all weights of the training are 1 or act on no loss.
        """
        limit = float("inf") if self._automatic and neutral else self._limit
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        self.norms.append(norm.detach())  # not read yet: that would wait for the device
        self._limits.append(limit)
        self._weights.append(1.0 if weights is None else float(np.mean(weights)))

    def end_epoch(self, gather: Callable[[np.ndarray], np.ndarray] = lambda values: values) -> np.ndarray:
        """Renew the limit and forget the epoch.

        Args:
            gather: sums an array over the processes of a distributed training.

        Returns:
            Array of shape (n_steps, 2): norm before clipping and limit of each step of the epoch.
        """
        if not self.norms:
            return np.empty((0, 2))
        norms = torch.stack(self.norms).double().cpu().numpy()
        steps = np.column_stack([norms, self._limits])
        weights, n_processes = gather(np.stack([self._weights, np.ones(len(norms))]))
        counted = np.isfinite(norms) & (weights > 0)
        self._former.extend(map(float, norms[counted] * n_processes[counted] / weights[counted]))
        for kept in (self.norms, self._limits, self._weights):
            kept.clear()
        self._renew()
        return steps

    def _renew(self) -> None:
        if self._automatic and self._former:
            self._limit = float(np.quantile(self._former, QUANTILE))

    def state(self) -> list[float]:
        """What a training must remember to continue: the norms the automatic limit comes from."""
        return list(self._former)

    def load_state(self, former: Sequence[float]) -> None:
        """Continue with a state from :meth:`state`."""
        self._former.extend(former)
        self._renew()
