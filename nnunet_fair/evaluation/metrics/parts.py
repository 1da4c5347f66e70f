"""Scoring in parts, one job each, and putting the parts together."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_cases import METRICS, score_cases
from nnunet_fair.files import plain, write_csv, write_json
from nnunet_fair.masks.pairing import CasePair, Pairing

PARTS = "parts"


def score_part(
    pairing: Pairing, output: Path, *, num_parts: int, part_id: int, scoring: ScoringOptions, n_processes: int = 1
) -> Path:
    """Score every ``num_parts``-th case and write ``parts/part_<id>_of_<n>.csv``.

    Args:
        pairing: all cases.
        output: the output folder of the evaluation.
        num_parts: number of jobs.
        part_id: this job, from 0.
        scoring: how the masks are read and scored.
        n_processes: number of processes.

    Returns:
        The file written; the options lie beside it as JSON.

    Raises:
        UserError: part_id is not below num_parts.
    """
    if not 0 <= part_id < num_parts:
        raise UserError(f"`part_id` counts from 0 to `num_parts` − 1 = {num_parts - 1}, found {part_id}")
    folder = output / PARTS
    folder.mkdir(parents=True, exist_ok=True)
    cases = score_cases(pairing.pairs[part_id::num_parts], scoring, n_processes=n_processes)
    path = folder / f"part_{part_id}_of_{num_parts}.csv"
    write_json(_stamp(scoring), path.with_suffix(".json"))
    write_csv(cases.reset_index(), path)
    return path


def merge_parts(pairs: tuple[CasePair, ...], output: Path, scoring: ScoringOptions) -> pd.DataFrame:
    """Put the parts together.

    Args:
        pairs: all cases.
        output: the output folder of the evaluation, with ``parts/``.
        scoring: the options of this call, which have to be those of the parts.

    Returns:
        The per-case table of all cases, in the order of ``pairs``.

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
    for path in paths:
        if json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) != _stamp(scoring):
            raise UserError(f"{path} was scored with other options than this call; give the same scoring options")
    frame = pd.concat([read_case_rows(path) for path in paths])
    missing = [pair.case_id for pair in pairs if pair.case_id not in frame.index]
    if missing:
        raise UserError(f"{len(missing)} cases are in no part, the first {missing[0]!r}; score the parts again")
    return frame.loc[[pair.case_id for pair in pairs]]


def read_case_rows(path: Path) -> pd.DataFrame:
    """Read a per-case table as it was written, to the last bit, indexed by case ID.

    Raises:
        UserError: there is no column ``case_id`` or an ID occurs twice.
    """
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    if "case_id" not in frame.columns:
        raise UserError(f"{path} has no column 'case_id'; it is written by nnunet_fair evaluate")
    frame = frame.set_index("case_id")
    if frame.index.has_duplicates:
        raise UserError(f"{path}: case {frame.index[frame.index.duplicated()][0]!r} occurs more than once")
    for name in [name for name in METRICS if name in frame.columns]:
        # Python's float reads back what was written to the last bit; the reader's own parser does so in some versions.
        frame[name] = frame[name].map(float, na_action="ignore").astype(float)
        if name.startswith("lesions_") and frame[name].notna().all():
            frame[name] = frame[name].astype(int)
    problem = frame["problem"].astype(object) if "problem" in frame else pd.Series("", index=frame.index, dtype=object)
    return frame.assign(problem=problem.where(problem.notna(), ""))


def _stamp(scoring: ScoringOptions) -> dict[str, object]:
    """The options as JSON holds them."""
    return plain({**asdict(scoring), "empty": scoring.empty.value})
