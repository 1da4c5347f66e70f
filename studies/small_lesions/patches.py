"""Patches centred on lesions, each lesion as often as any other, whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cc3d
import numpy as np


def lesion_by_lesion(voxels: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """Repeat voxels so that every lesion has equally many of them.

    nnU-Net centres a foreground patch on a voxel drawn evenly from such a list: a lesion of a thousandth of the
    voxels is centred on once in a thousand times. From the list returned each lesion is drawn equally often.

    Args:
        voxels: int array of shape (n_voxels, n_axes).
        lesion: number of each voxel's lesion, shape (n_voxels,).

    Returns:
        Int array of shape (n_lesions × size of the largest, n_axes), the voxels of a lesion in turns.
    """
    numbers, sizes = np.unique(lesion, return_counts=True)
    most = int(sizes.max(initial=0))
    chosen = [np.resize(np.flatnonzero(lesion == number), most) for number in numbers]
    return voxels[np.concatenate(chosen)] if chosen else voxels


class LesionByLesion:
    """An nnU-Net dataset whose foreground locations are balanced over lesions.

    Args:
        dataset: the training cases.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._balanced: dict[str, dict[Any, np.ndarray]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def load_case(self, identifier: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        """As nnU-Net's, with balanced ``class_locations`` (worked out once a case)."""
        data, seg, previous, properties = self._dataset.load_case(identifier)
        if identifier not in self._balanced:
            self._balanced[identifier] = balanced_locations(np.asarray(seg[0]), properties["class_locations"])
        return data, seg, previous, {**properties, "class_locations": self._balanced[identifier]}


def balanced_locations(seg: np.ndarray, locations: dict[Any, Sequence]) -> dict[Any, np.ndarray]:
    """``class_locations`` with every list balanced over the lesions of the segmentation.

    Args:
        seg: label map of shape (slices, rows, columns).
        locations: nnU-Net's samples of foreground voxels, by class: channel, slice, row, column.
    """
    lesions = cc3d.connected_components((seg > 0).astype(np.uint8), connectivity=26)
    found = {}
    for key, listed in locations.items():
        voxels = np.asarray(listed)
        found[key] = lesion_by_lesion(voxels, lesions[tuple(voxels[:, 1:].T)]) if len(voxels) else voxels
    return found
