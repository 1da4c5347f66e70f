"""``nnunet_fair compare --task pcr``: two tables of pCR predictions to their differences, the audit and a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import DIGITS, few, rounded
from nnunet_fair.evaluation.comparison.pcr_differences import PcrComparison, PcrPair, compare_pcr_predictions
from nnunet_fair.evaluation.evaluate_pcr import anonymised_pcr, pcr_warnings
from nnunet_fair.evaluation.outputs import CASES, COMPARISON, LEVELLING, REPORT, SUBGROUPS, output_folder
from nnunet_fair.evaluation.pcr_cases import THRESHOLD, PcrCases, read_pcr_cases
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.reports.pcr_comparison_report import pcr_comparison_report, pcr_comparison_sentences
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import group_memberships
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.pcr_decision import decision_curve
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.files import plain, write_csv, write_json, write_text

WRITTEN = (CASES, SUBGROUPS, LEVELLING, COMPARISON, REPORT)


@dataclass(frozen=True)
class ComparedPredictions:
    """Two tables of predictions compared.

    Attributes:
        comparison: the comparison.
        sentences: what it says, in plain sentences.
        warnings: what a reader must know before the numbers.
        missing: cases with an outcome and without a prediction in one of the tables.
        n_without_row: predicted cases without a row, or without an outcome, in the table.
    """

    comparison: PcrComparison
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]
    n_without_row: int


def compare_pcr(
    predictions_a: Path,
    predictions_b: Path,
    table: TableOptions,
    output: Path,
    *,
    analysis: AnalysisOptions,
    options: CompareOptions,
    threshold: float = THRESHOLD,
) -> ComparedPredictions:
    """Compare two tables of pCR predictions on the same cases.

    Written are ``comparison.json``, ``levelling.csv``, ``subgroups.csv``, ``cases.csv`` and ``report.html``.

    Args:
        predictions_a: model A's table, see :func:`nnunet_fair.evaluation.pcr_cases.read_pcr_cases`.
        predictions_b: model B's.
        table: the case metadata, with the outcome in a column ``pcr``.
        output: folder to write to.
        analysis: λ and the bootstrap.
        options: names, title, what a missing prediction is, whether results are anonymised.
        threshold: from this probability on pCR is predicted, where a table has no decisions.

    Returns:
        The comparison, and what was missing for it.

    Raises:
        UserError: a table cannot be used, or the cases all have the same outcome.
    """
    with output_folder(output, WRITTEN, (predictions_a, predictions_b, table.path)):
        sides = [
            read_pcr_cases(path, table, missing=options.missing, threshold=threshold)
            for path in (predictions_a, predictions_b)
        ]
        both = sides[0].truth.index.intersection(sides[1].truth.index, sort=False)
        if sides[0].truth[both].nunique() < 2:
            raise UserError(f"all {len(both)} cases that are compared have the same outcome; two are needed")
        missing = tuple(dict.fromkeys(case for side in sides for case in side.missing))
        n_without_row = len({case for side in sides for case in side.unknown})
        sides = [_only(side, both) for side in sides]
        groups = table.read(both)
        if options.anonymise:
            sides, groups = anonymised_pcr(sides, groups)
        comparison = _compared(sides, groups, analysis, anonymise=options.anonymise)
        warnings = _warnings(sides, groups, options)
        sentences = pcr_comparison_sentences(comparison, options.name_a, options.name_b)
        _write(comparison, sides, sentences, warnings, output, options=options, analysis=analysis)
        return ComparedPredictions(comparison, sentences, warnings, missing, n_without_row)


def _only(cases: PcrCases, index: pd.Index) -> PcrCases:
    """The cases of both tables, in one order."""
    columns = {name: getattr(cases, name).reindex(index) for name in ("truth", "value", "decision")}
    return replace(cases, **columns)


def _compared(
    sides: list[PcrCases], groups: CaseGroups, analysis: AnalysisOptions, *, anonymise: bool
) -> PcrComparison:
    """The comparison; rounded where it is to be published."""
    a, b = sides
    index = a.truth.index
    values = [side.value if side.has_probabilities else side.value * float("nan") for side in sides]
    pair = PcrPair(
        truth=a.truth.to_numpy(dtype=bool),
        decisions=(a.decision.to_numpy(dtype=bool), b.decision.to_numpy(dtype=bool)),
        values=(values[0].to_numpy(dtype=float), values[1].to_numpy(dtype=float)),
    )
    variables = group_memberships(groups.frame, index, groups.variables)
    attributes = group_memberships(groups.frame, index, list(groups.frame.columns))
    comparison = compare_pcr_predictions(pair, variables, attributes, analysis)
    if not anonymise:
        return comparison
    tables = {name: getattr(comparison, name).round(DIGITS) for name in ("statistics", "groups", "audit")}
    return replace(comparison, **tables)


def _warnings(sides: list[PcrCases], groups: CaseGroups, options: CompareOptions) -> tuple[str, ...]:
    """What a reader must know before the numbers, each side's with its name."""
    found: list[list[str]] = []
    for side in sides:
        counted, number = options.missing == "empty", few if options.anonymise else str
        found.append(list(pcr_warnings(side, replace(groups, notes=()), (), counted=counted, number=number)))
        if side.decision.nunique() < 2:
            found[-1].append("every decision is the same, which the challenge refuses.")
    shared = [sentence for sentence in found[0] if sentence in found[1]]
    own = [
        f"{name}: {sentence}"
        for name, sentences in zip((options.name_a, options.name_b), found, strict=True)
        for sentence in sentences
        if sentence not in shared
    ]
    return (*shared, *own, *groups.notes)


def _write(
    comparison: PcrComparison,
    sides: list[PcrCases],
    sentences: tuple[str, ...],
    warnings: tuple[str, ...],
    output: Path,
    *,
    options: CompareOptions,
    analysis: AnalysisOptions,
) -> None:
    """Write the tables, then the page."""
    a, b = sides
    rows = pd.DataFrame({"case_id": a.truth.index, "pcr": a.truth.astype(int).to_numpy()})
    for side, name in ((a, "a"), (b, "b")):
        rows[f"prediction_{name}"] = side.decision.astype(int).to_numpy()
        rows[f"value_{name}"] = side.value.to_numpy()
    document = plain(
        {
            "name_a": options.name_a,
            "name_b": options.name_b,
            "n_cases": comparison.n_cases,
            "statistics": comparison.statistics.to_dict(orient="index"),
            "auc": None if comparison.auc is None else asdict(comparison.auc),
            "decisions": {
                "only_a_right": comparison.only_a,
                "only_b_right": comparison.only_b,
                "p": comparison.p_decisions,
            },
            "levelling_down": {"audit": comparison.audit.to_dict(orient="records")},
            "sentences": list(sentences),
            "warnings": list(warnings),
        }
    )
    write_csv(rows, output / CASES)
    write_csv(comparison.groups, output / SUBGROUPS)
    write_csv(comparison.audit, output / LEVELLING)
    write_json(rounded(document) if options.anonymise else document, output / COMPARISON)
    curves = {}
    known = a.value.notna() & b.value.notna()
    if comparison.auc is not None:
        for side, name in ((a, options.name_a), (b, options.name_b)):
            curves[name] = decision_curve(side.truth[known].to_numpy(), side.value[known].to_numpy())
    page = pcr_comparison_report(
        comparison, options=options, analysis=analysis, sentences=sentences, warnings=warnings, curves=curves
    )
    write_text(page, output / REPORT)
