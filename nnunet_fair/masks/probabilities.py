"""nnU-Net's saved probabilities (``CASE.npz``): the foreground probability of a label or region, on the mask's grid.

nnU-Net saves them after undoing its resampling, cropping and transposing (``export_prediction_from_logits``), so their
axes are those of the array the image reader returned: the mask's own, except with the readers that turn every image to
RAS first, whose turn is undone here.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import SimpleITK as sitk

from nnunet_fair.errors import UserError
from nnunet_fair.masks.grid import Grid, grid_of, set_grid
from nnunet_fair.masks.label_set import LabelSet
from nnunet_fair.masks.readers import turns_to_ras
from nnunet_fair.masks.reading import Mask, to_itk

ARRAY = "probabilities"
MAX_CHANNELS = 1000
ROUNDING = 1e-3  # probabilities may exceed 0 and 1 by this: they are resampled, and stored in few digits


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
        UserError: no such file, not readable, on another grid than the mask, or no probabilities.
    """
    path = Path(path)
    channels = _read_channels(path, mask, label_set)
    if label_set is None:
        label_set = LabelSet(tuple(range(1, len(channels))))
    if turns_to_ras(path.parent):
        channels = np.stack([_turn_back(channel, mask.grid, path) for channel in channels])
    if channels.shape[1:] != mask.array.shape:
        raise UserError(
            f"the probabilities in {path} have the array shape {list(channels.shape[1:])}, the mask "
            f"{list(mask.array.shape)}; they belong to another prediction"
        )
    return Probabilities(channels, label_set)


def _read_channels(path: Path, mask: Mask, label_set: LabelSet | None) -> np.ndarray:
    """The stored array; what its header says is checked before anything is unpacked, and nothing in it is executed."""
    try:
        # np.load leaves a file it cannot read open when it opened it itself.
        with path.open("rb") as file:
            with zipfile.ZipFile(file) as archive, archive.open(f"{ARRAY}.npy") as entry:
                shape, dtype = _array_header(entry)
            expected = len(shape) and shape[0]
            if label_set is not None:
                expected = len(label_set.regions) if label_set.regions else len(label_set.labels) + 1
            if len(shape) != 4 or shape[0] != expected:
                raise UserError(
                    f"the probabilities in {path} have shape {list(shape)}; expected {expected} channels (from "
                    "dataset.json) of three axes"
                )
            if math.prod(shape[1:]) != mask.array.size or shape[0] > MAX_CHANNELS:
                raise UserError(
                    f"the probabilities in {path} have {shape[0]} channels of the array shape {list(shape[1:])}, the "
                    f"mask {list(mask.array.shape)}; they belong to another prediction"
                )
            if dtype.kind != "f":
                raise UserError(f"the probabilities in {path} are of type {dtype}; expected floating-point numbers")
            file.seek(0)
            with np.load(file, allow_pickle=False) as content:
                channels = content[ARRAY]
    except FileNotFoundError as error:
        raise UserError(f"no probabilities at {path}; predict with --save_probabilities") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"the probabilities in {path} cannot be read ({error})") from error
    if channels.size and not (channels.min() >= -ROUNDING and channels.max() <= 1 + ROUNDING):  # NaN is neither
        raise UserError(f"the probabilities in {path} are not between 0 and 1")
    return channels


def _array_header(entry: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of a stored array."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(entry)
    if version not in readers:
        raise ValueError(f"version {version} of NumPy's format is not known")
    shape, _, dtype = readers[version](entry)
    return shape, dtype


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
