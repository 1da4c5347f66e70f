"""Post-processing of one mask: breast box, then connected components, then what an empty mask becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nnunet_fair.inference.boxes import Box, as_slices
from nnunet_fair.inference.components import filter_components, foreground_bounds, voxels_for_volume
from nnunet_fair.inference.empty_masks import lower_threshold
from nnunet_fair.inference.probabilities import Probabilities
from nnunet_fair.inference.settings import PostprocessingSettings


@dataclass(frozen=True)
class Change:
    """What was done to one label group of one mask.

    Attributes:
        group: its labels.
        steps: the steps that changed it, in order (``box``, ``components``, ``unboxed``, ``lower-threshold``).
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
) -> tuple[np.ndarray, tuple[Change, ...]]:
    """Post-process one segmentation.

    Args:
        array: labels, integer array of shape (slices, rows, columns); it is not changed.
        groups: groups of labels treated as one mask each; voxels of other labels stay as they are.
        settings: what to do.
        voxel_mm3: volume of one voxel in mm³.
        box: the breast box, already grown and clipped to the image; None leaves the mask whole.
        probabilities: reads the case's probabilities; called only where a group is empty and the settings ask for it.

    Returns:
        The new segmentation (the same array where nothing changed) and one change a group.
    """
    bounds = foreground_bounds(array)
    result = array
    changes = []
    for group in groups:
        values = array[bounds] if bounds else array[:0, :0, :0]
        member = values == group[0] if len(group) == 1 else np.isin(values, group)
        kept, change = _filter_group(member, bounds, group, settings, voxel_mm3, box)
        if change.voxels_after < change.voxels_before:
            result = array.copy() if result is array else result
            result[bounds][member & ~kept] = 0
        changes.append(change)
    # Only after every group is filtered, so that a filled group does not depend on the order of the groups.
    if settings.on_empty == "lower-threshold" and probabilities is not None:
        for index, change in enumerate(changes):
            if not change.voxels_after:
                result = array.copy() if result is array else result
                changes[index] = _fill_group(result, change, settings, voxel_mm3, box, probabilities())
    return result, tuple(changes)


def _filter_group(
    member: np.ndarray,
    bounds: tuple[slice, slice, slice] | None,
    group: tuple[int, ...],
    settings: PostprocessingSettings,
    voxel_mm3: float,
    box: Box | None,
) -> tuple[np.ndarray, Change]:
    """Box and components on the part of the mask inside ``bounds``."""
    before = int(np.count_nonzero(member))
    if not before:
        return member, Change(group, note="predicted empty")
    steps, note = [], ""
    boxed = member if box is None else _inside(member, bounds, box)
    removed_by_box = before - int(np.count_nonzero(boxed))
    if removed_by_box:
        steps.append("box")
    if removed_by_box == before:
        note = "nothing inside the breast box"
        if settings.on_empty == "unboxed":
            boxed, note = member, ""
            steps.append("unboxed")
    minimum = voxels_for_volume(settings.min_volume_mm3, voxel_mm3)
    kept = filter_components(boxed, connectivity=settings.connectivity, keep=settings.keep, min_voxels=minimum)
    after = int(np.count_nonzero(kept))
    removed_by_components = int(np.count_nonzero(boxed)) - after
    if removed_by_components:
        steps.append("components")
        note = note if after else f"no component of {settings.min_volume_mm3:g} mm³ or more"
    return kept, Change(group, tuple(steps), before, after, removed_by_box, removed_by_components, note=note)


def _inside(member: np.ndarray, bounds: tuple[slice, slice, slice], box: Box) -> np.ndarray:
    """The voxels of ``member``, which starts at ``bounds``, that lie in the box."""
    window = tuple(
        slice(max(0, start - bound.start), max(0, stop - bound.start))
        for (start, stop), bound in zip(box, bounds, strict=True)
    )
    inside = np.zeros_like(member)
    inside[window] = member[window]
    return inside


def _fill_group(
    result: np.ndarray,
    change: Change,
    settings: PostprocessingSettings,
    voxel_mm3: float,
    box: Box | None,
    probabilities: Probabilities,
) -> Change:
    """Draw the most likely lesion of an empty group into ``result``, inside the box and beside the other labels."""
    window = (slice(None),) * 3 if box is None else as_slices(box)
    inside = result[window]
    found = lower_threshold(
        probabilities.foreground(change.group)[window],
        min_voxels=voxels_for_volume(settings.min_volume_mm3, voxel_mm3),
        min_probability=settings.min_probability,
        connectivity=settings.connectivity,
        allowed=inside == 0,
    )
    if found.threshold is None:
        enough = found.peak >= settings.min_probability
        why = f"no component of {settings.min_volume_mm3:g} mm³ above it" if enough else "which is less"
        note = f"highest foreground probability {found.peak:.3g}, lowest threshold {settings.min_probability:g}: {why}"
        return replace(change, note=f"{change.note}; {note}")
    component = np.zeros(result.shape, dtype=bool)
    component[window] = found.mask
    inside[found.mask] = probabilities.labels_within(change.group, component, found.threshold)
    return replace(
        change,
        steps=(*change.steps, "lower-threshold"),
        voxels_after=int(np.count_nonzero(found.mask)),
        threshold=found.threshold,
    )
