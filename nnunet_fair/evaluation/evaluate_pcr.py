"""``nnunet_fair evaluate --task pcr``: a table of pCR predictions to the Task 2 score and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import DIGITS, few, neutral_names, publishable, rounded
from nnunet_fair.evaluation.outputs import (
    CASES,
    NET_BENEFIT,
    RELIABILITY,
    REPORT,
    SCORES,
    SUBGROUPS,
    output_folder,
    write_optional_table,
)
from nnunet_fair.evaluation.pcr_cases import THRESHOLD, PcrCases, read_pcr_cases
from nnunet_fair.evaluation.reports.pcr_report import pcr_report
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.pcr_analysis import PcrAnalysis, analyse_pcr, pcr_document, small_extremes
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.files import write_csv, write_json, write_text
from nnunet_fair.subgroups.disclosure import MIN_CASES

WRITTEN = (CASES, SCORES, SUBGROUPS, RELIABILITY, NET_BENEFIT, REPORT)


@dataclass(frozen=True)
class PcrEvaluation:
    """The result of a Task 2 evaluation.

    Attributes:
        analysis: the scores.
        warnings: what a reader must know before the numbers.
        missing: cases with an outcome and no prediction.
        n_without_row: predicted cases without a row, or without an outcome, in the table.
    """

    analysis: PcrAnalysis
    warnings: tuple[str, ...]
    missing: tuple[str, ...]
    n_without_row: int


def evaluate_pcr(
    predictions: Path,
    table: TableOptions,
    output: Path,
    *,
    analysis: AnalysisOptions,
    title: str,
    missing: str = "empty",
    threshold: float = THRESHOLD,
    anonymise: bool = False,
) -> PcrEvaluation:
    """Score a table of pCR predictions and write ``scores.json``, ``subgroups.csv``, ``cases.csv`` and ``report.html``.

    Args:
        predictions: see :func:`nnunet_fair.evaluation.pcr_cases.read_pcr_cases`.
        table: the case metadata, with the outcome in a column ``pcr``.
        output: folder to write to.
        analysis: λ and the bootstrap.
        title: the report's title.
        missing: what a case without a prediction is: no pCR (``empty``), or left out (``skip``).
        threshold: from this probability on pCR is predicted, where no decision is given.
        anonymise: neutral numbers in place of case IDs, and nothing about fewer than five cases, or about fewer than
            five with or without pCR.

    Returns:
        The result.

    Raises:
        UserError: a table lacks a column, holds other values, or the predictions are constant.
    """
    with output_folder(output, WRITTEN, (predictions, table.path)):
        cases = read_pcr_cases(predictions, table, missing=missing, threshold=threshold)
        groups = table.read(cases.truth.index)
        if anonymise:
            (cases,), groups = anonymised_pcr([cases], groups)
        analysed = analyse_pcr(
            cases.truth, cases.decision, cases.value if cases.has_probabilities else None, groups, analysis
        )
        if anonymise:
            analysed = replace(analysed, groups=analysed.groups.round(DIGITS))
        counted, number = missing == "empty", few if anonymise else str
        warnings = pcr_warnings(cases, groups, analysed.score.uncomputable, counted=counted, number=number)
        if hanging := small_extremes(analysed):
            warnings = (*warnings, hanging)
        _write(analysed, cases, warnings, output, title=title, anonymise=anonymise)
        return PcrEvaluation(analysed, warnings, cases.missing, len(cases.unknown))


def anonymised_pcr(sides: Sequence[PcrCases], groups: CaseGroups) -> tuple[list[PcrCases], CaseGroups]:
    """The cases under neutral names, and groups of which nothing about fewer than five with or without pCR follows.

    Args:
        sides: predictions for the same cases, of one model or of several.
        groups: the cases' groups.

    Returns:
        The cases in the order of their new names, without notes, and the groups that may be published.

    Raises:
        UserError: so few have, or have not, pCR at all.
    """
    truth = sides[0].truth
    if min(truth.sum(), (~truth).sum()) < MIN_CASES:
        raise UserError(
            f"fewer than {MIN_CASES} cases have, or have not, pCR: their outcome would be told whatever is left out; "
            "evaluate them without `anonymise` and keep the result"
        )
    names = neutral_names(list(truth.index))
    renamed = []
    for side in sides:
        columns = {
            name: getattr(side, name).rename(index=names).sort_index() for name in ("truth", "value", "decision")
        }
        missing = tuple(names[case] for case in side.missing if case in names)
        renamed.append(replace(side, **columns, missing=missing, notes=()))
    frame, outcome = groups.frame.rename(index=names).sort_index(), renamed[0].truth
    shown = publishable(replace(groups, frame=frame), outcome.index, [outcome.to_numpy()], may_lack=False)
    return renamed, shown


def pcr_warnings(
    cases: PcrCases, groups: CaseGroups, uncomputable: Sequence[str], *, counted: bool, number: Callable[[int], str]
) -> tuple[str, ...]:
    """What a reader must know before the numbers.

    Args:
        cases: the cases.
        groups: their groups.
        uncomputable: variables without any value.
        counted: whether a case without a prediction counts as no pCR.
        number: how a number of cases is written.
    """
    sentences = list(cases.notes)
    if cases.missing:
        counts = "count as no pCR, as in the challenge" if counted else "are left out"
        sentences.append(f"{number(len(cases.missing))} cases have no prediction and {counts}.")
    if cases.n_without_outcome:
        sentences.append(
            f"{number(cases.n_without_outcome)} cases of the table have no known outcome and are left out."
        )
    if cases.unknown:
        n = number(len(cases.unknown))
        sentences.append(f"{n} predicted cases have no row, or no known outcome, in the table and are left out.")
    sentences += [f"{name} has no value for any case and is left out." for name in uncomputable]
    return (*sentences, *groups.notes)


def _write(
    analysis: PcrAnalysis, cases: PcrCases, warnings: tuple[str, ...], output: Path, *, title: str, anonymise: bool
) -> None:
    """Write the tables, then the page."""
    rows = pd.DataFrame(
        {
            "case_id": cases.truth.index,
            "pcr": cases.truth.astype(int).to_numpy(),
            "prediction": cases.decision.astype(int).to_numpy(),
            "value": cases.value.to_numpy(),
        }
    )
    document = pcr_document(analysis, warnings=list(warnings))
    write_csv(rows, output / CASES)
    write_csv(analysis.groups, output / SUBGROUPS)
    for table, name in ((analysis.curve, RELIABILITY), (analysis.net_benefit, NET_BENEFIT)):
        write_optional_table(pd.DataFrame() if table is None else table, output / name)
    write_json(rounded(document) if anonymise else document, output / SCORES)
    write_text(pcr_report(analysis, title=title, warnings=warnings), output / REPORT)
