"""Everything computed from outcomes and predictions of pCR: the score, its intervals, groups, calibration, chance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import group_memberships
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.pcr_calibration import calibration_curve, expected_calibration_error
from nnunet_fair.evaluation.scores.pcr_chance import Chance, chance_scores
from nnunet_fair.evaluation.scores.pcr_decision import decision_curve
from nnunet_fair.evaluation.scores.pcr_groups import pcr_group_table
from nnunet_fair.evaluation.scores.pcr_score import PcrScore, PcrStatistics, pcr_score
from nnunet_fair.evaluation.scores.score_intervals import NamedIntervals
from nnunet_fair.files import plain
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals


@dataclass(frozen=True, repr=False)
class PcrAnalysis:
    """The scores of one set of predictions of pCR.

    Attributes:
        score: the challenge's Task 2 score.
        intervals: its intervals.
        groups: the whole cohort and every group, see :func:`pcr_group_table`.
        chance: where the scores stand among those of random classifiers.
        curve: the calibration curve; None without probabilities.
        net_benefit: the decision curve; None without probabilities.
        options: how it was computed.
    """

    score: PcrScore
    intervals: NamedIntervals
    groups: pd.DataFrame
    chance: dict[str, Chance]
    curve: pd.DataFrame | None
    net_benefit: pd.DataFrame | None
    options: AnalysisOptions


def analyse_pcr(
    truth: pd.Series, decision: pd.Series, probability: pd.Series | None, groups: CaseGroups, options: AnalysisOptions
) -> PcrAnalysis:
    """Compute every score and table.

    Args:
        truth: bool, shape (n_cases,), indexed by case ID.
        decision: bool, shape (n_cases,).
        probability: shape (n_cases,), NaN for a case without one; None where there are decisions only.
        groups: the cases' groups.
        options: how.

    Returns:
        The analysis.

    Raises:
        UserError: every prediction, or every outcome, is the same.
    """
    how = options.subgroups
    score = pcr_score(truth, decision, groups.frame[list(groups.variables)], lambda_=options.lambda_)
    variables = group_memberships(groups.frame, truth.index, groups.variables)
    outcome, positive = truth.to_numpy(dtype=bool), decision.to_numpy(dtype=bool)
    statistics = PcrStatistics(outcome, positive, variables, options.lambda_)
    intervals = bootstrap_intervals(
        statistics, len(outcome), n_resamples=how.n_resamples, confidence=how.confidence, seed=how.seed
    )
    value = np.full(len(outcome), np.nan) if probability is None else probability.to_numpy(dtype=float)
    known = np.isfinite(value)
    curve = net_benefit = None
    if known.any():
        curve = calibration_curve(outcome[known], value[known], confidence=how.confidence)
        net_benefit = decision_curve(outcome[known], value[known])
    everything = group_memberships(groups.frame, truth.index, list(groups.frame.columns))
    return PcrAnalysis(
        score=score,
        intervals=NamedIntervals(statistics.names, intervals),
        groups=pcr_group_table(outcome, positive, value, everything, how),
        chance=chance_scores(
            outcome,
            positive,
            value if known.all() else None,
            variables,
            lambda_=options.lambda_,
            n_deals=how.n_resamples,
            seed=how.seed,
        ),
        curve=curve,
        net_benefit=net_benefit,
        options=options,
    )


def small_extremes(analysis: PcrAnalysis) -> str:
    """A sentence on the variables whose official disparity rests on a rate of few patients; empty where none does.

    Args:
        analysis: the scores.
    """
    least, hanging = analysis.options.subgroups.min_group, []
    for variable in analysis.score.disparity_by_variable:
        rows = analysis.groups[analysis.groups["variable"] == variable]
        names: list[str] = []
        for rate, n in (("tpr", rows["n_pcr"]), ("fpr", rows["n"] - rows["n_pcr"])):
            values = rows[rate].fillna(0.0)
            if values.max() > values.min():
                extremes = {values.idxmax(), values.idxmin()}
                names += [str(rows.loc[row, "group"]) for row in sorted(extremes) if n[row] < least]
        if names:
            hanging.append(f"{variable} ({', '.join(dict.fromkeys(names))})")
    if not hanging:
        return ""
    return (
        f"The official disparity hangs on rates of groups with fewer than {least} cases with, or without, pCR: "
        f"{'; '.join(hanging)}."
    )


def pcr_document(analysis: PcrAnalysis, **more: Any) -> dict[str, Any]:
    """The content of ``scores.json``; a value that cannot be estimated is null.

    Args:
        analysis: the scores.
        **more: further entries.
    """
    score, intervals = analysis.score, analysis.intervals.values
    whole = analysis.groups.iloc[0]
    measures = {
        name: {"estimate": whole[name], "interval": [whole[f"{name}_low"], whole[f"{name}_high"]]}
        for name in ("auc", "brier", "observed_minus_predicted", "calibration_slope", "calibration_intercept")
    }
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
        "n_pcr": int(whole["n_pcr"]),
        "auc": whole["auc"],
        "probabilities": None if analysis.curve is None else measures,
        "expected_calibration_error": None if analysis.curve is None else expected_calibration_error(analysis.curve),
        "chance": {name: asdict(found) for name, found in analysis.chance.items()},
        "intervals": {
            name: {
                "estimate": intervals.estimate[i],
                "percentile": list(intervals.percentile[i]),
                "bca": list(intervals.bca[i]),
            }
            for i, name in enumerate(analysis.intervals.names)
        },
        **more,
    }
    return plain(document)
