"""Post-processing of a folder of predictions: every case by itself, then the table of what was done."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.files import replace_folder, staging_folder, write_csv, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.masks.breast_boxes import Boxes
from nnunet_fair.masks.endings import FILE_ENDINGS, case_id_of, list_masks
from nnunet_fair.masks.label_set import LabelSet, read_label_set
from nnunet_fair.masks.writing import spacing_file
from nnunet_fair.outputs import is_record, refuse_foreign, refuse_inputs
from nnunet_fair.postprocessing.postprocess_case import CaseOutcome, CaseTask, run_case
from nnunet_fair.postprocessing.postprocess_mask import Change
from nnunet_fair.postprocessing.settings import SETTINGS_FILE, PostprocessingSettings, settings_to_dict
from nnunet_fair.postprocessing.uncrop import Crop
from nnunet_fair.processes import worker_pool

TABLE_FILE = "postprocessing.csv"
TABLE_COLUMNS = (
    "case_id",
    "label",
    "result",
    "done",
    "voxels_before",
    "voxels_after",
    "removed_by_box",
    "removed_by_components",
    "threshold",
    "note",
)
# nnU-Net's own files beside predictions that later steps (its ensembling and evaluation, this command again) look for.
_PASSED_ON = ("dataset.json", "plans.json")
OWN_FILES = (TABLE_FILE, SETTINGS_FILE, *_PASSED_ON)


@dataclass(frozen=True)
class FolderSummary:
    """What was done to a folder of predictions.

    Attributes:
        outcomes: one entry a case, in the order of the case IDs.
        table: the rows of ``postprocessing.csv``: every case that was altered, is empty, has no box or was skipped.
    """

    outcomes: tuple[CaseOutcome, ...]
    table: pd.DataFrame

    @property
    def errors(self) -> dict[str, str]:
        """Why a case was skipped, by case ID."""
        return {outcome.case_id: outcome.error for outcome in self.outcomes if outcome.error}

    @property
    def empty(self) -> tuple[str, ...]:
        """The cases whose mask is empty in the result."""
        return tuple(
            o.case_id for o in self.outcomes if o.changes and not any(change.voxels_after for change in o.changes)
        )

    @property
    def lacking(self) -> dict[tuple[int, ...], tuple[str, ...]]:
        """The cases whose mask lacks a label group but is not empty, by group."""
        empty, lacking = set(self.empty), defaultdict(list)
        for outcome in self.outcomes:
            for change in outcome.changes:
                if not change.voxels_after and outcome.case_id not in empty:
                    lacking[change.group].append(outcome.case_id)
        return {group: tuple(case_ids) for group, case_ids in sorted(lacking.items())}

    @property
    def altered(self) -> tuple[str, ...]:
        """The cases whose mask is not as predicted."""
        return tuple(o.case_id for o in self.outcomes if any(_altered(change) for change in o.changes))

    def with_box(self, state: str) -> tuple[str, ...]:
        """The cases whose box was ``used``, ``clipped`` or ``none``."""
        return tuple(outcome.case_id for outcome in self.outcomes if outcome.box == state and not outcome.error)

    def counts(self) -> dict[str, int]:
        """The numbers kept in ``postprocessing.json``; no case is named there."""
        return {
            "n_cases": len(self.outcomes),
            "n_written": len(self.outcomes) - len(self.errors),
            "n_altered": len(self.altered),
            "n_empty": len(self.empty),
            "n_without_box": len(self.with_box("none")),
            "n_box_clipped": len(self.with_box("clipped")),
            "n_skipped": len(self.errors),
        }


def postprocess_folder(
    source: str | os.PathLike,
    target: str | os.PathLike,
    settings: PostprocessingSettings,
    *,
    boxes: Boxes | None = None,
    probabilities: str | os.PathLike | None = None,
    crops: Mapping[str, Crop] | None = None,
    n_processes: int = 1,
    overwrite: bool = False,
    record: Callable[[FolderSummary, Path], None] | None = None,
) -> FolderSummary:
    """Post-process every mask of a folder; a case that fails is named and skipped, the others go on.

    Args:
        source: the folder of predicted masks; ``dataset.json`` in it tells the labels.
        target: the folder for the masks, ``postprocessing.csv`` and ``postprocessing.json``; not the source.
        settings: what to do.
        boxes: the breast boxes; needed if the settings ask for them.
        probabilities: the folder of the ``.npz`` files; needed for ``lower-threshold``.
        crops: where each case's crop lies in its original image; needed if the settings ask to paste back.
        n_processes: worker processes; 1 works in this one.
        overwrite: replace masks that lie in ``target``.
        record: writes further records into the finished folder, before it gets its place.

    Raises:
        UserError: a folder is missing or the same, the target holds masks, or the settings need what is not given.
    """
    source, target = Path(source), Path(target)
    masks = list_masks(source)
    if not masks:
        raise UserError(f"{source} holds no masks (files ending in {', '.join(FILE_ENDINGS)})")
    _check_request(source, target, settings, boxes, probabilities, crops, overwrite)
    label_set = read_label_set(source)
    if label_set is None and probabilities is not None:
        label_set = read_label_set(probabilities)
    groups = settings.labels or (label_set.default_groups if label_set else None)
    target.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(target), staging_folder(target.resolve()) as scratch:
        staging = scratch / "finished"
        staging.mkdir()
        tasks = [
            _task(case_id, path, staging, settings, groups, boxes, probabilities, crops, label_set)
            for case_id, path in masks.items()
        ]
        progress = tqdm(_run(tasks, n_processes), total=len(tasks), desc="post-processing", unit="case")
        outcomes = tuple(progress)
        summary = FolderSummary(outcomes, _table(outcomes))
        write_csv(summary.table, staging / TABLE_FILE)
        write_json({"settings": settings_to_dict(settings), "counts": summary.counts()}, staging / SETTINGS_FILE)
        for name in _PASSED_ON:
            if (source / name).is_file():
                shutil.copyfile(source / name, staging / name)
        if record is not None:
            record(summary, staging)
        _keep_others(target, staging)
        replace_folder(staging, target)
    return summary


def _check_request(
    source: Path,
    target: Path,
    settings: PostprocessingSettings,
    boxes: Boxes | None,
    probabilities: str | os.PathLike | None,
    crops: Mapping[str, Crop] | None,
    overwrite: bool,
) -> None:
    if target.resolve() == source.resolve():
        raise UserError(f"input and output are the same folder {source}; give another `target`")
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; `target` takes a folder")
    if settings.box and boxes is None:
        raise UserError("the settings ask for the breast box; give the `boxes`")
    if settings.uncrop and crops is None:
        raise UserError("the settings ask to paste crops back; give the dataset's breast_crops.json as `crops`")
    if settings.on_empty == "lower-threshold" and probabilities is None:
        raise UserError("`on_empty` lower-threshold needs the probabilities; give their folder as `probabilities`")
    if probabilities is not None and not Path(probabilities).is_dir():
        raise UserError(f"no folder {probabilities}; `probabilities` takes the folder of nnU-Net's .npz files")
    refuse_inputs(target, [probabilities], remedy="give another `target`")
    check_mask_folder(target, overwrite=overwrite)


def check_mask_folder(target: Path, *, overwrite: bool) -> None:
    """Refuse a folder for masks in which something would be lost.

    Args:
        target: the folder; it need not exist.
        overwrite: replace what an earlier run of this package wrote.

    Raises:
        UserError: it holds masks or records that no run wrote, or masks that are not to be replaced.
    """
    there = sorted(target.iterdir()) if target.is_dir() else []
    masks = [entry.name for entry in there if case_id_of(entry)]
    if masks and not overwrite:
        raise UserError(f"{target} already holds {masks[0]} and {len(masks) - 1} more masks; `overwrite` replaces them")
    own = is_record(target / SETTINGS_FILE, ("settings", "counts"))
    for entry in there:
        refuse_foreign(
            entry,
            own or not (case_id_of(entry) or entry.name in OWN_FILES),
            remedy=f"without a {SETTINGS_FILE} nobody knows what {target} is: give another `target`, or move it away",
        )


def _task(
    case_id: str,
    path: Path,
    staging: Path,
    settings: PostprocessingSettings,
    groups: tuple[tuple[int, ...], ...] | None,
    boxes: Boxes | None,
    probabilities: str | os.PathLike | None,
    crops: Mapping[str, Crop] | None,
    label_set: LabelSet | None,
) -> CaseTask:
    box, problem = None, None
    if settings.box and boxes is not None:
        try:
            box = boxes.of(case_id)
        except UserError as error:
            problem = str(error)
    crop = crops.get(case_id) if settings.uncrop and crops is not None else None
    if settings.uncrop and crop is None:
        problem = "its crop is not recorded, so its original grid is unknown"
    return CaseTask(
        case_id=case_id,
        source=path,
        target=staging / path.name,
        settings=settings,
        groups=groups,
        box=box,
        probabilities=None if probabilities is None else Path(probabilities) / f"{case_id}.npz",
        label_set=label_set,
        crop=crop,
        problem=problem,
    )


def _run(tasks: Sequence[CaseTask], n_processes: int) -> Iterator[CaseOutcome]:
    if n_processes <= 1 or len(tasks) <= 1:
        yield from map(run_case, tasks)
        return
    try:
        with worker_pool(n_processes) as pool:
            yield from pool.map(run_case, tasks, chunksize=max(1, len(tasks) // (8 * n_processes)))
    except BrokenProcessPool as error:
        raise UserError("a worker process was ended, probably for want of memory; use fewer `n_processes`") from error


def _keep_others(target: Path, staging: Path) -> None:
    """Take what lies in the target and is none of this command's over into the finished folder.

    Masks and records of an earlier run are not: a mask of a case that is no longer predicted would pass for new.
    """
    there = list(target.iterdir()) if target.is_dir() else []
    own = {*OWN_FILES, *(spacing_file(entry).name for entry in there if entry.name.lower().endswith((".tif", ".tiff")))}
    for entry in there:
        if case_id_of(entry) or entry.name in own or (staging / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, staging / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, staging / entry.name, follow_symlinks=False)


def _altered(change: Change) -> bool:
    # A mask may be emptied and filled again with as many voxels, so the steps count and not the sizes.
    return bool(change.steps) and change.steps != ("box", "unboxed")


def _table(outcomes: Sequence[CaseOutcome]) -> pd.DataFrame:
    rows = [row for outcome in outcomes for row in _rows(outcome)]
    frame = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    whole = ["voxels_before", "voxels_after", "removed_by_box", "removed_by_components"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def _rows(outcome: CaseOutcome) -> Iterator[dict]:
    if outcome.error:
        yield {"case_id": outcome.case_id, "result": "skipped", "note": outcome.error}
        return
    for change in outcome.changes:
        notes = [change.note] if change.note else []
        if outcome.box == "none":
            notes.append("no breast box")
        elif outcome.box == "clipped":
            notes.append("breast box clipped to the image")
        if change.steps or not change.voxels_after or outcome.box == "none":
            yield {
                "case_id": outcome.case_id,
                "label": "+".join(map(str, change.group)),
                "result": _result(change),
                "done": "; ".join(change.steps),
                "voxels_before": change.voxels_before,
                "voxels_after": change.voxels_after,
                "removed_by_box": change.removed_by_box,
                "removed_by_components": change.removed_by_components,
                "threshold": change.threshold,
                "note": "; ".join(notes),
            }


def _result(change: Change) -> str:
    if not change.voxels_after:
        return "empty"
    if "lower-threshold" in change.steps:
        return "filled"
    return "altered" if _altered(change) else "unchanged"
