"""Everything computed from the per-case table: scores, intervals, subgroup and size tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.metrics.score_cases import MISSING_PREDICTION, NOT_SCORED
from nnunet_fair.evaluation.scores.beyond_means import beyond_means, size_table
from nnunet_fair.evaluation.scores.calibration_table import (
    calibration_table,
    calibration_warnings,
    reliability_table,
)
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.challenge_score import (
    SegmentationScore,
    ranking_score,
    segmentation_score,
)
from nnunet_fair.evaluation.scores.cohort import CohortGroups, GroupMembership, ScoredCohort
from nnunet_fair.evaluation.scores.false_positives import (
    false_positive_table,
    false_positive_values,
    n_empty_references,
    policy_sentence,
)
from nnunet_fair.evaluation.scores.measures import Measures, measures_of
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.readers_table import reader_gaps, reader_warnings, readers_table
from nnunet_fair.evaluation.scores.score_intervals import NamedIntervals, ScoreStatistics, score_intervals
from nnunet_fair.evaluation.scores.subgroup_table import is_failure, subgroup_table
from nnunet_fair.files import is_utf8, plain

LAMBDAS = tuple(round(step / 10, 1) for step in range(11))


@dataclass(frozen=True)
class Analysis:
    """The scores of one set of predictions.

    Attributes:
        cases: the per-case table, indexed by case ID.
        groups: the cases' groups.
        cohort: the cases that have a score, with their groups.
        present: those of them whose reference holds the structure, on which groups are compared.
        score: the challenge's Task 1 score.
        intervals: the headline's intervals.
        subgroups: the subgroup table.
        beyond: fairness measures beyond means.
        sizes: gaps by tumour size.
        measures: the measures beside the score.
        false_positives: false positives by subgroup among the cases without the structure; empty where all have it.
        n_empty: cases with an empty reference.
        options: how it was computed.
        warnings: what a reader must know before the numbers.
        calibration: calibration by subgroup; empty where no probabilities were measured.
        reliability: what was said and what was true by bin of probability, for the whole cohort and every group.
        readers: a second reader's agreement beside the model's, by subgroup; empty where there is none.
        reader_gaps: the gaps of the model, of the readers, and beyond the readers', by attribute.
        classes: the analysis of each class, where there are several; everything else is then that of their mean.
    """

    cases: pd.DataFrame
    groups: CaseGroups
    cohort: ScoredCohort
    present: ScoredCohort
    score: SegmentationScore
    intervals: NamedIntervals
    subgroups: pd.DataFrame
    beyond: pd.DataFrame
    sizes: pd.DataFrame
    measures: Measures
    false_positives: pd.DataFrame
    n_empty: int
    options: AnalysisOptions
    warnings: tuple[str, ...]
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    readers: pd.DataFrame = field(default_factory=pd.DataFrame)
    reader_gaps: pd.DataFrame = field(default_factory=pd.DataFrame)
    classes: dict[str, Analysis] = field(default_factory=dict)

    @property
    def n_without_row(self) -> int:
        """Cases that have no row in the table, and so are in no group."""
        return _n_without_row(self.cases, self.groups)


def _n_without_row(cases: pd.DataFrame, groups: CaseGroups) -> int:
    # A name that is not UTF-8 stands in no table; its case is said to be not scored, and that it has no row is no news.
    return sum(case_id not in groups.frame.index and is_utf8(str(case_id)) for case_id in cases.index)


def analyse(
    cases: pd.DataFrame,
    groups: CaseGroups,
    options: AnalysisOptions,
    *,
    policy: EmptyMaskPolicy | None = None,
    lesions: pd.DataFrame | None = None,
) -> Analysis:
    """Compute every score and table from the per-case table.

    Args:
        cases: what :func:`nnunet_fair.evaluation.metrics.score_cases.score_cases` gave; at least one case is scored.
        groups: the cases' groups.
        options: how.
        policy: what two empty masks scored; None where that is not known.
        lesions: one row a lesion, of the same cases; None where they are not known.

    Returns:
        The analysis. The score counts every case as the policy says; everything that compares groups looks at the
        cases that hold the structure, and false positives at the others.
    """
    cohort = ScoredCohort.of(cases, groups.frame, groups.variables, options.subgroups)
    present = cohort.with_structure()
    score = segmentation_score(cohort, lambda_=options.lambda_)
    invented = false_positive_values(cases)
    n_empty = n_empty_references(cases)
    sentences = [policy_sentence(n_empty, len(cases), policy)] if n_empty else []
    return Analysis(
        cases=cases,
        groups=groups,
        cohort=cohort,
        present=present,
        score=score,
        intervals=score_intervals(ScoreStatistics.of(cohort, options.lambda_), options.subgroups),
        subgroups=subgroup_table(present),
        beyond=beyond_means(present),
        sizes=size_table(present),
        measures=measures_of(present, options, lesions),
        false_positives=false_positive_table(
            invented, CohortGroups(groups.frame.reindex(invented.index), groups.variables, options.subgroups)
        ),
        n_empty=n_empty,
        options=options,
        warnings=(
            *sentences,
            *_warnings(cases, groups, score, cohort),
            *calibration_warnings(cases),
            *reader_warnings(cases),
        ),
        readers=readers_table(present),
        reader_gaps=reader_gaps(present),
        calibration=calibration_table(present),
        reliability=reliability_table(present),
    )


def _warnings(cases: pd.DataFrame, groups: CaseGroups, score: SegmentationScore, cohort: ScoredCohort) -> list[str]:
    """What a reader must know before the numbers."""
    min_group = cohort.groups.options.min_group
    sentences = []
    missing, unscored = (cases["status"] == MISSING_PREDICTION).sum(), (cases["status"] == NOT_SCORED).sum()
    if missing:
        sentences.append(f"{missing} of {len(cases)} cases have no prediction and count as empty masks.")
    if unscored:
        sentences.append(f"{unscored} of {len(cases)} cases could not be scored and are in no number below.")
    undefined = len(cases) - unscored - score.n_cases
    if undefined:
        sentences.append(f"{undefined} cases have two empty masks and, by the policy chosen, no score.")
    without = _n_without_row(cases, groups)
    if without:
        sentences.append(f"{without} of {len(cases)} cases have no row in the table: they are in no group.")
    if score.n_cases < 2:
        sentences.append("There is one scored case: nothing can be said about uncertainty or groups.")
    if not groups.official:
        names = ", ".join(groups.variables)
        sentences.append(f"The fairness score is over {names}; the challenge's is over age, menopause and density.")
    sentences += [f"{name} has no value for any scored case and is left out." for name in score.uncomputable]
    sentences += [
        f"{name} has one group only: its gap is 0 by definition and says nothing."
        for name, entry in score.by_variable.items()
        if entry.n_groups == 1
    ]
    hanging = [text for entry in cohort.groups.memberships if (text := _small_extremes(entry, cohort.dsc, min_group))]
    if hanging:
        sentences.append(
            f"The official DSC gap hangs on groups with fewer than {min_group} cases: {'; '.join(hanging)}. The "
            "official score counts them; the worst group and the measures beyond means do not."
        )
    return sentences + list(groups.notes)


def _small_extremes(entry: GroupMembership, dsc: np.ndarray, min_group: int) -> str:
    """The small groups that have the largest or smallest mean of a variable; empty where there is none or no gap."""
    means = np.array([dsc[column].mean() for column in entry.membership.T])
    if not np.ptp(means):
        return ""
    small = [str(entry.names[i]) for i in sorted({int(means.argmin()), int(means.argmax())}) if entry.n[i] < min_group]
    return f"{entry.variable} ({', '.join(small)})" if small else ""


def scores_document(analysis: Analysis, **more: Any) -> dict[str, Any]:
    """The content of ``scores.json``.

    JSON has neither NaN nor infinity: a value that does not exist is null.

    Args:
        analysis: the scores.
        **more: further entries, such as the settings.

    Returns:
        Plain data: the scores, gaps, intervals, failures, the λ curve, measures beyond means, warnings.
    """
    score, options = analysis.score, analysis.options
    scored = analysis.present.cases
    document = {
        "performance": score.performance,
        "fairness": score.fairness,
        "fairness_by_variable": {name: entry.fairness for name, entry in score.by_variable.items()}
        | dict.fromkeys(score.uncomputable),
        "ranking": score.ranking,
        "lambda": score.lambda_,
        "n_cases": score.n_cases,
        "n_empty_references": analysis.n_empty,
        "n_not_scored": int(len(analysis.cases) - score.n_cases),
        "n_missing_predictions": int((analysis.cases["status"] == MISSING_PREDICTION).sum()),
        "mean_dsc": score.mean_dsc,
        "mean_norm_hd": score.mean_norm_hd,
        "median_dsc": float(scored["dsc"].median()),
        "failures": int(is_failure(scored["dsc"], options.subgroups.failure_dsc).sum()),
        "variables": {name: asdict(entry) for name, entry in score.by_variable.items()},
        "official_variables": analysis.groups.official,
        "intervals": _intervals(analysis.intervals),
        "lambda_curve": {str(value): ranking_score(score.performance, score.fairness, value) for value in LAMBDAS},
        "beyond_means": analysis.beyond.to_dict(orient="records"),
        "false_positives": analysis.false_positives.to_dict(orient="records"),
        **({"readers": analysis.readers.to_dict(orient="records")} if len(analysis.readers) else {}),
        **({"reader_gaps": analysis.reader_gaps.to_dict(orient="records")} if len(analysis.reader_gaps) else {}),
        **({"calibration": analysis.calibration.to_dict(orient="records")} if len(analysis.calibration) else {}),
        "gaps_by_tumour_size": analysis.sizes.to_dict(orient="records"),
        "reference_share": analysis.measures.reference_share,
        "lesion_matching": options.lesion_matching,
        **_measure_records(analysis.measures),
        "warnings": list(analysis.warnings),
        **more,
    }
    return plain(document)


def _measure_records(measures: Measures) -> dict[str, Any]:
    """The tables of the measures; of subgroups without the columns that say how few cases decide."""
    records: dict[str, Any] = {}
    for name in ("size_neutral", "equity", "equivalence", "volume", "lesions"):
        table = getattr(measures, name)
        records[name] = table.drop(columns=["reason"], errors="ignore").to_dict(orient="records")
    return records


def _intervals(intervals: NamedIntervals) -> dict[str, dict[str, Any]]:
    """Both kinds of interval by the statistic's name."""
    values = intervals.values
    return {
        name: {
            "estimate": values.estimate[i],
            "percentile": list(values.percentile[i]),
            "bca": list(values.bca[i]),
        }
        for i, name in enumerate(intervals.names)
    }
