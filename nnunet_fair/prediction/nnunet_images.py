"""Unseen patients in nnU-Net's own format (``CASE_0000.ending``, one file a channel), checked before hours of work.

The images are taken as they are, as ``nnUNetv2_predict`` takes them: they hold what the model reads, and no recipe is
applied. A case nnU-Net would stumble over, and with it the whole run, is skipped and named instead.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nnunet_fair.dataset_conversion.crop import CROPS_FILE
from nnunet_fair.dataset_conversion.recipes import RECIPE_KEY
from nnunet_fair.errors import UserError
from nnunet_fair.masks.breast_boxes import BOXES_FILE, Boxes, read_boxes
from nnunet_fair.masks.endings import list_images
from nnunet_fair.masks.grid import SAME_GRID, displacement, size_text
from nnunet_fair.masks.reading import read_channels
from nnunet_fair.postprocessing.uncrop import Crop, read_crops
from nnunet_fair.prediction.model import TrainedModel
from nnunet_fair.prediction.prepare import PreparedCohort

_SPACING_RTOL = 1e-6  # nnU-Net's readers refuse channels whose spacing differs by more than 1e-5


def prepare_images(root: Path, model: TrainedModel, *, n_processes: int = 1) -> PreparedCohort:
    """Find and check the images of a folder in nnU-Net's format.

    Args:
        root: the folder; ``breast_boxes.json`` and, for a model of breast crops, ``breast_crops.json`` are looked for
            in it and in the dataset's folder above it.
        model: the model, which knows the file ending and the number of channels.
        n_processes: worker processes that read the images; 1 works in this one.

    Raises:
        UserError: no image of the model's file ending, no case that can be predicted (the first one's reason is given),
            or a model of breast crops without ``breast_crops.json``.
    """
    ending = model.dataset["file_ending"]
    cases = {
        case_id: tuple(paths.values())
        for case_id, paths in list_images(root).items()
        if all(path.name.endswith(ending) for path in paths.values())
    }
    if not cases:
        raise UserError(
            f"{root} has no folder 'images', so it is no cohort in the MAMA-MIA layout, and holds no image of the "
            f"model's format (CASE_0000{ending})"
        )
    crops = _crops(root, model)
    boxes = next((read_boxes(path) for path in _beside(root, BOXES_FILE)), Boxes({}))
    check = functools.partial(image_problem, n_channels=len(model.dataset["channel_names"]))
    bar = tqdm(_mapped(check, list(cases.values()), n_processes), total=len(cases), desc="checking images", unit="case")
    try:
        problems = dict(zip(cases, bar, strict=True))
    except BrokenProcessPool as error:
        raise UserError("a worker process was ended, probably for want of memory; use fewer `n_processes`") from error
    skipped = {case_id: problem for case_id, problem in problems.items() if problem}
    if len(skipped) == len(cases):
        case_id, reason = next(iter(skipped.items()))
        raise UserError(f"none of the {len(skipped)} cases in {root} can be predicted; {case_id}: {reason}")
    images = {case_id: paths for case_id, paths in cases.items() if case_id not in skipped}
    return PreparedCohort(images, boxes, crops or {}, skipped, cropped=crops is not None)


def image_problem(paths: Sequence[Path], n_channels: int) -> str | None:
    """Why nnU-Net could not read a case's images; None where it can.

    Args:
        paths: the files, by channel number.
        n_channels: the channels the model reads; a colour picture holds three in one file.
    """
    numbers = [int(path.name.rsplit("_", 1)[1][:4]) for path in paths]
    if numbers != list(range(len(numbers))):
        return f"has files of channels {' '.join(map(str, numbers))}, expected 0 to {n_channels - 1}"
    try:
        channels = [read_channels(path) for path in paths]
    except UserError as error:
        return str(error)
    found = sum(channel.n_channels for channel in channels)
    if found != n_channels:
        return f"has {found} channels, the model reads {n_channels}"
    first = channels[0].grid
    for path, channel in zip(paths, channels, strict=True):
        if channel.n_not_finite:
            return f"{path.name} holds {channel.n_not_finite} voxels that are NaN or infinite"
        if channel.grid.size != first.size:
            return f"{path.name} has size {size_text(channel.grid.size)}, {paths[0].name} {size_text(first.size)}"
        same_spacing = np.allclose(channel.grid.spacing, first.spacing, rtol=_SPACING_RTOL, atol=0)
        if displacement(first, channel.grid) > SAME_GRID or not same_spacing:
            return f"{path.name} lies on another grid than {paths[0].name} (spacing, origin or direction)"
    return None


def _mapped(check: functools.partial, cases: list[tuple[Path, ...]], n_processes: int) -> Iterator[str | None]:
    if n_processes <= 1 or len(cases) <= 1:
        yield from map(check, cases)
        return
    with ProcessPoolExecutor(min(n_processes, len(cases))) as pool:
        yield from pool.map(check, cases)


def _beside(root: Path, name: str) -> Iterator[Path]:
    return (place / name for place in (root, root.resolve().parent) if (place / name).is_file())


def _crops(root: Path, model: TrainedModel) -> Mapping[str, Crop] | None:
    """Where each image lies in its original, for a model of breast crops; None for any other model."""
    if RECIPE_KEY not in model.dataset or model.recipe().crop_margin_mm is None:
        return None
    found = next(_beside(root, CROPS_FILE), None)
    if found is None:
        raise UserError(
            f"the model reads breast crops, and no {CROPS_FILE} in {root} or above it says where these images lie in "
            "the original ones; give the images of a converted dataset, or the cohort in the MAMA-MIA layout"
        )
    return read_crops(found)
