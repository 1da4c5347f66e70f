"""What has been done already: one line a case, so that a second run continues where the first stopped.

``conversion_journal.jsonl`` lies in the raw dataset folder. A case is done when its line carries the same settings and
the same source files (name, size, modification time) as now and every output is still there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nnunet_fair.dataset_conversion.findings import Finding

if TYPE_CHECKING:
    from nnunet_fair.dataset_conversion.case import CaseResult, CaseTask

JOURNAL_FILE = "conversion_journal.jsonl"


def task_key(task: CaseTask, source_files: Sequence[Path]) -> str:
    """A digest of everything a case's result depends on."""
    stats = [_state(path) for path in source_files]
    content = [task.files.case_id, task.split, task.settings.to_json(), task.link, task.check, stats]
    if task.allow_empty_labels:
        content.append("empty labels allowed")
    if task.ignore_label is not None:
        content.append(f"ignore label {task.ignore_label}")
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _state(path: Path) -> tuple[str, int | None, int | None]:
    """Name, size and time of change; without the last two for a file that cannot be asked, which reading will name."""
    try:
        status = path.stat()
    except OSError:
        return str(path), None, None
    return str(path), status.st_size, status.st_mtime_ns


def read_journal(folder: Path) -> dict[str, tuple[str, CaseResult]]:
    """The last line of each case: its key and its result; a line that an interrupted run left half is passed over."""
    path = folder / JOURNAL_FILE
    entries: dict[str, tuple[str, CaseResult]] = {}
    if not path.is_file():
        return entries
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            result = _result_from_json(entry["result"])
            entries[result.case_id] = (entry["key"], result)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return entries


@contextmanager
def open_journal(folder: Path) -> Iterator[TextIO]:
    """The journal, open for appending, on a fresh line."""
    with (folder / JOURNAL_FILE).open("a", encoding="utf-8") as stream:
        if stream.tell():
            stream.write("\n")
        yield stream


def append(stream: TextIO, key: str, result: CaseResult) -> None:
    """Add one case and hand the line to the operating system at once."""
    stream.write(json.dumps({"key": key, "result": _result_to_json(result)}) + "\n")
    stream.flush()


def _result_to_json(result: CaseResult) -> dict:
    return {**vars(result), "findings": [[finding.kind, finding.detail] for finding in result.findings]}


def _result_from_json(content: dict) -> CaseResult:
    from nnunet_fair.dataset_conversion.case import CaseResult

    content = dict(content)
    content["findings"] = tuple(Finding(kind, detail) for kind, detail in content["findings"])
    if content["box"] is not None:
        content["box"] = tuple(tuple(axis) for axis in content["box"])
    return CaseResult(**content)


def outputs_exist(outputs: Sequence[Path]) -> bool:
    """Whether every output is there, links resolved."""
    return all(os.path.exists(path) for path in outputs)  # noqa: PTH110 (a third of the cost of Path.exists here)
