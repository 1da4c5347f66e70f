"""nnU-Net's saved probabilities (``CASE.npz``): the foreground probability of a label or region, on the mask's grid.

nnU-Net saves them after undoing its resampling, cropping and transposing (``export_prediction_from_logits``), so their
axes are those of the array the image reader returned: the mask's own, except with the readers that turn every image to
RAS first, whose turn is undone here.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.masks.grid import Grid, grid_of, set_grid
from nnunet_fair.masks.readers import turns_to_ras
from nnunet_fair.masks.reading import Mask, to_itk


@dataclass(frozen=True)
class LabelSet:
    """The labels of a dataset as far as post-processing needs them.

    Attributes:
        labels: foreground labels, ascending, without the ignore label.
        regions: for region-based models one tuple of labels a probability channel, in the channels' order, else None.
        regions_class_order: for region-based models the label each region writes, in the same order, else None.
    """

    labels: tuple[int, ...]
    regions: tuple[tuple[int, ...], ...] | None = None
    regions_class_order: tuple[int, ...] | None = None

    @property
    def default_groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups treated as one mask each when none are named."""
        # Nested regions make no sense apart: the rim of a lesion without its core is not a component of its own.
        return ((self.labels),) if self.regions else tuple((label,) for label in self.labels)


def read_label_set(folder: str | os.PathLike) -> LabelSet | None:
    """The labels from the ``dataset.json`` nnU-Net leaves beside its predictions, None where there is none.

    Raises:
        UserError: the file cannot be read.
    """
    path = Path(folder) / "dataset.json"
    if not path.is_file():
        return None
    try:
        content = read_json(path)
        return label_set_from_dataset(content)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"the labels in {path} cannot be read ({error!r})") from error


def label_set_from_dataset(dataset: dict[str, Any]) -> LabelSet:
    """The labels of an nnU-Net ``dataset.json``.

    Args:
        dataset: its content; ``labels`` maps names to a label or, for region-based models, to a list of labels.
    """
    entries = [value for name, value in dataset["labels"].items() if name != "ignore"]
    groups = [tuple(int(v) for v in value) if isinstance(value, (list, tuple)) else (int(value),) for value in entries]
    foreground = [group for group in groups if set(group) != {0}]
    labels = tuple(sorted({label for group in foreground for label in group} - {0}))
    if all(len(group) == 1 for group in foreground):
        return LabelSet(labels)
    return LabelSet(labels, tuple(foreground), tuple(int(label) for label in dataset["regions_class_order"]))


@dataclass(frozen=True)
class Probabilities:
    """The saved probabilities of one case on the mask's grid.

    Attributes:
        channels: float array of shape (channels, slices, rows, columns).
        label_set: which label or region a channel belongs to.
    """

    channels: np.ndarray
    label_set: LabelSet

    def foreground(self, group: tuple[int, ...]) -> np.ndarray:
        """Probability that a voxel carries one of the labels, float array of shape (slices, rows, columns).

        Args:
            group: labels. With softmax channels their sum; a region-based model must have this very region.

        Raises:
            UserError: the model has no such label or region.
        """
        if self.label_set.regions is None:
            missing = [label for label in group if not 0 < label < len(self.channels)]
            if missing:
                raise UserError(f"the probabilities have {len(self.channels)} channels, none for label {missing[0]}")
            return self.channels[list(group)].sum(axis=0)
        return self.channels[self._region(group)]

    def labels_within(self, group: tuple[int, ...], component: np.ndarray, threshold: float) -> np.ndarray:
        """The label of each voxel of a component found at a threshold.

        Args:
            group: the labels the component was found for.
            component: bool array of shape (slices, rows, columns).
            threshold: the threshold it was found at; regions inside the group are drawn at the same one.

        Returns:
            Integer array of shape (n_voxels of the component,), in the component's order.
        """
        inside = self.channels[:, component]
        regions, class_order = self.label_set.regions, self.label_set.regions_class_order
        if regions is None or class_order is None:
            return np.asarray(group)[np.argmax(inside[list(group)], axis=0)]
        drawn = np.full(inside.shape[1], class_order[self._region(group)])
        # nnU-Net draws regions in this order, a later one over an earlier one.
        for region, label, values in zip(regions, class_order, inside, strict=True):
            if set(region) < set(group):
                drawn[values >= threshold] = label
        return drawn

    def _region(self, group: tuple[int, ...]) -> int:
        regions = self.label_set.regions or ()
        for index, region in enumerate(regions):
            if set(region) == set(group):
                return index
        raise UserError(
            f"the model has no region of the labels {list(group)}; its regions are "
            f"{', '.join(str(list(region)) for region in regions)} (choose one of them)"
        )


def read_probabilities(path: str | os.PathLike, mask: Mask, label_set: LabelSet | None) -> Probabilities:
    """Read ``CASE.npz`` of ``nnUNetv2_predict --save_probabilities``.

    Args:
        path: the file; a ``plans.json`` beside it tells which image reader nnU-Net used.
        mask: the predicted mask of the same case.
        label_set: the dataset's labels; None takes channel k as label k.

    Raises:
        UserError: no such file, not readable, or on another grid than the mask.
    """
    path = Path(path)
    try:
        # np.load leaves a file it cannot read open when it opened it itself.
        with path.open("rb") as file, np.load(file) as content:
            channels = content["probabilities"]
    except FileNotFoundError as error:
        raise UserError(f"no probabilities at {path}; predict with --save_probabilities") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"the probabilities in {path} cannot be read ({error})") from error
    if label_set is None:
        label_set = LabelSet(tuple(range(1, len(channels))))
    expected = len(label_set.regions) if label_set.regions else len(label_set.labels) + 1
    if channels.ndim != 4 or len(channels) != expected:
        raise UserError(
            f"the probabilities in {path} have shape {list(channels.shape)}; expected {expected} channels (from "
            "dataset.json) of three axes"
        )
    if turns_to_ras(path.parent):
        channels = np.stack([_turn_back(channel, mask.grid, path) for channel in channels])
    if channels.shape[1:] != mask.array.shape:
        raise UserError(
            f"the probabilities in {path} have the array shape {list(channels.shape[1:])}, the mask "
            f"{list(mask.array.shape)}; they belong to another prediction"
        )
    return Probabilities(channels, label_set)


def _turn_back(channel: np.ndarray, grid: Grid, path: Path) -> np.ndarray:
    """Undo the turn to RAS of nnU-Net's reorienting image readers."""
    stored = sitk.Image(grid.size, sitk.sitkUInt8)
    set_grid(stored, grid)
    turned = sitk.DICOMOrient(stored, "RAS")
    if turned.GetSize()[::-1] != channel.shape:
        raise UserError(
            f"the probabilities in {path} do not fit the mask turned to RAS; they belong to another prediction"
        )
    original = sitk.DICOMOrientImageFilter_GetOrientationFromDirectionCosines(grid.direction)
    return sitk.GetArrayFromImage(sitk.DICOMOrient(to_itk(channel, grid_of(turned)), original))
