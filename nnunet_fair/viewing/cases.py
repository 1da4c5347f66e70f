"""The cases that are asked for, and their files."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.case_volumes import Contour, check_overlay_options
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.label_classes import find_dataset_json, read_label_classes
from nnunet_fair.viewing.server import ViewedCase

MOST_PREDICTIONS = 3  # as many as have a colour of their own


def viewed_cases(
    case_ids: Sequence[str],
    references: Path,
    predictions: Sequence[Path],
    *,
    images: OverlayOptions,
    labels: Sequence[int] | None = None,
    resample: bool = False,
) -> tuple[list[ViewedCase], ScoringOptions]:
    """Find the files of cases.

    Args:
        case_ids: the cases, as the label files are named.
        references: folder of the reference labels.
        predictions: folders of predictions, at most ``MOST_PREDICTIONS``.
        images: the images under the masks.
        labels: labels that together are shown; None takes those of all classes that ``dataset.json`` declares.
        resample: show predictions of another grid on the reference's.

    Returns:
        The cases and how their masks are read. A case without a prediction in a folder has none there.

    Raises:
        UserError: a folder is absent, a case has no reference, or there are too many folders.
    """
    if len(predictions) > MOST_PREDICTIONS:
        raise UserError(f"`predictions` takes at most {MOST_PREDICTIONS} folders, found {len(predictions)}")
    check_overlay_options(images)
    known = list_masks(references)
    absent = [case for case in case_ids if case not in known]
    if absent:
        near = difflib.get_close_matches(absent[0], known, n=3)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise UserError(f"{references} holds no reference of case {absent[0]!r}{hint}")
    folders = [(_name(folder, predictions), list_masks(folder)) for folder in predictions]
    cases = [
        ViewedCase(case, known[case], tuple(Contour(name, masks.get(case)) for name, masks in folders))
        for case in dict.fromkeys(case_ids)
    ]
    scoring = ScoringOptions(labels=tuple(labels) if labels else None, resample=resample)
    declared = None if labels else find_dataset_json([*predictions, references.parent])
    if declared is not None:
        classes = scoring.with_classes(read_label_classes(declared))
        scoring = ScoringOptions(labels=classes.foreground, resample=resample)
    return cases, scoring


def _name(folder: Path, folders: Sequence[Path]) -> str:
    """What the masks of a folder are called."""
    if len(folders) == 1:
        return "prediction"
    alike = [other for other in folders if other.name == folder.name]
    return folder.name if len(alike) == 1 else str(folder)
