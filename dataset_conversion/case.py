"""Converting one case: check its files, make its channels, write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.checks import (
    check_file,
    check_label,
    needs_repair,
    read_grid,
    read_image,
)
from nnunet_fair.dataset_conversion.crop import crop_image, crop_record
from nnunet_fair.dataset_conversion.findings import CaseProblem, Finding
from nnunet_fair.dataset_conversion.layout import FILE_ENDING, CaseFiles
from nnunet_fair.dataset_conversion.recipes import (
    RecipeError,
    RecipeSettings,
    apply_recipe,
    channel_phases,
    required_phases,
)
from nnunet_fair.dataset_conversion.write import place_file, write_image
from nnunet_fair.masks.boxes import Box, BoxError, as_slices, box_text, clip_box, grow_box
from nnunet_fair.masks.breast_boxes import read_box
from nnunet_fair.masks.endings import image_name
from nnunet_fair.masks.grid import Grid, set_grid

Split = Literal["Tr", "Ts"]
Link = Literal["symlink", "hardlink", "copy"]
Check = Literal["voxels", "headers"]
IGNORE_LABEL = 2
"""nnU-Net's ignore label in a dataset with one foreground label; it has to be the largest."""


@dataclass(frozen=True, kw_only=True)
class CaseTask:
    """One case to convert.

    Attributes:
        files: the case's files.
        split: ``Tr`` for ``imagesTr``/``labelsTr``, ``Ts`` for ``imagesTs``/``labelsTs``.
        settings: the recipe and the crop.
        link: how files that need no change are placed.
        check: ``voxels`` reads every voxel and every compressed byte; ``headers`` only what the conversion needs.
        folder: the raw dataset folder.
        allow_empty_labels: whether a case whose label has no voxel of 1 is converted, as that of a healthy patient.
        ignore_label: value in the source labels of voxels that nobody annotated, which becomes ``IGNORE_LABEL``.
    """

    files: CaseFiles
    split: Split
    settings: RecipeSettings
    link: Link
    check: Check
    folder: Path
    allow_empty_labels: bool = False
    ignore_label: int | None = None


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """What became of one case.

    Attributes:
        case_id: the case.
        split: where it went, or would have gone; None where that is unknown.
        converted: whether its files were written.
        findings: why not, or what is worth knowing about it.
        box: the breast box, clipped to the image.
        crop: what ``crop.crop_record`` gave, where images were cropped.
        tumor_volume_mm3: volume of the label, in mm³; None without a label.
    """

    case_id: str
    split: Split | None
    converted: bool
    findings: tuple[Finding, ...] = ()
    box: Box | None = None
    crop: Mapping[str, Any] | None = None
    tumor_volume_mm3: float | None = None


@dataclass
class _Work:
    """What is known about a case while it is being converted."""

    task: CaseTask
    grid: Grid
    findings: list[Finding] = field(default_factory=list)
    repair: set[Path] = field(default_factory=set)
    box: Box | None = None
    crop: Box | None = None
    crop_record: Mapping[str, Any] | None = None


def convert_case(task: CaseTask) -> CaseResult:
    """Check and write one case.

    A case without a label goes through as a test case (``split="Ts"``): that is how images are prepared for prediction
    exactly as for training.

    Args:
        task: what to do.

    Returns:
        What became of it; a case that cannot be converted comes back as such and nothing of it is left in the dataset.

    Raises:
        OSError: an output cannot be written (no space, no permission), which would meet every further case too.
    """
    try:
        return _convert(task)
    except OSError:
        raise
    except CaseProblem as problem:
        finding = problem.finding
    except Exception as error:  # one odd case must not cost the hours that went into the others
        finding = Finding(findings.UNEXPECTED, f"{type(error).__name__}: {error}")
    for path in case_outputs(task):
        path.unlink(missing_ok=True)
    return skipped(task.files.case_id, finding, split=task.split)


def skipped(case_id: str, finding: Finding, *, split: Split | None = None) -> CaseResult:
    """The result of a case that is not converted."""
    return CaseResult(case_id=case_id, split=split, converted=False, findings=(finding,))


def case_outputs(task: CaseTask) -> list[Path]:
    """The files a case becomes: one image a channel and, where it has one, its label."""
    n_channels = len(task.settings.channel_names())
    images = task.folder / f"images{task.split}"
    outputs = [images / image_name(task.files.case_id, channel, FILE_ENDING) for channel in range(n_channels)]
    if task.files.label is not None:
        outputs.append(task.folder / f"labels{task.split}" / f"{task.files.case_id}{FILE_ENDING}")
    return outputs


def sources(task: CaseTask) -> list[Path]:
    """The files a case is made from.

    Raises:
        CaseProblem: the case has no images, ambiguous files, too few phases, or is a training case without a label.
    """
    files = task.files
    if files.conflicts:
        raise CaseProblem(findings.AMBIGUOUS_FILES, "; ".join(files.conflicts))
    if not files.phases:
        raise CaseProblem(findings.NO_IMAGES, f"no images/{files.case_id}/…_0000{FILE_ENDING}")
    try:
        phases = required_phases(task.settings, files.phases)
    except RecipeError as error:
        raise CaseProblem(findings.MISSING_PHASE, str(error)) from error
    if files.label is None and task.split == "Tr":
        raise CaseProblem(findings.NO_LABEL)
    optional = [path for path in (files.label, files.patient_info) if path is not None]
    return [files.phases[phase] for phase in phases] + optional


def _convert(task: CaseTask) -> CaseResult:
    files = task.files
    images = [path for path in sources(task) if path != files.patient_info]
    for path in images:
        check_file(path, every_byte=task.check == "voxels" or path == files.label)
    work = _Work(task, read_grid(images[0]))
    for path in images[1:]:
        if needs_repair(work.grid, read_grid(path)):
            work.repair.add(path)
    if work.repair:
        work.findings.append(Finding(findings.HEADER_REPAIRED, ", ".join(sorted(path.name for path in work.repair))))
    _find_box(work)
    volume = None
    label = None
    if files.label is None:
        work.findings.append(Finding(findings.TEST_CASE_WITHOUT_LABEL))
    else:
        label = read_image(files.label)
        volume = _check_label(work, label)
    _write_images(work)
    if label is not None:
        _write_label(work, label)
    return CaseResult(
        case_id=files.case_id,
        split=task.split,
        converted=True,
        findings=tuple(work.findings),
        box=work.box,
        crop=work.crop_record,
        tumor_volume_mm3=volume,
    )


def _find_box(work: _Work) -> None:
    """Read the breast box, clip it to the image and work out the crop."""
    path = work.task.files.patient_info
    margin = work.task.settings.crop_margin_mm
    shape = work.grid.size[::-1]
    try:
        if path is None:
            raise BoxError("no patient info file")
        box = read_box(path)
        work.box = clip_box(box, shape)
    except BoxError as error:
        if margin is not None:
            raise CaseProblem(findings.NO_BREAST_BOX_TO_CROP, str(error)) from error
        work.findings.append(Finding(findings.NO_BREAST_BOX, str(error)))
        return
    if work.box != box:
        work.findings.append(Finding(findings.BOX_CLIPPED, f"{box_text(box)} to {box_text(work.box)}"))
    if margin is not None:
        work.crop = grow_box(work.box, margin, work.grid.spacing[::-1], shape)


def _check_label(work: _Work, label: sitk.Image) -> float:
    """Check the label's values and place; its volume in mm³."""
    array = sitk.GetArrayViewFromImage(label)
    task = work.task
    n_voxels = check_label(array, allow_empty=task.allow_empty_labels, ignore_label=task.ignore_label)
    if not n_voxels:
        work.findings.append(Finding(findings.EMPTY_LABEL_KEPT))
    for box, kind in ((work.crop, findings.LABEL_OUTSIDE_CROP), (work.box, findings.LABEL_OUTSIDE_BOX)):
        if box is None:
            continue
        n_outside = n_voxels - int(np.count_nonzero(array[as_slices(box)] == 1))
        if n_outside and kind == findings.LABEL_OUTSIDE_CROP:
            raise CaseProblem(kind, f"{n_outside} of {n_voxels} voxels; a larger margin keeps the case")
        if n_outside:
            work.findings.append(Finding(kind, f"{n_outside} of {n_voxels} voxels"))
    return n_voxels * math.prod(work.grid.spacing)


def _write_images(work: _Work) -> None:
    """Make the channels and write them, or place the source files."""
    task, phases = work.task, work.task.files.phases
    outputs = case_outputs(task)
    if task.settings.computes_images:
        images = {phase: _read_phase(work, phases[phase]) for phase in required_phases(task.settings, phases)}
        if work.crop is not None:
            work.crop_record = crop_record(next(iter(images.values())), work.crop)
            images = {phase: crop_image(image, work.crop) for phase, image in images.items()}
        try:
            channels = apply_recipe(images, task.settings)
        except RecipeError as error:
            raise CaseProblem(findings.RECIPE_UNDEFINED, str(error)) from error
        for channel, output in zip(channels, outputs, strict=False):
            write_image(channel, output)
        return
    paths = [phases[phase] for phase in channel_phases(task.settings, phases)]
    for path, output in zip(paths, outputs, strict=False):
        if path in work.repair:
            write_image(_read_phase(work, path), output)
        else:
            place_file(path, output, task.link)


def _read_phase(work: _Work, path: Path) -> sitk.Image:
    """A phase on the case's grid."""
    image = read_image(path)
    return _on_grid(image, work.grid) if path in work.repair else image


def _write_label(work: _Work, label: sitk.Image) -> None:
    path = work.task.files.label
    output = case_outputs(work.task)[-1]
    array = sitk.GetArrayViewFromImage(label)
    ignored = array == work.task.ignore_label  # nowhere where there is none
    renumber = work.task.ignore_label not in (None, IGNORE_LABEL) and bool(ignored.any())
    if path is not None and work.crop is None and path not in work.repair and not renumber:
        place_file(path, output, work.task.link)
        return
    values = np.where(ignored, IGNORE_LABEL, array == 1).astype(np.uint8)
    label = _on_grid(sitk.GetImageFromArray(values), work.grid)
    write_image(label if work.crop is None else crop_image(label, work.crop), output)


def _on_grid(image: sitk.Image, grid: Grid) -> sitk.Image:
    set_grid(image, grid)
    return image
