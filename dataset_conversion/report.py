"""What the conversion says at its end, and ``conversion_report.csv``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nnunet_fair.dataset_conversion.case import CaseResult
from nnunet_fair.files import write_csv

REPORT_FILE = "conversion_report.csv"
CONVERTED = "converted"
SKIPPED = "skipped"
_NAMED = 5


def write_report(results: Sequence[CaseResult], folder: Path) -> Path:
    """Write ``conversion_report.csv``: one row a case, with ``case_id``, ``status`` and ``reason``.

    Args:
        results: every case of the cohort, converted or not.
        folder: the raw dataset folder.
    """
    rows = [
        {
            "case_id": result.case_id,
            "status": CONVERTED if result.converted else SKIPPED,
            "reason": "; ".join(map(str, result.findings)),
        }
        for result in sorted(results, key=lambda result: result.case_id)
    ]
    path = folder / REPORT_FILE
    write_csv(pd.DataFrame(rows, columns=["case_id", "status", "reason"]), path)
    return path


def summary(results: Sequence[CaseResult]) -> str:
    """Counts of converted and skipped cases, by reason, the first case IDs of each named."""
    converted = [result for result in results if result.converted]
    n_test = sum(result.split == "Ts" for result in converted)
    lines = [
        f"{len(results)} cases: {len(converted)} converted ({len(converted) - n_test} training, {n_test} test), "
        f"{len(results) - len(converted)} skipped"
    ]
    for status, chosen in ((CONVERTED, True), (SKIPPED, False)):
        by_kind: dict[str, list[str]] = defaultdict(list)
        for result in results:
            if result.converted is chosen:
                for finding in result.findings:
                    by_kind[finding.kind].append(result.case_id)
        for kind, case_ids in sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0])):
            named = ", ".join(sorted(case_ids)[:_NAMED]) + (" …" if len(case_ids) > _NAMED else "")
            lines.append(f"  {status}, {kind}: {len(case_ids)} ({named})")
    return "\n".join(lines)
