"""From a table of cases and a table of patients to scores by group, a report and a notebook's view of it."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.api.case_tables import WithClasses, indexed_by_case, split_classes
from nnunet_fair.api.scoring import SCORING
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.evaluate import cases_with_groups
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.metrics.options import MATCHINGS
from nnunet_fair.evaluation.metrics.score_cases import CLASS, LESION_COLUMNS, NOT_SCORED, SCORED
from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report
from nnunet_fair.evaluation.reports.options import ReportOptions
from nnunet_fair.evaluation.reports.page import render_fragment
from nnunet_fair.evaluation.scores import analysis as core
from nnunet_fair.evaluation.scores.case_groups import case_groups
from nnunet_fair.evaluation.scores.classes import (
    analyse_classes,
    mean_of_classes,
    worst_group_of_all_classes,
)
from nnunet_fair.evaluation.scores.equivalence import equivalence_table
from nnunet_fair.evaluation.scores.options import CHALLENGE_LAMBDA, AnalysisOptions
from nnunet_fair.evaluation.scores.tails import WORST_SHARE, worst_share_table
from nnunet_fair.files import write_text
from nnunet_fair.subgroups.options import (
    CONFIDENCE,
    FAILURE_DSC,
    MAX_ITEMS,
    MIN_GROUP,
    MIN_SUPPORT,
    N_RESAMPLES,
    SubgroupOptions,
)

REQUIRED = ("dsc", "norm_hd")
MEASURED = ("hd95_mm", "volume_reference_mm3")
"""Columns the tables use where they exist."""


class Analysis(WithClasses):
    """How well and how fairly one model serves the cases; what :func:`evaluate_cases` gives.

    Attributes:
        cases: the table of cases, indexed by case ID, with the groups of each case behind the
            metrics.
        scores: Series of the headline: ``performance``, ``fairness``, ``ranking``, ``mean_dsc``, ``mean_norm_hd``,
            ``worst_group_dsc``.
        intervals: table of the estimate and the ends of the interval, ``low`` and ``high``, of every headline
            statistic and group mean, indexed by its name.
        by_variable: table indexed by variable: ``fairness``, ``gap_dsc``, ``gap_norm_hd``, ``n_groups``, ``n_missing``.
        false_positives: false positives by subgroup among the cases with an empty reference.
        subgroups: table of every group and frequent combination, on the cases that hold the structure, as
            ``subgroups.csv`` of ``nnunet_fair evaluate``.
        classes: the analysis of each class by its name, where the cases have several (a column ``class``); everything
            else is then about the mean over the classes that a case's reference holds. Empty for one foreground.
        warnings: sentences a reader must know before the numbers.
    """

    def __init__(self, analysis: core.Analysis, settings: dict[str, Any]) -> None:
        self._analysis = analysis
        self._settings = settings
        values = analysis.intervals.values
        ends = values.ends()
        self.cases: pd.DataFrame = cases_with_groups(analysis.cases, analysis.groups).set_index("case_id")
        self.intervals = pd.DataFrame(
            {"estimate": values.estimate, "low": ends[:, 0], "high": ends[:, 1]},
            index=pd.Index(analysis.intervals.names, name="statistic"),
        )
        names = ["performance", "fairness", "ranking", "mean_dsc", "mean_norm_hd", "worst_group_dsc"]
        self.scores: pd.Series = self.intervals["estimate"].reindex(names).rename("score")
        self.by_variable = pd.DataFrame(
            {name: vars(entry) for name, entry in analysis.score.by_variable.items()}
        ).T.rename_axis("variable")
        self.subgroups: pd.DataFrame = analysis.subgroups
        self.false_positives: pd.DataFrame = analysis.false_positives
        self.classes: dict[str, Analysis] = {n: Analysis(found, settings) for n, found in analysis.classes.items()}
        self.warnings: tuple[str, ...] = analysis.warnings

    @property
    def furthest_below_its_class(self) -> pd.Series | None:
        """The row of the group and class with the lowest divergence from the class's own mean.

        None where there are no classes, or no attribute has two groups that may decide.
        """
        return worst_group_of_all_classes(self._analysis.classes) if self.classes else None

    @property
    def equity(self) -> pd.DataFrame:
        """Group-fairness measures of the literature, by attribute and combination.

        Of the cases that hold the structure: equity-scaled DSC, nDSC, surface DSC and NormHD in their published
        definitions, each by its name, and minimum, maximum, gap, standard deviation and skewness of the group means,
        with intervals; see ``nnunet_fair.evaluation.scores.equity``.
        """
        return self._analysis.measures.equity

    @property
    def size_neutral(self) -> pd.DataFrame:
        """The gap of the DSC beside gaps without lesion size, by attribute and combination, with intervals.

        ``gap_dsc``, ``gap_ndsc`` and ``gap_equal_size``; see ``nnunet_fair.evaluation.scores.size_neutral``.
        """
        return self._analysis.measures.size_neutral

    @property
    def volume(self) -> pd.DataFrame:
        """Relative volume error, mean difference and limits of agreement of every subgroup, with intervals.

        No row where the table of cases has no volumes; see ``nnunet_fair.evaluation.scores.volume``.
        """
        return self._analysis.measures.volume

    @property
    def lesions(self) -> pd.DataFrame:
        """Lesions found, missed and invented, of every subgroup and size, with intervals.

        No row where :func:`evaluate_cases` was given no lesions; see ``nnunet_fair.evaluation.scores.lesion_table``.
        """
        return self._analysis.measures.lesions

    def equivalence(self, margin: float) -> pd.DataFrame:
        """Every subgroup's DSC against the other cases: the same within a margin, different, or not to be told.

        Args:
            margin: the largest difference of the mean DSC that does not matter, above 0; to be named before the scores
                are looked at.

        Returns:
            Table with one row a subgroup: the difference with its 90 % interval, whether two one-sided tests at 5 %
            find it smaller than the margin, and the smallest difference this many cases could show; see
            ``nnunet_fair.evaluation.scores.equivalence``.

        Raises:
            UserError: the margin is not a number above 0.
        """
        if not isinstance(margin, (int, float)) or not 0 < margin < float("inf"):
            raise UserError(f"`margin` is the largest difference that does not matter, above 0; found {margin!r}")
        return equivalence_table(self._analysis.present, margin)

    def worst_share(self, share: float = WORST_SHARE) -> pd.DataFrame:
        """The mean DSC of the worst share of every subgroup's cases (conditional value at risk), with intervals.

        Args:
            share: of the cases, above 0 and at most 1.

        Returns:
            Table with one row a subgroup, the whole cohort first.

        Raises:
            UserError: the share is none.
        """
        if not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise UserError(f"`share` is a share of the cases, above 0 and at most 1; found {share!r}")
        return worst_share_table(self._analysis.present, share=share)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, as ``scores.json`` holds it: no case ID, no NaN, None where a value is missing."""
        more: dict[str, Any] = {"settings": self._settings} if self._settings else {}
        if self.classes:
            more["classes"] = {name: core.scores_document(found) for name, found in self._analysis.classes.items()}
        return core.scores_document(self._analysis, **more)

    def to_html(
        self, path: str | PathLike[str] | None = None, *, title: str = ReportOptions.title, with_cases: bool = False
    ) -> str:
        """The report page, which needs no network.

        Args:
            path: where to write it; None writes nothing.
            title: its title.
            with_cases: whether single cases can be explored in it, by their IDs and groups; else groups only.

        Returns:
            HTML. Cases that could not be scored are named in it by their ID.
        """
        cases = self._analysis.cases
        problems = cases.loc[cases["status"] == NOT_SCORED, "problem"]
        page = evaluation_report(
            self._analysis,
            title=title,
            settings=self._settings,
            problems=[(str(case_id), str(reason)) for case_id, reason in problems.items()],
            with_cases=with_cases,
        )
        if path is not None:
            write_text(page, Path(path))
        return page

    def _repr_html_(self) -> str:
        return render_fragment(
            "analysis.html",
            {
                "analysis": self,
                "n_cases": self._analysis.score.n_cases,
                "groups": self.subgroups[self.subgroups["kind"] != "combination"],
            },
        )

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name} {value:.3f}" for name, value in self.scores.items())
        return f"Analysis of {self._analysis.score.n_cases} cases: {numbers}"


def evaluate_cases(
    cases: pd.DataFrame,
    metadata: pd.DataFrame,
    *,
    lesions: pd.DataFrame | None = None,
    variables: Sequence[str] | None = None,
    attributes: Sequence[str] | None = None,
    lambda_: float = CHALLENGE_LAMBDA,
    min_group: int = MIN_GROUP,
    min_support: float = MIN_SUPPORT,
    max_items: int = MAX_ITEMS,
    failure_dsc: float = FAILURE_DSC,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    lesion_matching: str = AnalysisOptions.lesion_matching,
    reference_share: float | None = None,
) -> Analysis:
    """Scores, gaps, intervals and subgroups of one model.

    Args:
        cases: table with one row a case, indexed by case ID or with a column ``case_id``, with ``dsc`` and ``norm_hd``
            and what else :func:`score_folder` measures; with a column ``class``, one row a case and class.
        metadata: table of the same cases; every value is a group, NaN where unknown. The challenge's variables may also
            be years of age, free-text menopause and density letters.
        lesions: what :func:`score_lesions` gives of the same cases; None where lesions are not to be described.
        variables: columns of the metadata that decide the fairness score; None takes the challenge's where there are
            any, else all.
        attributes: further columns for the table of subgroups; None takes all others.
        lambda_: weight of the fairness in the ranking, in [0, 1].
        min_group: groups with fewer cases are shown but decide nothing beyond the challenge's score.
        min_support: smallest share of the cases a combination of attributes must hold.
        max_items: largest number of attributes in a combination.
        failure_dsc: a case with a DSC of 0 or below this is a failure.
        n_resamples: bootstrap replicates.
        confidence: coverage of the intervals, in (0, 1).
        seed: seed of the bootstrap.
        lesion_matching: which lesions count as found: ``touch``, ``iou`` or ``one-to-one``.
        reference_share: share of the image that a lesion takes, in (0, 1), for nDSC; None takes the cases' mean.

    Returns:
        The analysis.

    Raises:
        UserError: a column is absent, the tables have no case in common, no case has a score, or an argument takes
            another value.

    Example:
        >>> import nnunet_fair
        >>> import pandas as pd
        >>> ids = [f"case{i}" for i in range(40)]
        >>> cases = pd.DataFrame({"dsc": [0.9, 0.6] * 20, "norm_hd": [0.02, 0.1] * 20}, index=ids)
        >>> metadata = pd.DataFrame({"sex": ["f", "m"] * 20, "site": ["s", "s", "t", "t"] * 10}, index=ids)
        >>> analysis = nnunet_fair.evaluate_cases(cases, metadata, variables=["sex"], n_resamples=200)
        >>> analysis.by_variable.loc["sex", ["fairness", "gap_dsc"]].round(2).to_dict()
        {'fairness': 0.81, 'gap_dsc': 0.3}
        >>> analysis.subgroups[["subgroup", "n", "mean_dsc"]].head(3)
          subgroup   n  mean_dsc
        0      all  40      0.75
        1    sex=f  20      0.90
        2    sex=m  20      0.60
        >>> equity = analysis.equity.query("attributes == 'sex' and metric == 'dsc'").set_index("measure")["value"]
        >>> equity[["es_sum", "es_std_population", "skewness"]].round(3).to_dict()
        {'es_sum': 0.577, 'es_std_population': 0.652, 'skewness': 4.0}
        >>> analysis.equivalence(margin=0.05)[["subgroup", "equivalent"]].head(2).to_dict("list")
        {'subgroup': ['sex=f', 'sex=m'], 'equivalent': [False, False]}
    """
    table, of_classes, settings = complete_cases(cases, "cases")
    if not table["dsc"].notna().any():
        raise UserError(f"none of the {len(table)} cases in `cases` has a DSC; there is nothing to evaluate")
    if lesion_matching not in MATCHINGS:
        raise UserError(f"`lesion_matching` is one of {', '.join(MATCHINGS)}; found {lesion_matching!r}")
    if reference_share is not None and not 0 < reference_share < 1:
        raise UserError(f"`reference_share` is a share above 0 and below 1; found {reference_share!r}")
    if lesions is not None:
        expected = [*([CLASS] if of_classes else []), *LESION_COLUMNS]
        absent = [name for name in expected if name not in lesions.columns]
        if absent:
            raise UserError(f"`lesions` has no column {absent[0]!r}; score_lesions gives such a table")
    groups = case_groups(
        indexed_by_case(metadata, "metadata"),
        table.index,
        variables=variables,
        attributes=attributes,
        min_group=min_group,
    )
    options = AnalysisOptions(
        lambda_=lambda_,
        subgroups=SubgroupOptions(
            min_group=min_group,
            min_support=min_support,
            max_items=max_items,
            failure_dsc=failure_dsc,
            n_resamples=n_resamples,
            confidence=confidence,
            seed=seed,
        ),
        lesion_matching=lesion_matching,
        reference_share=reference_share,
    )
    policy = EmptyMaskPolicy(settings["empty_masks"]) if settings else None
    found = analyse_classes(table, of_classes, groups, options, policy=policy, lesions=lesions)
    return Analysis(found, settings)


def complete_cases(cases: pd.DataFrame, what: str) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], dict[str, Any]]:
    """A table of cases as the analysis needs it, and how it was scored.

    Args:
        cases: one row a case, or a case and class, with ``dsc`` and ``norm_hd``.
        what: the argument's name, for messages.

    Returns:
        The table by case ID with every column the tables use, NaN where it was not measured: the mean over the classes
        where there are several; the table of each class, empty where there is one foreground; and the settings of the
        scoring, empty where they are not known.

    Raises:
        UserError: a column is absent, or the classes have different cases.
    """
    classes = {name: _complete(table, what) for name, table in split_classes(cases, what).items()}
    table = mean_of_classes(classes) if classes else _complete(indexed_by_case(cases, what), what)
    settings = dict(cases.attrs.get(SCORING, {}))
    return table, classes, {"empty_masks": settings.pop("empty"), **settings} if settings else {}


def _complete(table: pd.DataFrame, what: str) -> pd.DataFrame:
    for name in REQUIRED:
        if name not in table.columns:
            raise UserError(
                f"`{what}` has no column {name!r}; it has {', '.join(map(str, table.columns))}; score_folder and "
                "score_pairs give such a table"
            )
    defaults: dict[str, Any] = {**dict.fromkeys(MEASURED, np.nan), "status": SCORED, "problem": ""}
    return table.assign(**{name: value for name, value in defaults.items() if name not in table.columns})
