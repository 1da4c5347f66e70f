"""Scoring in parts, one job each, and putting the parts together."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.calibration import BIN_COLUMNS, CALIBRATION_METRICS, CALIBRATION_PROBLEM
from nnunet_fair.evaluation.metrics.lesions import LESION_FIELDS
from nnunet_fair.evaluation.metrics.ndsc import NDSC
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_cases import CLASS, METRICS, ScoredCases, score_cases_and_lesions
from nnunet_fair.evaluation.metrics.second_reader import READER_METRICS, READER_PROBLEM
from nnunet_fair.files import plain, remove_leftovers, with_formula, write_csv, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.masks.pairing import CasePair, Pairing

PARTS = "parts"


def score_part(
    pairing: Pairing, output: Path, *, num_parts: int, part_id: int, scoring: ScoringOptions, n_processes: int = 1
) -> Path:
    """Score every ``num_parts``-th case and write ``parts/part_<id>_of_<n>.csv`` and its lesions.

    Args:
        pairing: all cases.
        output: the output folder of the evaluation.
        num_parts: number of jobs.
        part_id: this job, from 0.
        scoring: how the masks are read and scored.
        n_processes: number of processes.

    Returns:
        The file of the cases; their lesions, ``lesions_<id>_of_<n>.csv``, and the options, as JSON, lie beside it.

    Raises:
        UserError: part_id is not below num_parts.
    """
    if not 0 <= part_id < num_parts:
        raise UserError(f"`part_id` counts from 0 to `num_parts` − 1 = {num_parts - 1}, found {part_id}")
    path = output / PARTS / f"part_{part_id}_of_{num_parts}.csv"
    pairs = pairing.pairs[part_id::num_parts]
    with folder_lock(path):  # parts of one evaluation are scored side by side; one part twice is not
        for file in (path, _lesions_path(path), path.with_suffix(".json")):
            remove_leftovers(path.parent, file.name)
        stamp = {"scoring": _scoring(scoring), "files": scored_files(pairs)}
        scored = score_cases_and_lesions(pairs, scoring, n_processes=n_processes)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(scored.cases.reset_index(), path)
        write_csv(scored.lesions, _lesions_path(path))
        # Last, with digests of the rows: where a kill comes between them, they do not belong together.
        digests = {"rows": _digest(path), "lesions": _digest(_lesions_path(path))}
        write_json({**stamp, **digests}, path.with_suffix(".json"))
    return path


def _lesions_path(path: Path) -> Path:
    """The lesions of a part."""
    return path.with_name(path.name.replace("part_", "lesions_", 1))


def merge_parts(pairs: tuple[CasePair, ...], output: Path, scoring: ScoringOptions) -> ScoredCases:
    """Put the parts together.

    Args:
        pairs: all cases.
        output: the output folder of the evaluation, with ``parts/``.
        scoring: the options of this call, which have to be those of the parts.

    Returns:
        The tables of all cases, in the order of ``pairs``.

    Raises:
        UserError: there are no parts, parts of another division or of other options, or a part is missing.
    """
    paths = sorted((output / PARTS).glob("part_*_of_*.csv"))
    if not paths:
        raise UserError(f"there is no part in {output / PARTS}; run evaluate with `num_parts` and `part_id` first")
    divisions = {path.stem.rsplit("_of_", 1)[1] for path in paths}
    if len(divisions) > 1:
        found = ", ".join(sorted(divisions))
        raise UserError(f"{output / PARTS} holds parts of different divisions (of {found}); remove the old ones")
    (num_parts,) = divisions
    expected = {f"part_{part}_of_{num_parts}" for part in range(int(num_parts))}
    absent = sorted(expected - {path.stem for path in paths})
    if absent:
        raise UserError(f"{len(absent)} of {len(expected)} parts are not there yet, the first {absent[0]}.csv")
    files: dict[str, object] = {}
    for path in paths:
        files |= _check_part(path, scoring)
    current = scored_files(pairs)
    other = [case_id for case_id, stamp in current.items() if case_id in files and files[case_id] != stamp]
    if other:
        raise UserError(
            f"{output / PARTS}: {len(other)} cases were scored from other files than are there now, the first "
            f"{other[0]!r} (names, sizes and times of reference and prediction differ); score the parts again"
        )
    frame = pd.concat([read_case_rows(path) for path in paths])
    missing = [pair.case_id for pair in pairs if pair.case_id not in frame.index]
    if missing:
        raise UserError(f"{len(missing)} cases are in no part, the first {missing[0]!r}; score the parts again")
    case_ids = [pair.case_id for pair in pairs]
    lesions = pd.concat([read_lesion_rows(_lesions_path(path)) for path in paths], ignore_index=True)
    place = {case_id: position for position, case_id in enumerate(case_ids)}
    order = lesions["case_id"].map(place).dropna().sort_values(kind="stable").index
    return ScoredCases(frame.loc[case_ids], lesions.loc[order].reset_index(drop=True))


def read_lesion_rows(path: Path) -> pd.DataFrame:
    """Read a table of lesions as it was written, to the last bit.

    Raises:
        UserError: it is no such table.
    """
    again = "it is written by nnunet_fair evaluate; evaluate again"
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], index_col=False)
        frame = frame.map(with_formula)
        for name in ("volume_mm3", "diameter_mm", "best_iou", "matched_iou", "dsc"):
            frame[name] = frame[name].map(float, na_action="ignore").astype(float)
        return frame.assign(
            lesion=frame["lesion"].astype(int),
            touches=frame["touches"].map({"True": True, "False": False}).astype(bool),
        )[[*([CLASS] if CLASS in frame else []), "case_id", *LESION_FIELDS]]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table of lesions ({error}); {again}") from error


def read_case_rows(path: Path) -> pd.DataFrame:
    """Read a per-case table as it was written, to the last bit, indexed by case ID.

    Raises:
        UserError: it is no table, there is no column ``case_id``, an ID occurs twice, or a number is none.
    """
    again = "it is written by nnunet_fair evaluate; evaluate again"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with more cells than there are columns
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], index_col=False)
    except (ValueError, pd.errors.ParserWarning, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table ({str(error).strip()}); {again}") from error
    frame = frame.map(with_formula).rename(columns=with_formula)
    if "case_id" not in frame.columns:
        raise UserError(f"{path} has no column 'case_id'; it is written by nnunet_fair evaluate")
    if frame["case_id"].isna().any():
        raise UserError(f"{path} has rows without a case ID; {again}")
    frame = frame.set_index("case_id")
    twice = (
        frame.set_index(CLASS, append=True).index.duplicated() if CLASS in frame.columns else frame.index.duplicated()
    )
    if twice.any():
        raise UserError(f"{path}: case {frame.index[twice][0]!r} occurs more than once")
    numbers = (*METRICS, NDSC, *CALIBRATION_METRICS, *BIN_COLUMNS, *READER_METRICS)
    for name in [name for name in numbers if name in frame.columns]:
        # Python's float reads back what was written to the last bit; the reader's own parser does so in some versions.
        try:
            frame[name] = frame[name].map(float, na_action="ignore").astype(float)
        except ValueError as error:
            raise UserError(f"{path}: a value of column {name!r} is no number ({error}); {again}") from error
        if name.startswith("lesions_") and np.isfinite(frame[name]).all():
            frame[name] = frame[name].astype(int)
    for name in [name for name in (CALIBRATION_PROBLEM, READER_PROBLEM) if name in frame.columns]:
        reasons = frame[name].astype(object)
        frame[name] = reasons.where(reasons.notna(), "")
    problem = frame["problem"].astype(object) if "problem" in frame else pd.Series("", index=frame.index, dtype=object)
    return frame.assign(problem=problem.where(problem.notna(), ""))


def scored_files(pairs: Sequence[CasePair]) -> dict[str, list[object]]:
    """What tells whether a case was scored from the same files: name, size and time of change of each.

    Args:
        pairs: the cases.
    """
    found: dict[str, list[object]] = {}
    for pair in pairs:
        states = [(path.name, path.stat() if path.exists() else path.lstat()) for path in pair.files]
        found[pair.case_id] = [[name, state.st_size, state.st_mtime_ns] for name, state in states]
    return found


def _check_part(path: Path, scoring: ScoringOptions) -> dict[str, object]:
    """The files a part was scored from.

    Raises:
        UserError: its record is missing or damaged, is of another table, or of other options.
    """
    record = path.with_suffix(".json")
    again = "score that part again"
    if not record.is_file():
        raise UserError(f"{path} has no {record.name} beside it, which tells how it was scored; {again}")
    try:
        stamp = json.loads(record.read_text(encoding="utf-8"))
        options, files, rows = stamp["scoring"], dict(stamp["files"]), (stamp["rows"], stamp["lesions"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{record} is damaged or from an earlier version; {again}") from error
    lesions = _lesions_path(path)
    if rows != (_digest(path), _digest(lesions) if lesions.is_file() else None):
        raise UserError(f"{path} is not the table {record.name} was written for: a run was interrupted; {again}")
    if options != _scoring(scoring):
        raise UserError(f"{path} was scored with other options than this call; give the same scoring options")
    return files


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _scoring(scoring: ScoringOptions) -> dict[str, object]:
    """The options as JSON holds them."""
    return plain({**asdict(scoring), "empty": scoring.empty.value})
