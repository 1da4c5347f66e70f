"""Drawing cases with the probabilities the weights ask for, in data-loading workers that were forked long before.

nnU-Net's loaders draw a batch with ``numpy.random.choice(identifiers, batch_size)`` in worker processes that are
started once; what the trainer learns later they cannot see, and the loader's own ``sampling_probabilities`` are fixed
when the trainer builds it. So the probabilities live in shared memory, and the list of identifiers a loader draws from
stands, at each draw, for one weighted resampling of the cases. Any trainer that draws from ``dataset.identifiers``
works with it, unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Array
from multiprocessing.sharedctypes import RawArray

import numpy as np
from numpy.typing import DTypeLike


class SampledIdentifiers(list):
    """Case identifiers that ``numpy.random.choice`` draws with changeable probabilities.

    ``numpy.random.choice`` turns its list into an array first. That array is drawn here by systematic resampling
    (Kitagawa, "Monte Carlo Filter and Smoother", 1996): of its n places, case i takes n·p_i on average, so a uniform
    choice among the places takes case i with probability p_i exactly. While the probabilities are uniform, the array
    is the plain list and no random number is used: batches are those of stock nnU-Net.

    Args:
        case_ids: the cases, in the loader's order.
    """

    def __init__(self, case_ids: Sequence[str]) -> None:
        super().__init__(case_ids)
        self._weights = RawArray("d", [1.0] * len(self))

    def __reduce__(self):
        # handed to a spawned worker: the shared memory goes along (a list's own pickling would lose it)
        return _restore, (list(self), self._weights)

    def set_probabilities(self, probabilities: np.ndarray) -> None:
        """Draw with these probabilities from now on, in every process.

        Args:
            probabilities: positive float array of shape (n_cases,) in the order of the cases; need not sum to 1.

        Raises:
            ValueError: another shape, or a value that is not a positive number.
        """
        probabilities = np.asarray(probabilities, dtype=float)
        if probabilities.shape != (len(self),) or not (np.isfinite(probabilities) & (probabilities > 0)).all():
            raise ValueError(f"expected {len(self)} positive probabilities, found shape {probabilities.shape}")
        np.frombuffer(self._weights)[:] = probabilities / probabilities.mean()

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities as they are now, float array of shape (n_cases,) that sums to 1."""
        weights = np.frombuffer(self._weights).copy()
        return weights / weights.sum()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        case_ids = np.array(list(self), dtype=dtype)
        weights = np.frombuffer(self._weights).copy()
        if len(case_ids) == 0 or np.all(weights == weights[0]):
            return case_ids
        # a worker may read while the trainer writes: every mixture of old and new weights is a valid distribution
        boundaries = np.cumsum(weights)
        places = (np.random.uniform() + np.arange(len(self))) * boundaries[-1] / len(self)
        return case_ids[np.searchsorted(boundaries, places, side="right").clip(max=len(self) - 1)]


def _restore(case_ids: list[str], weights: Array) -> SampledIdentifiers:
    restored = SampledIdentifiers.__new__(SampledIdentifiers)
    list.__init__(restored, case_ids)
    restored._weights = weights
    return restored
