"""Post-processing of one case's files: read, post-process, write, and say what was done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.masks.boxes import Box, fit_box
from nnunet_fair.masks.label_set import LabelSet
from nnunet_fair.masks.probabilities import Probabilities, read_probabilities
from nnunet_fair.masks.reading import Mask, read_mask
from nnunet_fair.masks.writing import apply_patches, copy_mask, write_mask
from nnunet_fair.postprocessing.postprocess_mask import Change, postprocess_mask
from nnunet_fair.postprocessing.settings import PostprocessingSettings
from nnunet_fair.postprocessing.uncrop import Crop, check_crop, paste_back


@dataclass(frozen=True)
class CaseTask:
    """One case to post-process.

    Attributes:
        case_id: its ID.
        source: the predicted mask.
        target: the file to write, in a folder nobody reads yet.
        settings: what to do.
        groups: groups of labels treated as one mask each; None takes the labels found in the mask, else label 1.
        box: the breast box as given (not grown, not clipped), None where the case has none.
        probabilities: the case's ``.npz``, None where none is used.
        label_set: the dataset's labels, None where unknown.
        crop: where the mask lies in the original image, for a mask predicted on a crop; None for a whole image.
        problem: why the case cannot be done, found before its mask was read.
    """

    case_id: str
    source: Path
    target: Path
    settings: PostprocessingSettings
    groups: tuple[tuple[int, ...], ...] | None = None
    box: Box | None = None
    probabilities: Path | None = None
    label_set: LabelSet | None = None
    crop: Crop | None = None
    problem: str | None = None


@dataclass(frozen=True)
class CaseOutcome:
    """What became of one case.

    Attributes:
        case_id: its ID.
        changes: one entry a label group; empty where the case was skipped.
        box: ``used``, ``clipped`` (it exceeded the image), ``none`` (the case has no box) or ``not asked``.
        error: why the case was skipped, else None.
    """

    case_id: str
    changes: tuple[Change, ...] = ()
    box: str = "not asked"
    error: str | None = None


def run_case(task: CaseTask) -> CaseOutcome:
    """Post-process one case; a mistake in its files becomes the outcome's ``error`` and nothing is written."""
    try:
        return _run_case(task)
    except UserError as error:
        return CaseOutcome(task.case_id, error=str(error))
    except MemoryError:
        return CaseOutcome(
            task.case_id, error=f"{task.source} does not fit into memory; fewer processes at a time need less"
        )
    except (OSError, RuntimeError) as error:
        task.target.unlink(missing_ok=True)
        return CaseOutcome(task.case_id, error=f"{task.target.name} cannot be written ({error})")


def _run_case(task: CaseTask) -> CaseOutcome:
    if task.problem:
        raise UserError(task.problem)
    mask = read_mask(task.source)
    if task.crop:
        check_crop(mask, task.crop)
    box, box_state = _fitted_box(task, mask)

    saved = task.probabilities

    @cache
    def probabilities(file: Path) -> Probabilities:
        return read_probabilities(file, mask, task.label_set)

    patches, changes = postprocess_mask(
        mask.array,
        task.groups or _labels_present(mask),
        task.settings,
        voxel_mm3=mask.voxel_mm3,
        box=box,
        probabilities=partial(probabilities, saved) if saved else None,
    )
    if task.crop:
        write_mask(paste_back(apply_patches(mask.array, patches), task.crop), task.target)
    elif patches or not mask.as_stored:
        write_mask(mask, task.target, patches)
    else:
        copy_mask(mask, task.source, task.target)
    return CaseOutcome(task.case_id, changes, box_state)


def _fitted_box(task: CaseTask, mask: Mask) -> tuple[Box | None, str]:
    """The box grown and clipped to the image, in the mask's own indices, and what to report about it."""
    if not task.settings.box:
        return None, "not asked"
    if task.box is None:
        if task.settings.require_boxes:
            raise UserError("it has no breast box, which the settings require")
        return None, "none"
    # Boxes speak of the original image, also where the mask is that of a crop.
    shape = task.crop.original.shape if task.crop else mask.array.shape
    box, exceeded = fit_box(task.box, task.settings.margin_mm, mask.spacing, shape)
    box = task.crop.box_inside(box) if task.crop else box
    return box, "clipped" if exceeded else "used"


def _labels_present(mask: Mask) -> tuple[tuple[int, ...], ...]:
    return tuple((label,) for label in mask.foreground_labels()) or ((1,),)
