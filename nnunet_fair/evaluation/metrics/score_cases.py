"""Scoring every case, in parallel; a bad case is recorded and the rest go on."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias

import pandas as pd
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.calibration import BIN_COLUMNS, CALIBRATION_METRICS, CALIBRATION_PROBLEM
from nnunet_fair.evaluation.metrics.case_metrics import CaseMetrics, score_masks
from nnunet_fair.evaluation.metrics.case_probabilities import calibration_rows
from nnunet_fair.evaluation.metrics.lesions import LESION_FIELDS, Lesion
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_arrays import CLASS, score_class_arrays
from nnunet_fair.evaluation.metrics.second_reader import ONE_READER, READER_METRICS, READER_PROBLEM
from nnunet_fair.masks.paired_masks import read_labels, read_masks
from nnunet_fair.masks.pairing import CasePair
from nnunet_fair.masks.reading import CaseProblemError
from nnunet_fair.processes import worker_pool

SCORED = "scored"
MISSING_PREDICTION = "missing prediction"
NOT_SCORED = "not scored"

CALIBRATION_COLUMNS = (*CALIBRATION_METRICS, CALIBRATION_PROBLEM, *BIN_COLUMNS)
METRICS = tuple(field.name for field in fields(CaseMetrics))
CASE_COLUMNS = ("case_id", *METRICS, "status", "problem")
LESION_COLUMNS = ("case_id", *LESION_FIELDS)
Rows: TypeAlias = list[dict[str, object]]


@dataclass(frozen=True, repr=False)
class ScoredCases:
    """What scoring gives.

    Attributes:
        cases: one row a case, see :func:`score_cases`.
        lesions: one row a lesion with ``LESION_COLUMNS``, and its ``class`` where there are classes.
    """

    cases: pd.DataFrame
    lesions: pd.DataFrame


def score_case(pair: CasePair, options: ScoringOptions) -> tuple[Rows, Rows]:
    """Score one case from its files.

    Args:
        pair: the files.
        options: how to score.

    Returns:
        A row with ``CASE_COLUMNS``, one a class where there are classes; without metrics, and with the reason in
        ``problem``, where it could not be scored. And a row a lesion.
    """
    if options.classes is not None:
        return _score_classes(pair, options.classes, options)
    try:
        reference, prediction, spacing, n_voxels = read_masks(
            pair.reference, pair.prediction, labels=options.labels, resample=options.resample
        )
    except CaseProblemError as problem:
        return [{"case_id": pair.case_id, "status": NOT_SCORED, "problem": str(problem)}], []
    metrics, lesions = score_masks(
        reference, prediction, spacing, n_voxels, policy=options.empty, tolerance_mm=options.tolerance_mm
    )
    row = {"case_id": pair.case_id, **asdict(metrics), "status": _status(pair)}
    return [row], _lesion_rows(lesions, case_id=pair.case_id)


def _lesion_rows(lesions: list[Lesion], **of_case: str) -> Rows:
    """The rows of a case's lesions."""
    return [{**of_case, **asdict(lesion)} for lesion in lesions]


def _score_classes(
    pair: CasePair, classes: Sequence[tuple[str, tuple[int, ...]]], options: ScoringOptions
) -> tuple[Rows, Rows]:
    """One row a class, and one a lesion of a class."""
    try:
        reference, prediction, spacing, n_voxels = read_labels(
            pair.reference, pair.prediction, known=options.known_labels, resample=options.resample
        )
    except CaseProblemError as problem:
        failed = {"case_id": pair.case_id, "status": NOT_SCORED, "problem": str(problem)}
        return [{**failed, CLASS: name} for name, _ in classes], []
    rows: Rows = []
    lesion_rows: Rows = []
    for metrics, lesions in score_class_arrays(reference, prediction, spacing, options, n_voxels):
        rows.append({"case_id": pair.case_id, **metrics, "status": _status(pair)})
        lesion_rows += _lesion_rows(lesions, **{CLASS: metrics[CLASS]}, case_id=pair.case_id)
    return rows, lesion_rows


def _status(pair: CasePair) -> str:
    """What the metrics of a scored case rest on."""
    return MISSING_PREDICTION if pair.prediction is None else SCORED


def score_cases(
    pairs: Sequence[CasePair], options: ScoringOptions, *, n_processes: int = 1, progress: bool = True
) -> pd.DataFrame:
    """Score every case, see :func:`score_cases_and_lesions`.

    Args:
        pairs: the cases.
        options: how to score.
        n_processes: number of processes; 1 works in this one.
        progress: whether to show a progress bar.

    Returns:
        Table of shape (n_cases, n_metrics + 2) indexed by case ID, in the order of ``pairs``: the metrics
        (:class:`CaseMetrics`), ``status`` and ``problem``. With classes one row a case and class, and the class's name
        in a further column, ``class``.

    Raises:
        UserError: a process was killed, as the system does when memory runs out.
    """
    return score_cases_and_lesions(pairs, options, n_processes=n_processes, progress=progress).cases


def score_cases_and_lesions(
    pairs: Sequence[CasePair], options: ScoringOptions, *, n_processes: int = 1, progress: bool = True
) -> ScoredCases:
    """Score every case and list its lesions.

    Args:
        pairs: the cases.
        options: how to score.
        n_processes: number of processes; 1 works in this one.
        progress: whether to show a progress bar.

    Returns:
        Both tables.

    Raises:
        UserError: a process was killed, as the system does when memory runs out.
    """
    score = functools.partial(score_case_fully, options=options)
    bar = functools.partial(tqdm, total=len(pairs), desc="scoring", unit="case", disable=not progress)
    if n_processes <= 1 or len(pairs) < 2:
        scored = [score(pair) for pair in bar(pairs)]
    else:
        try:
            with worker_pool(min(n_processes, len(pairs)), prepare=_one_thread, start_method=None) as pool:
                scored = list(bar(pool.map(score, pairs, chunksize=max(1, min(8, len(pairs) // (4 * n_processes))))))
        except BrokenProcessPool as error:
            raise UserError(
                "a scoring process was killed, as happens when memory runs out; use fewer than "
                f"`n_processes` {n_processes}"
            ) from error
    columns, lesion_columns = list(CASE_COLUMNS), list(LESION_COLUMNS)
    if options.classes is not None:
        columns.insert(1, CLASS)
        lesion_columns.insert(0, CLASS)
    if options.calibrate:
        columns += CALIBRATION_COLUMNS
    if options.second_reader:
        columns += [*READER_METRICS, READER_PROBLEM]
    frame = pd.DataFrame([row for rows, _ in scored for row in rows], columns=columns).set_index("case_id")
    for name in [name for name in ("problem", CALIBRATION_PROBLEM, READER_PROBLEM) if name in columns]:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "")
    return ScoredCases(frame, pd.DataFrame([row for _, rows in scored for row in rows], columns=lesion_columns))


def score_case_fully(pair: CasePair, options: ScoringOptions) -> tuple[Rows, Rows]:
    """Score one case and, where that is wanted, its probabilities and a second reader's mask.

    Args:
        pair: the files.
        options: how to score.

    Returns:
        The rows of :func:`score_case`, those of the case with ``CALIBRATION_COLUMNS`` and the columns of the second
        reader.
    """
    rows, lesions = score_case(pair, options)
    if rows[0]["status"] == NOT_SCORED:
        return rows, lesions
    if options.calibrate:
        classes = [labels for _, labels in options.classes] if options.classes else [options.labels or (1,)]
        rows = [row | found for row, found in zip(rows, calibration_rows(pair, classes, options), strict=True)]
    if options.second_reader:
        rows = [row | found for row, found in zip(rows, _second_reader_rows(pair, options), strict=True)]
    return rows, lesions


def _second_reader_rows(pair: CasePair, options: ScoringOptions) -> Rows:
    """The second reader against the first: one row a class, with the reason where there is nothing to compare."""
    if pair.second_reader is None:
        return [{READER_PROBLEM: ONE_READER} for _ in options.classes or (None,)]
    rows, _ = score_case(CasePair(pair.case_id, pair.reference, pair.second_reader), options)
    if rows[0]["status"] == NOT_SCORED:
        return [{READER_PROBLEM: row["problem"]} for row in rows]
    return [{name: row[name.removeprefix("readers_")] for name in READER_METRICS} for row in rows]


def _one_thread() -> None:
    """Keep SimpleITK of each process to one thread: the cases are what runs in parallel."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
