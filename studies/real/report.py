"""Tables and figures of a cohort's results, from the runs that are finished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunet_fair.files import write_csv, write_text
from studies.real.comparisons import compare_all
from studies.real.confirmation import confirmation_summary, confirmations
from studies.real.dataset import Dataset
from studies.real.evidence import evidence_summary
from studies.real.figures import draw_groups
from studies.real.learned import learned_summary, record_learned
from studies.real.tables import CONFIRMATION, EVIDENCE, LEARNED, TABLES, page_tables

PAGE = "tables.md"


def write_report(dataset: Dataset, results: Path, folds: Sequence[int], n_resamples: int) -> list[str]:
    """Compare everything that is finished; write the tables as CSV, ``tables.md`` and ``groups.png`` to the results.

    Args:
        dataset: the prepared cohort.
        results: folder of its results.
        folds: the folds a seed needs to count.
        n_resamples: bootstrap replicates.

    Returns:
        The lines of ``tables.md``.
    """
    tables = compare_all(dataset.cohort, dataset.patients(), results, folds, n_resamples)
    if tables.methods.empty:
        return ["no seed is finished for stock nnU-Net and another method yet"]
    for name in TABLES:
        write_csv(getattr(tables, name), results / f"{name}.csv")
    evidence = evidence_summary(results)
    if len(evidence):
        write_csv(evidence.round(4), results / EVIDENCE)
    # a run's own rows would tell the attributes of single patients
    found = confirmation_summary(confirmations(dataset.patients(), dataset.cohort.attributes, results))
    write_csv(found.round(4), results / CONFIRMATION)
    learned = learned_summary(record_learned(dataset, results), dataset.patients(), dataset.cohort, results)
    if len(learned):
        write_csv(learned.round(4), results / LEARNED)
    draw_groups(tables.groups, results / "groups.png")
    lines = page_tables(dataset.cohort, results)
    write_text("\n".join(lines) + "\n", results / PAGE)
    return lines
