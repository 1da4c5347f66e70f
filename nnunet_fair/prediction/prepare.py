"""Unseen patients in the MAMA-MIA layout to the images a model reads, by the recipe it was trained with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from nnunet_fair.dataset_conversion.case import CaseTask, case_outputs
from nnunet_fair.dataset_conversion.layout import discover_cases
from nnunet_fair.dataset_conversion.recipes import RecipeSettings
from nnunet_fair.dataset_conversion.run import convert_tasks
from nnunet_fair.errors import UserError
from nnunet_fair.masks.breast_boxes import Boxes
from nnunet_fair.postprocessing.uncrop import Crop, crops_from_records


@dataclass(frozen=True)
class PreparedCohort:
    """Images ready for nnU-Net.

    Attributes:
        images: image files (one a channel, in order) by case ID.
        boxes: the breast boxes of the cases that have one, in the original images' indices.
        crops: where each crop lies in its original image; empty where the recipe crops nothing.
        skipped: why a case cannot be predicted, by case ID.
        cropped: whether the images are breast crops, so that masks have to be pasted back.
    """

    images: Mapping[str, Sequence[Path]]
    boxes: Boxes
    crops: Mapping[str, Crop]
    skipped: Mapping[str, str]
    cropped: bool = False


def prepare_cohort(
    root: str | os.PathLike, folder: Path, recipe: RecipeSettings, *, n_processes: int = 1
) -> PreparedCohort:
    """Apply a recipe to every case of a cohort; neither labels nor a table are needed or read.

    Args:
        root: the cohort, in the MAMA-MIA layout (``images/<ID>/<ID>_0000.nii.gz …``).
        folder: an existing folder for the images.
        recipe: what was done to the training cases.
        n_processes: worker processes; 1 works in this one.

    Raises:
        UserError: there is no case in the cohort, or none that can be predicted (the first one's reason is given).
    """
    cases = discover_cases(root)
    # Only images and the breast box are taken, as for patients nobody has segmented.
    tasks = [
        CaseTask(
            files=replace(files, label=None),
            split="Ts",
            settings=recipe,
            link="symlink",
            check="voxels",
            folder=folder,
        )
        for files in cases.values()
    ]
    (folder / "imagesTs").mkdir()
    bar = tqdm(convert_tasks(tasks, n_processes), total=len(tasks), desc="preparing images", unit="case")
    try:
        results = {result.case_id: result for result in bar}
    except BrokenProcessPool as error:
        raise UserError("a worker process was ended, probably for want of memory; use fewer `n_processes`") from error
    pairs = {task.files.case_id: (task, results[task.files.case_id]) for task in tasks}
    done = {case_id: pair for case_id, pair in pairs.items() if pair[1].converted}
    skipped = {
        case_id: "; ".join(map(str, result.findings)) for case_id, (_, result) in pairs.items() if not result.converted
    }
    if not done:
        case_id, reason = next(iter(skipped.items()))
        raise UserError(f"none of the {len(skipped)} cases in {root} can be predicted; {case_id}: {reason}")
    return PreparedCohort(
        images={case_id: case_outputs(task) for case_id, (task, _) in done.items()},
        boxes=Boxes({case_id: result.box for case_id, (_, result) in done.items() if result.box is not None}),
        crops=crops_from_records({case_id: result.crop for case_id, (_, result) in done.items() if result.crop}),
        skipped=skipped,
        cropped=recipe.crop_margin_mm is not None,
    )
