"""Scoring every case, in parallel; a bad case is recorded and the rest go on."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, fields

import pandas as pd
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.calibration import BIN_COLUMNS, CALIBRATION_METRICS, CALIBRATION_PROBLEM
from nnunet_fair.evaluation.metrics.case_metrics import CaseMetrics, case_metrics
from nnunet_fair.evaluation.metrics.case_probabilities import calibration_rows
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_arrays import CLASS, score_class_arrays
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


def score_case(pair: CasePair, options: ScoringOptions) -> list[dict[str, object]]:
    """Score one case from its files.

    Args:
        pair: the files.
        options: how to score.

    Returns:
        A row with ``CASE_COLUMNS``, one a class where there are classes; without metrics, and with the reason in
        ``problem``, where it could not be scored.
    """
    if options.classes is not None:
        return _score_classes(pair, options.classes, options)
    try:
        reference, prediction, spacing = read_masks(
            pair.reference, pair.prediction, labels=options.labels, resample=options.resample
        )
    except CaseProblemError as problem:
        return [{"case_id": pair.case_id, "status": NOT_SCORED, "problem": str(problem)}]
    metrics = case_metrics(reference, prediction, spacing, policy=options.empty, tolerance_mm=options.tolerance_mm)
    return [{"case_id": pair.case_id, **asdict(metrics), "status": _status(pair)}]


def _score_classes(
    pair: CasePair, classes: Sequence[tuple[str, tuple[int, ...]]], options: ScoringOptions
) -> list[dict[str, object]]:
    """One row a class."""
    try:
        reference, prediction, spacing = read_labels(
            pair.reference, pair.prediction, known=options.known_labels, resample=options.resample
        )
    except CaseProblemError as problem:
        failed = {"case_id": pair.case_id, "status": NOT_SCORED, "problem": str(problem)}
        return [{**failed, CLASS: name} for name, _ in classes]
    metrics = score_class_arrays(reference, prediction, spacing, options)
    return [{"case_id": pair.case_id, **row, "status": _status(pair)} for row in metrics]


def _status(pair: CasePair) -> str:
    """What the metrics of a scored case rest on."""
    return MISSING_PREDICTION if pair.prediction is None else SCORED


def score_cases(
    pairs: Sequence[CasePair], options: ScoringOptions, *, n_processes: int = 1, progress: bool = True
) -> pd.DataFrame:
    """Score every case.

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
    score = functools.partial(score_and_calibrate_case, options=options)
    bar = functools.partial(tqdm, total=len(pairs), desc="scoring", unit="case", disable=not progress)
    if n_processes <= 1 or len(pairs) < 2:
        rows = [score(pair) for pair in bar(pairs)]
    else:
        try:
            with worker_pool(min(n_processes, len(pairs)), prepare=_one_thread, start_method=None) as pool:
                rows = list(bar(pool.map(score, pairs, chunksize=max(1, min(8, len(pairs) // (4 * n_processes))))))
        except BrokenProcessPool as error:
            raise UserError(
                "a scoring process was killed, as happens when memory runs out; use fewer than "
                f"`n_processes` {n_processes}"
            ) from error
    columns = list(CASE_COLUMNS)
    if options.classes is not None:
        columns.insert(1, CLASS)
    if options.calibrate:
        columns += CALIBRATION_COLUMNS
    frame = pd.DataFrame([row for of_case in rows for row in of_case], columns=columns).set_index("case_id")
    frame["problem"] = frame["problem"].astype(object).where(frame["problem"].notna(), "")
    if options.calibrate:
        reasons = frame[CALIBRATION_PROBLEM].astype(object)
        frame[CALIBRATION_PROBLEM] = reasons.where(reasons.notna(), "")
    return frame


def score_and_calibrate_case(pair: CasePair, options: ScoringOptions) -> list[dict[str, object]]:
    """Score one case and, where that is wanted, measure the calibration of its probabilities.

    Args:
        pair: the files.
        options: how to score.

    Returns:
        The rows of :func:`score_case`, with ``CALIBRATION_COLUMNS``.
    """
    rows = score_case(pair, options)
    if not options.calibrate or rows[0]["status"] == NOT_SCORED:
        return rows
    classes = [labels for _, labels in options.classes] if options.classes else [options.labels or (1,)]
    return [row | found for row, found in zip(rows, calibration_rows(pair, classes, options), strict=True)]


def _one_thread() -> None:
    """Keep SimpleITK of each process to one thread: the cases are what runs in parallel."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
