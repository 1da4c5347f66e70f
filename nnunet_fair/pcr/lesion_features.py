"""Lesion features of a cohort: one row a case, from its mask and its phases, in mm and relative units."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_fair import __version__
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.masks.boxes import bounding_box
from nnunet_fair.masks.grid import SAME_GRID, Grid, displacement, size_text
from nnunet_fair.masks.paired_masks import foreground
from nnunet_fair.masks.reading import CaseProblemError, read_mask, read_picture
from nnunet_fair.pcr.cohort_images import LesionFiles
from nnunet_fair.pcr.kinetics import KINETIC_FEATURES, chosen_phases, kinetic_features
from nnunet_fair.pcr.output_files import check_table, table_lock
from nnunet_fair.pcr.shape import SHAPE_FEATURES, shape_features
from nnunet_fair.processes import worker_pool

FEATURES = (*SHAPE_FEATURES, *KINETIC_FEATURES)
MASKS, EMPTY = "masks", "empty_mask"
"""Columns beside the features: whose masks they are of, and whether the mask holds no lesion (1)."""
EXPERTS, OUT_OF_FOLD, GIVEN = "experts", "out-of-fold", "given"
"""Whose masks: drawn by experts, predicted by the fold that did not train on the case, or of a folder."""


@dataclass(frozen=True)
class FeatureTable:
    """What became of a cohort.

    Attributes:
        rows: one row a case: ``case_id``, ``masks``, ``empty_mask`` and :data:`FEATURES`.
        problems: why a case has no row, by case ID.
    """

    rows: pd.DataFrame
    problems: dict[str, str]


def write_features(
    cases: Sequence[LesionFiles],
    output: str | os.PathLike,
    *,
    masks: str,
    labels: tuple[int, ...] | None = None,
    n_processes: int = 1,
    overwrite: bool = False,
) -> FeatureTable:
    """Measure every case and write the table, and what it was made with beside it (``.json``).

    Args:
        cases: the files.
        output: the table, ``.csv``.
        masks: :data:`EXPERTS`, :data:`OUT_OF_FOLD` or :data:`GIVEN`.
        labels: labels that together are the lesion; None for masks of 0 and 1.
        n_processes: worker processes; 1 works in this one.
        overwrite: replace a table that is there.

    Returns:
        The table, and the cases that could not be measured.

    Raises:
        UserError: the table cannot be written (``output_files``), no case could be measured, or there is no lesion in
            any mask.
    """
    output = Path(output)
    check_table(output, overwrite=overwrite, beginning=f"case_id,{MASKS},{EMPTY}", keys=("masks", "n_empty_masks"))
    with table_lock(output):
        found = measure_cases(cases, masks=masks, labels=labels, n_processes=n_processes)
        write_csv(found.rows, output)
        record = {
            "nnunet_fair": __version__,
            "masks": masks,
            "labels": None if labels is None else list(labels),
            "n_cases": len(found.rows),
            "n_empty_masks": int(found.rows[EMPTY].sum()),
            "n_not_measured": len(found.problems),
        }
        write_json(record, output.with_suffix(".json"))
    return found


def measure_cases(
    cases: Sequence[LesionFiles], *, masks: str, labels: tuple[int, ...] | None = None, n_processes: int = 1
) -> FeatureTable:
    """Measure every case; a case that cannot be is named and the others go on.

    Args:
        cases: see :func:`write_features`.
        masks: see :func:`write_features`.
        labels: see :func:`write_features`.
        n_processes: see :func:`write_features`.

    Raises:
        UserError: no case could be measured, or there is no lesion in any mask.
    """
    rows: list[dict[str, object]] = []
    problems: dict[str, str] = {}
    bar = tqdm(_measured(cases, labels, n_processes), total=len(cases), desc="features", unit="case")
    for files, (features, problem) in zip(cases, bar, strict=True):
        if problem:
            problems[files.case_id] = problem
        else:
            rows.append({"case_id": files.case_id, MASKS: masks, EMPTY: int(not features), **features})
    if not rows:
        case_id, problem = next(iter(problems.items()))
        raise UserError(f"none of the {len(problems)} cases can be measured; {case_id}: {problem}")
    frame = pd.DataFrame(rows, columns=["case_id", MASKS, EMPTY, *FEATURES])
    if frame[EMPTY].all():
        raise UserError(
            f"none of the {len(frame)} masks holds a lesion, so there is nothing to measure; give other masks, or the "
            "lesion's `labels`"
        )
    return FeatureTable(frame, problems)


def _measured(
    cases: Sequence[LesionFiles], labels: tuple[int, ...] | None, n_processes: int
) -> Iterator[tuple[dict[str, float], str]]:
    measure = functools.partial(_try_case, labels=labels)
    if n_processes <= 1 or len(cases) <= 1:
        yield from map(measure, cases)
        return
    try:
        with worker_pool(min(n_processes, len(cases))) as pool:
            yield from pool.map(measure, cases, chunksize=max(1, min(8, len(cases) // (4 * n_processes))))
    except BrokenProcessPool as error:
        raise UserError("a worker process was ended, probably for want of memory; use fewer `n_processes`") from error


def _try_case(files: LesionFiles, labels: tuple[int, ...] | None) -> tuple[dict[str, float], str]:
    """The features of a case, none for an empty mask, and why it has none; "" where nothing is wrong."""
    try:
        return case_features(files, labels), ""
    except CaseProblemError as problem:
        return {}, str(problem)


def case_features(files: LesionFiles, labels: tuple[int, ...] | None = None) -> dict[str, float]:
    """The features of one case from its files.

    Args:
        files: the files.
        labels: labels that together are the lesion; None for a mask of 0 and 1.

    Returns:
        :data:`FEATURES`; nothing for an empty mask.

    Raises:
        CaseProblemError: a file cannot be read or lies on another grid, the case has no pre- or no post-contrast phase,
            or its signal is not that of a phase as the scanner gave it.
    """
    mask = read_mask(files.mask)
    if len(mask.grid.size) != 3:
        raise CaseProblemError(f"{files.mask} is 2D; lesion features are those of 3D images")
    lesion = foreground(mask, labels, files.mask)
    box = bounding_box(lesion)
    if box is None:
        return {}
    lesion = lesion[box]
    post = [number for number in files.phases if number > 0]
    if 0 not in files.phases or not post:
        there = ", ".join(map(str, files.phases))
        raise CaseProblemError(
            f"case {files.case_id!r} has the phases {there}; enhancement needs the pre-contrast phase 0 and one after"
        )
    names = chosen_phases(sorted(post))
    signals = {number: _read_phase(files.phases[number], mask.grid, box) for number in {0, *names.values()}}
    try:
        kinetics = kinetic_features(
            signals[0], {name: signals[number] for name, number in names.items()}, lesion, mask.spacing
        )
    except ValueError as error:
        raise CaseProblemError(
            f"case {files.case_id!r}: {error}; enhancement needs the phases as the scanner gave them, not normalised "
            "or subtracted images"
        ) from error
    return shape_features(lesion, mask.spacing) | kinetics


def _read_phase(path: Path, grid: Grid, box: tuple[slice, ...]) -> np.ndarray:
    """A phase's signal in a box, float64.

    Raises:
        CaseProblemError: it lies on another grid than the mask, or holds a voxel that is no number.
    """
    array, found = read_picture(path)
    if found.size != grid.size:
        raise CaseProblemError(f"{path} has size {size_text(found.size)} where its mask has {size_text(grid.size)}")
    distance = displacement(grid, found)
    if distance > SAME_GRID:
        raise CaseProblemError(
            f"{path} lies up to {distance:.3g} voxels away from its mask (spacing, origin, direction)"
        )
    signal = array[box].astype(float)
    if not np.isfinite(signal).all():
        raise CaseProblemError(f"{path} holds voxels that are no numbers (NaN or infinite) at the lesion")
    return signal
