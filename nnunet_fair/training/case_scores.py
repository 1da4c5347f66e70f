"""A running DSC for every case, from patches the trainer evaluates anyway.

A patch holds a part of a case, so a patch's own DSC means little; the counts behind it add up. For each case the
intersection and the sum of the two masks' sizes are summed over the patches of an epoch, what is remembered from
earlier epochs is multiplied by a decay first, and the score is DSC = 2 · intersection / (prediction + reference).

DSC is a question about cases that have the structure. A case has a score for a class only where its whole reference
contains it, and none elsewhere, whatever is predicted; for cases that have none of the scored classes another question
is kept apart: the share of their patches without a false voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

DECAY = 0.7
"""What is left of a case's running counts when it is seen in a new epoch: half of a score is of the last two or three
epochs that saw the case. Not varied in the effect study."""

MIN_VOXELS = 1.0
"""Remembered voxels below which a class says nothing: what is left, after many epochs, of voxels seen long ago."""

MIN_PATCHES = 2
"""Patches after which a case has a score: one random patch often holds no lesion at all."""


def case_overlap(
    logits: Tensor, target: Tensor, *, has_regions: bool, ignore_label: int | None
) -> tuple[Tensor, Tensor]:
    """Count the voxels each case's hard prediction shares with its reference.

    Args:
        logits: float tensor of shape (B, C, *spatial): one channel a label, the background first, or one a region.
        target: label map of shape (B, 1, *spatial); for regions bool of shape (B, C, *spatial), with one more channel,
            True where ignored, where there is an ignore label.
        has_regions: whether the channels are regions (sigmoid > 0.5) or labels (argmax).
        ignore_label: the label whose voxels do not count; None where there is none.

    Returns:
        Intersection and the sum of both masks' sizes, each int64 of shape (B, K), K the foreground labels or regions.
    """
    if has_regions:
        predicted = logits > 0  # sigmoid(x) > 0.5
        reference = (target[:, :-1] if ignore_label is not None else target).bool()
        valid = None if ignore_label is None else ~target[:, -1:].bool()
    else:
        predicted = _foreground_argmax(logits)
        labels = torch.arange(1, logits.shape[1], device=target.device, dtype=target.dtype)
        reference = target == labels.view(1, -1, *[1] * (logits.ndim - 2))
        valid = None if ignore_label is None else target != ignore_label
    if valid is not None:
        predicted = predicted & valid
        reference = reference & valid
    intersection = (predicted & reference).flatten(2).sum(2)
    return intersection, predicted.flatten(2).sum(2) + reference.flatten(2).sum(2)


def _foreground_argmax(logits: Tensor) -> Tensor:
    """One-hot argmax over the channels without the background; of equal logits the first wins.

    Comparisons take a fiftieth of the time of ``torch.argmax`` on a CPU.
    """
    best = logits == logits.amax(1, keepdim=True)
    taken = best[:, :1]
    foreground = []
    for channel in range(1, logits.shape[1]):
        this = best[:, channel : channel + 1]
        foreground.append(this & ~taken)
        taken = taken | this
    return torch.cat(foreground, dim=1)


class RunningCaseScores:
    """The running counts behind every case's score.

    Args:
        present: bool table of shape (n_cases, K), indexed by case ID: the K foreground labels or regions that each
            case's whole reference contains.
        score_class: the class whose DSC is the score; None for the mean over the classes a case has.
        decay: what is left of a case's counts when it is seen in a new epoch, in [0, 1].
    """

    def __init__(self, present: pd.DataFrame, *, score_class: int | None = None, decay: float = DECAY) -> None:
        self.case_ids = tuple(map(str, present.index))
        self._row = {case_id: row for row, case_id in enumerate(self.case_ids)}
        self._decay = decay
        counted = np.ones(present.shape[1], dtype=bool)
        if score_class is not None:
            counted[:] = np.arange(len(counted)) == score_class
        self._counted = counted
        self._present = present.to_numpy(dtype=bool) & counted
        self.has_structure = self._present.any(axis=1)
        self.intersection = np.zeros(present.shape)
        self.total = np.zeros(present.shape)
        self.clean = np.zeros((len(self.case_ids), 2))
        self.patches = np.zeros(len(self.case_ids))
        self._start_epoch()

    def __repr__(self) -> str:
        # nnU-Net writes the text of every attribute of a trainer to debug.json: no case ID may be in it.
        return f"RunningCaseScores({len(self.case_ids)} cases, {int((self.patches >= MIN_PATCHES).sum())} seen)"

    def _start_epoch(self) -> None:
        self._new_intersection = np.zeros_like(self.intersection)
        self._new_total = np.zeros_like(self.total)
        self._new_clean = np.zeros_like(self.clean)
        self._new_patches = np.zeros_like(self.patches)

    def add(self, case_ids: Sequence[str], intersection: np.ndarray, total: np.ndarray) -> None:
        """Add a batch of patches.

        Args:
            case_ids: the patches' cases, of length B; a case may occur more than once.
            intersection: shape (B, K).
            total: shape (B, K).

        Raises:
            KeyError: a case that was not announced.
        """
        rows = [self._row[str(case_id)] for case_id in case_ids]
        np.add.at(self._new_intersection, rows, intersection)
        np.add.at(self._new_total, rows, total)
        clean = total[:, self._counted].sum(axis=1) == 0
        np.add.at(self._new_clean, rows, np.column_stack([clean, np.ones(len(rows))]))
        np.add.at(self._new_patches, rows, 1)

    def end_epoch(self, gather: Callable[[np.ndarray], np.ndarray] = lambda counts: counts) -> None:
        """Take the epoch's counts into the running ones.

        Args:
            gather: sums an array over the processes of a distributed training.
        """
        intersection, total, clean, patches = (
            gather(counts) for counts in (self._new_intersection, self._new_total, self._new_clean, self._new_patches)
        )
        kept = np.where(patches > 0, self._decay, 1.0)[:, None]
        self.intersection = kept * self.intersection + intersection
        self.total = kept * self.total + total
        self.clean = kept * self.clean + clean
        self.patches = self.patches + patches
        self._start_epoch()

    def scores(self) -> pd.Series:
        """The score of every case.

        Returns:
            DSC in [0, 1] indexed by case ID; NaN for a case whose reference has none of the scored classes, that was
            seen in fewer than ``MIN_PATCHES`` patches, or of whose classes fewer than ``MIN_VOXELS`` voxels are
            remembered. A class that a case lacks does not enter its mean.
        """
        known = self._present & (self.total >= MIN_VOXELS)
        with np.errstate(divide="ignore", invalid="ignore"):
            dsc = np.where(known, 2 * self.intersection / self.total, 0.0)
        n_classes = known.sum(axis=1)
        score = np.where(n_classes > 0, dsc.sum(axis=1) / np.maximum(n_classes, 1), np.nan)
        return self._of_seen(score)

    def clean_shares(self) -> pd.Series:
        """The share of the patches without a false voxel, of the cases that have none of the scored classes.

        Returns:
            Shares in [0, 1] indexed by case ID, weighted by the decay as the counts are; NaN for a case that has one
            of the classes or was seen in fewer than ``MIN_PATCHES`` patches.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.has_structure, np.nan, self.clean[:, 0] / self.clean[:, 1])
        return self._of_seen(share)

    def _of_seen(self, values: np.ndarray) -> pd.Series:
        return pd.Series(np.where(self.patches >= MIN_PATCHES, values, np.nan), index=list(self.case_ids))

    def state(self) -> dict[str, list]:
        """The running counts by case ID, to be saved; see :meth:`load_state`."""
        return {
            case_id: [
                self.intersection[row].tolist(),
                self.total[row].tolist(),
                self.patches[row],
                self.clean[row].tolist(),
            ]
            for case_id, row in self._row.items()
        }

    def load_state(self, state: Mapping[str, list]) -> None:
        """Take up saved counts; a case the state does not know starts from nothing."""
        for case_id, row in self._row.items():
            if case_id in state:
                self.intersection[row], self.total[row], self.patches[row], *clean = state[case_id]
                if clean:  # earlier states have none
                    self.clean[row] = clean[0]
