"""What a run of post-processing says at its end."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nnunet_fair.postprocessing.postprocess_folder import TABLE_FILE, FolderSummary

_LISTED = 10


def summary_lines(summary: FolderSummary, target: str | os.PathLike) -> list[str]:
    """The lines to print: skipped cases by name, what masks lack, cases without a box, and what was written where."""
    counts = summary.counts()
    lines = [f"skipped {case_id}: {reason}" for case_id, reason in summary.errors.items()]
    if summary.empty:
        lines.append(f"{counts['n_empty']} masks are empty: {_listed(summary.empty)}")
    for group, case_ids in summary.lacking.items():
        labels = f"label{'s' * (len(group) > 1)} {' and '.join(map(str, group))}"
        lines.append(f"{len(case_ids)} masks have no {labels}: {_listed(case_ids)}")
    if counts["n_without_box"]:
        lines.append(f"{counts['n_without_box']} cases have no breast box: {_listed(summary.with_box('none'))}")
    if counts["n_box_clipped"]:
        lines.append(f"{counts['n_box_clipped']} breast boxes exceeded the image and were clipped")
    lines.append(
        f"wrote {counts['n_written']} masks to {target}: {counts['n_altered']} altered, {counts['n_empty']} empty, "
        f"{counts['n_skipped']} skipped; details in {TABLE_FILE}"
    )
    return lines


def _listed(case_ids: Sequence[str]) -> str:
    shown = ", ".join(case_ids[:_LISTED])
    return shown if len(case_ids) <= _LISTED else f"{shown} and {len(case_ids) - _LISTED} more ({TABLE_FILE})"
