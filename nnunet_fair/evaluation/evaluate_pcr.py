"""``nnunet_fair evaluate --task pcr``: a table of pCR predictions to the Task 2 score and a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import DIGITS, few, neutral_names, publishable, rounded
from nnunet_fair.evaluation.outputs import CASES, REPORT, SCORES, SUBGROUPS, output_folder
from nnunet_fair.evaluation.pcr_cases import THRESHOLD, PcrCases, read_pcr_cases
from nnunet_fair.evaluation.reports.page import render
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import GroupMembership, group_memberships
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.pcr_score import PcrScore, PcrStatistics, group_rates, pcr_score
from nnunet_fair.evaluation.scores.score_intervals import NamedIntervals
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.files import plain, write_csv, write_json, write_text
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals
from nnunet_fair.subgroups.disclosure import MIN_CASES


@dataclass(frozen=True)
class PcrEvaluation:
    """The result of a Task 2 evaluation.

    Attributes:
        score: the score.
        intervals: its intervals.
        groups: one row a group: variable, group, n, n_pcr, tpr, fpr, balanced_accuracy.
        warnings: what a reader must know before the numbers.
        missing: cases with an outcome and no prediction.
        n_without_row: predicted cases without a row, or without an outcome, in the table.
    """

    score: PcrScore
    intervals: NamedIntervals
    groups: pd.DataFrame
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
    with output_folder(output, (CASES, SCORES, SUBGROUPS, REPORT), (predictions, table.path)):
        cases = read_pcr_cases(predictions, table, missing=missing, threshold=threshold)
        groups = table.read(cases.truth.index)
        if anonymise:
            cases, groups = _anonymised(cases, groups)
        score = pcr_score(cases.truth, cases.decision, groups.frame[list(groups.variables)], lambda_=analysis.lambda_)
        memberships = group_memberships(groups.frame, cases.truth.index, groups.variables)
        result = PcrEvaluation(
            score=score,
            intervals=_intervals(cases, memberships, analysis),
            groups=pcr_group_table(cases.truth, cases.decision, memberships),
            warnings=_warnings(cases, groups, score, counted=missing == "empty", number=few if anonymise else str),
            missing=cases.missing,
            n_without_row=len(cases.unknown),
        )
        if anonymise:
            result = replace(result, groups=result.groups.round(DIGITS))
        _write(result, cases, output, title=title, analysis=analysis, anonymise=anonymise)
        return result


def _anonymised(cases: PcrCases, groups: CaseGroups) -> tuple[PcrCases, CaseGroups]:
    """The cases under neutral names, and groups of which nothing about fewer than five with or without pCR follows.

    Raises:
        UserError: so few have, or have not, pCR at all.
    """
    n_pcr, n = int(cases.truth.sum()), len(cases.truth)
    if min(n_pcr, n - n_pcr) < MIN_CASES:
        raise UserError(
            f"fewer than {MIN_CASES} cases have, or have not, pCR: their outcome would be told whatever is left out; "
            "evaluate them without `anonymise` and keep the result"
        )
    names = neutral_names(list(cases.truth.index))
    renamed = {name: getattr(cases, name).rename(index=names).sort_index() for name in ("truth", "value", "decision")}
    frame = groups.frame.rename(index=names).sort_index()
    shown = publishable(
        replace(groups, frame=frame), renamed["truth"].index, [renamed["truth"].to_numpy()], may_lack=False
    )
    missing = tuple(names[case] for case in cases.missing if case in names)
    return replace(cases, **renamed, missing=missing, notes=()), shown


def _intervals(cases: PcrCases, memberships: list[GroupMembership], analysis: AnalysisOptions) -> NamedIntervals:
    """Bootstrap intervals of the score and of the disparities."""
    statistics = PcrStatistics(cases.truth.to_numpy(), cases.decision.to_numpy(), memberships, analysis.lambda_)
    how = analysis.subgroups
    intervals = bootstrap_intervals(
        statistics, len(cases.truth), n_resamples=how.n_resamples, confidence=how.confidence, seed=how.seed
    )
    return NamedIntervals(statistics.names, intervals)


def _warnings(
    cases: PcrCases, groups: CaseGroups, score: PcrScore, *, counted: bool, number: Callable[[int], str]
) -> tuple[str, ...]:
    """What a reader must know before the numbers."""
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
    sentences += [f"{name} has no value for any case and is left out." for name in score.uncomputable]
    return (*sentences, *groups.notes)


def pcr_group_table(truth: pd.Series, prediction: pd.Series, memberships: list[GroupMembership]) -> pd.DataFrame:
    """Rates of every group.

    Args:
        truth: bool, shape (n_cases,).
        prediction: bool, shape (n_cases,).
        memberships: the groups of each variable.

    Returns:
        Table: variable, group, n, n_pcr, tpr, fpr, balanced_accuracy; NaN where a rate has no denominator.
    """
    known, predicted = truth.to_numpy(dtype=bool), prediction.to_numpy(dtype=bool)
    rows = []
    for entry in memberships:
        hits, false_alarms = (rate[0] for rate in group_rates(np.ones((1, len(known))), known, predicted, entry))
        for position, name in enumerate(entry.names):
            rows.append(
                {
                    "variable": entry.variable,
                    "group": name,
                    "n": int(entry.n[position]),
                    "n_pcr": int((entry.membership[:, position] & known).sum()),
                    "tpr": hits[position],
                    "fpr": false_alarms[position],
                    "balanced_accuracy": (hits[position] + 1 - false_alarms[position]) / 2,
                }
            )
    return pd.DataFrame(rows, columns=["variable", "group", "n", "n_pcr", "tpr", "fpr", "balanced_accuracy"])


def _write(
    result: PcrEvaluation, cases: PcrCases, output: Path, *, title: str, analysis: AnalysisOptions, anonymise: bool
) -> None:
    """Write the four files."""
    score, intervals = result.score, result.intervals.values
    predicted = cases.value.notna()
    auc = float(roc_auc_score(cases.truth[predicted], cases.value[predicted])) if cases.has_probabilities else None
    document = {
        "balanced_accuracy": score.balanced_accuracy,
        "fairness_disparity": score.fairness_disparity,
        "fairness": 1 - score.fairness_disparity,
        "disparity_by_variable": score.disparity_by_variable | dict.fromkeys(score.uncomputable),
        "ranking": score.ranking,
        "estimable_disparity": score.estimable_disparity,
        "estimable_disparity_by_variable": score.estimable_by_variable,
        "estimable_ranking": score.estimable_ranking,
        "lambda": score.lambda_,
        "n_cases": score.n_cases,
        "auc": auc,
        "intervals": {
            name: {
                "estimate": intervals.estimate[i],
                "percentile": list(intervals.percentile[i]),
                "bca": list(intervals.bca[i]),
            }
            for i, name in enumerate(result.intervals.names)
        },
        "warnings": list(result.warnings),
    }
    rows = pd.DataFrame(
        {
            "case_id": cases.truth.index,
            "pcr": cases.truth.astype(int).to_numpy(),
            "prediction": cases.decision.astype(int).to_numpy(),
            "value": cases.value.to_numpy(),
        }
    )
    page = render("pcr.html", {"title": title, "result": result, "auc": auc, "options": analysis.subgroups})
    write_csv(rows, output / CASES)
    write_csv(result.groups, output / SUBGROUPS)
    write_json(rounded(plain(document)) if anonymise else plain(document), output / SCORES)
    write_text(page, output / REPORT)
