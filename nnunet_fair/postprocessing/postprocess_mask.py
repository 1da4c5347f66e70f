"""Post-processing of one mask: breast box, then connected components, then what an empty mask becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnunet_fair.masks.boxes import Box, as_slices
from nnunet_fair.masks.components import Piece, filter_components, foreground_windows, voxels_for_volume
from nnunet_fair.masks.probabilities import Probabilities
from nnunet_fair.masks.writing import Patch, apply_patches
from nnunet_fair.postprocessing.empty_masks import lower_threshold
from nnunet_fair.postprocessing.settings import PostprocessingSettings


@dataclass(frozen=True)
class Change:
    """What was done to one label group of one mask.

    Attributes:
        group: its labels.
        steps: the steps that changed it, in order (``box``, ``unboxed``, ``components``, ``lower-threshold``).
        voxels_before: its voxels in the prediction.
        voxels_after: its voxels in the result.
        removed_by_box: voxels the box removed, also where they were brought back.
        removed_by_components: voxels removed with components that were too small or too many.
        threshold: the probability threshold of ``lower-threshold``, else None.
        note: why the group is empty, else ''.
    """

    group: tuple[int, ...]
    steps: tuple[str, ...] = ()
    voxels_before: int = 0
    voxels_after: int = 0
    removed_by_box: int = 0
    removed_by_components: int = 0
    threshold: float | None = None
    note: str = ""


def postprocess_mask(
    array: np.ndarray,
    groups: tuple[tuple[int, ...], ...],
    settings: PostprocessingSettings,
    *,
    voxel_mm3: float,
    box: Box | None = None,
    probabilities: Callable[[], Probabilities] | None = None,
) -> tuple[tuple[Patch, ...], tuple[Change, ...]]:
    """Post-process one segmentation.

    Args:
        array: labels, integer array of shape (slices, rows, columns); it is not changed.
        groups: groups of labels treated as one mask each; voxels of other labels stay as they are.
        settings: what to do.
        voxel_mm3: volume of one voxel in mm³.
        box: the breast box, already grown and clipped to the image; None leaves the mask whole.
        probabilities: reads the case's probabilities; called only where a group is empty and the settings ask for it.

    Returns:
        The parts of the segmentation that change (none where nothing does), and one change a group.
    """
    windows = foreground_windows(array)
    values = [array[window].copy() for window in windows]
    changes = []
    for group in groups:
        pieces = [Piece(window, _members(array[window], group)) for window in windows]
        kept, change = _filter_group(pieces, array.shape, group, settings, voxel_mm3, box)
        for new, piece, rest in zip(values, pieces, kept, strict=True):
            new[piece.mask & ~rest.mask] = 0
        changes.append(change)
    patches = [
        Patch(window, new)
        for window, new in zip(windows, values, strict=True)
        if not np.array_equal(new, array[window])
    ]
    # Only after every group is filtered, so that a filled group does not depend on the order of the groups.
    if settings.on_empty == "lower-threshold" and probabilities is not None:
        for index, change in enumerate(changes):
            if not change.voxels_after:
                current = apply_patches(array, patches)
                patch, changes[index] = _fill_group(current, change, settings, voxel_mm3, box, probabilities())
                patches += [patch] if patch else []
    return tuple(patches), tuple(changes)


def _members(values: np.ndarray, group: tuple[int, ...]) -> np.ndarray:
    return values == group[0] if len(group) == 1 else np.isin(values, group)


def _count(pieces: Sequence[Piece]) -> int:
    return sum(int(np.count_nonzero(piece.mask)) for piece in pieces)


def _filter_group(
    pieces: Sequence[Piece],
    shape: tuple[int, ...],
    group: tuple[int, ...],
    settings: PostprocessingSettings,
    voxel_mm3: float,
    box: Box | None,
) -> tuple[Sequence[Piece], Change]:
    """Box and components."""
    before = _count(pieces)
    if not before:
        return pieces, Change(group, note="predicted empty")
    steps, note = [], ""
    boxed = pieces if box is None else [_inside(piece, box) for piece in pieces]
    removed_by_box = before - _count(boxed)
    if removed_by_box:
        steps.append("box")
    if removed_by_box == before:
        note = "nothing inside the breast box"
        if settings.on_empty == "unboxed":
            boxed, note = pieces, ""
            steps.append("unboxed")
    minimum = voxels_for_volume(settings.min_volume_mm3, voxel_mm3)
    kept = filter_components(boxed, shape, connectivity=settings.connectivity, keep=settings.keep, min_voxels=minimum)
    after = _count(kept)
    removed_by_components = _count(boxed) - after
    if removed_by_components:
        steps.append("components")
        note = note if after else f"no component of {settings.min_volume_mm3:g} mm³ or more"
    return kept, Change(group, tuple(steps), before, after, removed_by_box, removed_by_components, note=note)


def _inside(piece: Piece, box: Box) -> Piece:
    """The voxels of a piece that lie in the box."""
    window = tuple(
        slice(max(0, start - axis.start), max(0, stop - axis.start))
        for (start, stop), axis in zip(box, piece.window, strict=True)
    )
    inside = np.zeros_like(piece.mask)
    inside[window] = piece.mask[window]
    return Piece(piece.window, inside)


def _fill_group(
    array: np.ndarray,
    change: Change,
    settings: PostprocessingSettings,
    voxel_mm3: float,
    box: Box | None,
    probabilities: Probabilities,
) -> tuple[Patch | None, Change]:
    """The most likely lesion of an empty group, inside the box and beside the other labels."""
    window = tuple(slice(0, size) for size in array.shape) if box is None else as_slices(box)
    values = array[window].copy()
    found = lower_threshold(
        probabilities.foreground(change.group)[window],
        min_voxels=voxels_for_volume(settings.min_volume_mm3, voxel_mm3),
        min_probability=settings.min_probability,
        connectivity=settings.connectivity,
        allowed=values == 0,
    )
    if found.threshold is None:
        enough = found.peak >= settings.min_probability
        why = f"no component of {settings.min_volume_mm3:g} mm³ above it" if enough else "which is less"
        note = f"highest foreground probability {found.peak:.3g}, lowest threshold {settings.min_probability:g}: {why}"
        return None, replace(change, note=f"{change.note}; {note}")
    component = np.zeros(array.shape, dtype=bool)
    component[window] = found.mask
    values[found.mask] = probabilities.labels_within(change.group, component, found.threshold)
    steps, count = (*change.steps, "lower-threshold"), int(np.count_nonzero(found.mask))
    return Patch(window, values), replace(change, steps=steps, voxels_after=count, threshold=found.threshold)
