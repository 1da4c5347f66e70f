"""From masks to the table of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.metrics.options import SURFACE_TOLERANCE_MM, ScoringOptions
from nnunet_fair.evaluation.metrics.score_arrays import score_arrays
from nnunet_fair.evaluation.metrics.score_cases import CASE_COLUMNS, CLASS, SCORED, score_cases, score_cases_and_lesions
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.label_classes import declared_classes, find_dataset_json, read_label_classes
from nnunet_fair.masks.pairing import Pairing, pair_cases

SCORING = "nnunet_fair.scoring"
"""The key of ``DataFrame.attrs`` under which a table of cases keeps how it was scored."""


def score_folder(
    references: str | PathLike[str],
    predictions: str | PathLike[str],
    *,
    labels: Sequence[int] | None = None,
    dataset_json: str | PathLike[str] | Mapping[str, Any] | None = None,
    empty: str = ScoringOptions.empty.value,
    missing: str = "empty",
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
    resample: bool = False,
    n_processes: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Score a folder of predicted masks against the references of the same names.

    Args:
        references: folder of the reference labels, in any format nnU-Net reads.
        predictions: folder of the predictions.
        labels: labels that together are one foreground, in place of the classes.
        dataset_json: nnU-Net's ``dataset.json``, or its content, which names the classes or regions to score one by one
            and the ignore label; None looks beside the predictions and the folder of the references, and expects images
            of 0 and 1 where there is none.
        empty: what two empty masks score: ``challenge`` (DSC 0), ``perfect`` (1) or ``exclude`` (nothing).
        missing: a reference without a prediction counts as an ``empty`` mask, or ``skip`` leaves it out.
        tolerance_mm: tolerance of the surface DSC, in mm.
        resample: put predictions of another grid onto the reference's instead of refusing them.
        n_processes: number of processes.
        progress: whether to show a progress bar.

    Returns:
        Table with one row a case, indexed by case ID: ``dsc``, ``hd95_voxel``, ``norm_hd``, ``hd95_mm``,
        ``surface_dsc``, ``precision``, ``recall``, volumes in mm³, lesions found, missed and invented, ``status`` and
        ``problem``. A case that cannot be scored has no metrics and the reason in ``problem``. With several classes one
        row a case and class, with the class's name in the column ``class``; voxels with the ignore label count nowhere.

    Raises:
        UserError: a folder is absent or holds no masks, or no prediction has the name of a reference.
    """
    pairing, options = _folder_options(
        references, predictions, labels, dataset_json, missing, resample, empty=empty, tolerance_mm=tolerance_mm
    )
    return _told(score_cases(pairing.pairs, options, n_processes=n_processes, progress=progress), options)


def score_lesions(
    references: str | PathLike[str],
    predictions: str | PathLike[str],
    *,
    labels: Sequence[int] | None = None,
    dataset_json: str | PathLike[str] | Mapping[str, Any] | None = None,
    missing: str = "empty",
    resample: bool = False,
    n_processes: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """The lesions of a folder of references and of the predictions of the same names.

    Args:
        references: see :func:`score_folder`.
        predictions: see there.
        labels: see there.
        dataset_json: see there.
        missing: see there.
        resample: see there.
        n_processes: number of processes.
        progress: whether to show a progress bar.

    Returns:
        Table with one row a lesion: ``case_id`` (and ``class``, where there are several), ``kind`` (``reference`` or
        ``prediction``), ``lesion`` (from 1, the largest first), ``volume_mm3``, ``diameter_mm``, ``touches``,
        ``best_iou``, ``matched_iou`` and ``dsc``. A case that cannot be scored has no rows.

    Raises:
        UserError: see there.
    """
    pairing, options = _folder_options(references, predictions, labels, dataset_json, missing, resample)
    return score_cases_and_lesions(pairing.pairs, options, n_processes=n_processes, progress=progress).lesions


def score_pairs(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    spacing: Sequence[float] | Mapping[str, Sequence[float]],
    labels: Sequence[int] | None = None,
    dataset_json: str | PathLike[str] | Mapping[str, Any] | None = None,
    empty: str = ScoringOptions.empty.value,
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
) -> pd.DataFrame:
    """Score pairs of masks that are in memory.

    Args:
        pairs: reference and prediction of each case by case ID, label arrays of one shape, (slices, rows, columns) or
            (rows, columns), bool or numbers.
        spacing: voxel size in mm along each array axis, of all cases or by case ID.
        labels: labels that together are one foreground; without them and without classes arrays are of 0 and 1.
        dataset_json: names the classes or regions to score one by one and the ignore label, see :func:`score_folder`.
        empty: what two empty masks score, see :func:`score_folder`.
        tolerance_mm: tolerance of the surface DSC, in mm.

    Returns:
        Table with one row a case, indexed by case ID, as :func:`score_folder` gives it.

    Raises:
        UserError: a case's arrays or its spacing do not fit together, or hold labels that were not named.

    Example:
        >>> import numpy as np
        >>> import nnunet_fair
        >>> reference = np.zeros((8, 8, 8), dtype=bool)
        >>> reference[2:6, 2:6, 2:6] = True
        >>> shifted = np.roll(reference, 1, axis=0)
        >>> cases = nnunet_fair.score_pairs(
        ...     {"a": (reference, reference), "b": (reference, shifted)}, spacing=(2.0, 1.0, 1.0)
        ... )
        >>> cases[["dsc", "hd95_mm"]]
                  dsc  hd95_mm
        case_id
        a        1.00      0.0
        b        0.75      2.0
    """
    options = _options(labels, dataset_json, empty, tolerance_mm, resample=False)
    rows = []
    for case_id, (reference, prediction) in pairs.items():
        voxel = spacing[case_id] if isinstance(spacing, Mapping) else spacing
        try:
            scored = score_arrays(reference, prediction, tuple(map(float, voxel)), options)
        except ValueError as error:
            raise UserError(f"case {case_id!r}: {error}") from error
        rows += [{"case_id": str(case_id), **metrics, "status": SCORED, "problem": ""} for metrics, _ in scored]
    columns = list(CASE_COLUMNS)
    if options.classes is not None:
        columns.insert(1, CLASS)
    cases = pd.DataFrame(rows, columns=columns).set_index("case_id")
    return _told(cases.astype({"problem": object}), options)


def _folder_options(
    references: str | PathLike[str],
    predictions: str | PathLike[str],
    labels: Sequence[int] | None,
    dataset_json: str | PathLike[str] | Mapping[str, Any] | None,
    missing: str,
    resample: bool,
    *,
    empty: str = ScoringOptions.empty.value,
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
) -> tuple[Pairing, ScoringOptions]:
    """The cases of two folders and the scoring options the arguments name."""
    folders = Path(references), Path(predictions)
    if dataset_json is None and labels is None:
        dataset_json = find_dataset_json([folders[1], folders[0].parent])
    options = _options(labels, dataset_json, empty, tolerance_mm, resample)
    found = [list_masks(folder) for folder in folders]
    return pair_cases(*found, missing=missing, where=f" in {folders[0]} and {folders[1]}"), options


def _options(
    labels: Sequence[int] | None,
    dataset_json: str | PathLike[str] | Mapping[str, Any] | None,
    empty: str,
    tolerance_mm: float,
    resample: bool,
) -> ScoringOptions:
    """The scoring options the arguments name."""
    if labels is not None and dataset_json is not None:
        raise UserError("`labels` are one foreground and `dataset_json` names classes; give one of the two")
    classes = None
    if isinstance(dataset_json, Mapping):
        classes = declared_classes(dataset_json, "`dataset_json`")
    elif dataset_json is not None:
        classes = read_label_classes(Path(dataset_json))
    policies = [policy.value for policy in EmptyMaskPolicy]
    if empty not in policies:
        raise UserError(f"`empty` is one of {', '.join(policies)}, found {empty!r}")
    return ScoringOptions(
        labels=None if labels is None else tuple(labels),
        empty=EmptyMaskPolicy(empty),
        tolerance_mm=tolerance_mm,
        resample=resample,
    ).with_classes(classes)


def _told(cases: pd.DataFrame, options: ScoringOptions) -> pd.DataFrame:
    """The table with a note of how it was scored, which the report's methods are written from."""
    cases.attrs[SCORING] = {**asdict(options), "empty": options.empty.value}
    return cases
