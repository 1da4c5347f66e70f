"""``nnunet_fair evaluate --task pcr``: a table of pCR predictions to the Task 2 score and a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.outputs import CASES, REPORT, SCORES, SUBGROUPS, output_folder
from nnunet_fair.evaluation.reports.page import render
from nnunet_fair.evaluation.scores.cohort import GroupMembership, group_memberships
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.pcr_score import PcrScore, PcrStatistics, group_rates, pcr_score
from nnunet_fair.evaluation.scores.score_intervals import NamedIntervals
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.files import plain, write_csv, write_json, write_text
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.cells import as_number
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals

TRUTH = "pcr"
PREDICTION_COLUMNS = ("pcr_pred", "pcr_prediction", "prediction", "pcr_prob", "probability", "pcr")
THRESHOLD = 0.5
WORDS = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class PcrEvaluation:
    """The result of a Task 2 evaluation.

    Attributes:
        score: the score.
        intervals: its intervals.
        groups: one row a group: variable, group, n, n_pcr, tpr, fpr, balanced_accuracy.
        warnings: what a reader must know before the numbers.
    """

    score: PcrScore
    intervals: NamedIntervals
    groups: pd.DataFrame
    warnings: tuple[str, ...]


def evaluate_pcr(
    predictions: Path, table: TableOptions, output: Path, *, analysis: AnalysisOptions, title: str
) -> PcrEvaluation:
    """Score a table of pCR predictions and write ``scores.json``, ``subgroups.csv``, ``cases.csv`` and ``report.html``.

    Args:
        predictions: table with an ID column and a prediction: 0/1, yes/no or a probability, which counts as pCR from
            0.5 on.
        table: the case metadata, with the outcome in a column ``pcr``.
        output: folder to write to.
        analysis: λ and the bootstrap.
        title: the report's title.

    Returns:
        The result.

    Raises:
        UserError: a table lacks a column, holds other values, or the predictions are constant.
    """
    metadata = table.reading.read(table.path)
    known = metadata.frame
    if TRUTH not in known.columns:
        raise UserError(f"{table.path} has no column {TRUTH!r} with the outcome; it has {', '.join(known.columns)}")
    truth = _numbers(known[TRUTH], table.path, TRUTH).dropna() >= THRESHOLD
    if truth.empty:
        raise UserError(f"{table.path}: column {TRUTH!r} is empty, so there is no outcome to score against")
    prediction_table = read_case_table(predictions)
    predicted = prediction_table.frame
    column = next((name for name in PREDICTION_COLUMNS if name in predicted.columns), None)
    if column is None:
        raise UserError(
            f"{predictions} has no column with predictions ({', '.join(PREDICTION_COLUMNS)}); found "
            f"{', '.join(predicted.columns)}"
        )
    match = match_rows(predicted.index, truth.index)
    matches = match.rows
    if not matches:
        raise UserError(f"{predictions} has no prediction for a case of {table.path} with a known outcome")
    values = _numbers(predicted[column], predictions, column).reindex([matches.get(case) for case in truth.index])
    values.index = truth.index
    understood = [*metadata.column_notes.get(TRUTH, ()), *prediction_table.notes_on([column]), *match.notes]
    warnings = [f"{note}." for note in understood]
    if values.isna().any():
        warnings.append(
            f"{int(values.isna().sum())} cases have no prediction and count as no pCR, as in the challenge."
        )
    if len(known) > len(truth):
        warnings.append(f"{len(known) - len(truth)} cases of the table have no known outcome and are left out.")
    prediction = values.fillna(0.0) >= THRESHOLD
    groups = table.read(truth.index)
    score = pcr_score(truth, prediction, groups.frame[list(groups.variables)], lambda_=analysis.lambda_)
    memberships = group_memberships(groups.frame, truth.index, groups.variables)
    statistics = PcrStatistics(truth.to_numpy(), prediction.to_numpy(), memberships, analysis.lambda_)
    how = analysis.subgroups
    intervals = NamedIntervals(
        statistics.names,
        bootstrap_intervals(
            statistics, len(truth), n_resamples=how.n_resamples, confidence=how.confidence, seed=how.seed
        ),
    )
    warnings += [f"{name} has no value for any case and is left out." for name in score.uncomputable]
    result = PcrEvaluation(
        score=score,
        intervals=intervals,
        groups=pcr_group_table(truth, prediction, memberships),
        warnings=(*warnings, *groups.notes),
    )
    with output_folder(output, (CASES, SCORES, SUBGROUPS, REPORT), (predictions, table.path)):
        _write(result, truth, values, prediction, output, title=title, analysis=analysis)
    return result


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


def _numbers(values: pd.Series, path: Path, column: str) -> pd.Series:
    """A column of 0/1, yes/no or probabilities as numbers; NaN where missing."""
    words = [WORDS.get(value.lower(), value) if isinstance(value, str) else value for value in values]
    numbers = pd.Series([as_number(word) for word in words], index=values.index, dtype=float)
    wrong = (values.notna() & numbers.isna()) | (numbers < 0) | (numbers > 1)
    if wrong.any():
        case_id = values.index[wrong][0]
        raise UserError(
            f"{path}: case {case_id!r} has {values[case_id]!r} in column {column!r}; expected 0, 1, yes, no or a "
            "probability between 0 and 1"
        )
    return numbers.astype(float)


def _write(
    result: PcrEvaluation,
    truth: pd.Series,
    values: pd.Series,
    prediction: pd.Series,
    output: Path,
    *,
    title: str,
    analysis: AnalysisOptions,
) -> None:
    """Write the four files."""
    score, intervals = result.score, result.intervals.values
    probabilities = values.notna() & ~values.isin([0.0, 1.0])
    auc = float(roc_auc_score(truth[values.notna()], values.dropna())) if probabilities.any() else None
    document = {
        "balanced_accuracy": score.balanced_accuracy,
        "fairness_disparity": score.fairness_disparity,
        "fairness": 1 - score.fairness_disparity,
        "disparity_by_variable": score.disparity_by_variable | dict.fromkeys(score.uncomputable),
        "ranking": score.ranking,
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
    cases = pd.DataFrame(
        {"case_id": truth.index, "pcr": truth.astype(int).to_numpy(), "prediction": prediction.astype(int).to_numpy()}
    )
    page = render(
        "pcr.html", {"title": title, "result": result, "auc": auc, "options": analysis.subgroups, "cases": cases}
    )
    write_csv(cases.assign(value=values.to_numpy()), output / CASES)
    write_csv(result.groups, output / SUBGROUPS)
    write_json(plain(document), output / SCORES)
    write_text(page, output / REPORT)
