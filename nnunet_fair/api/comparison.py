"""Two models compared from their tables of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.api.analysis import complete_cases
from nnunet_fair.api.case_tables import WithClasses, indexed_by_case
from nnunet_fair.evaluation.comparison import paired_differences as core
from nnunet_fair.evaluation.comparison.case_changes import case_changes
from nnunet_fair.evaluation.comparison.classes import SIDES, compare_classes, pair_classes, worst_of_classes
from nnunet_fair.evaluation.comparison.document import comparison_document
from nnunet_fair.evaluation.comparison.levelling import levelling_audit, overall_sentence
from nnunet_fair.evaluation.reports.comparison_report import comparison_report
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.reports.page import render_fragment
from nnunet_fair.evaluation.scores.case_groups import case_groups
from nnunet_fair.evaluation.scores.classes import MEAN
from nnunet_fair.evaluation.scores.options import CHALLENGE_LAMBDA, AnalysisOptions
from nnunet_fair.files import write_text
from nnunet_fair.subgroups.options import CONFIDENCE, MAX_ITEMS, MIN_GROUP, MIN_SUPPORT, N_RESAMPLES, SubgroupOptions


class Comparison(WithClasses):
    """Two models compared on the cases both have; what :func:`compare_models` gives. Every difference is B minus A.

    Attributes:
        cases: what changed for each case, indexed by case ID, the most worsened first.
        differences: table indexed by statistic: ``a``, ``b``, ``difference`` with the ends of its paired interval,
            ``low`` and ``high``.
        subgroups: the paired difference in every group and frequent combination, with Wilcoxon's p and q.
        false_positives: the paired differences where the reference is empty.
        levelling: the levelling-down audit: whether gaps changed at their worst or their best end.
        sentence: the audit in one sentence.
        left_out: IDs of the cases without a score in some table.
        classes: the comparison of each class by its name, where the tables have several (a column ``class``);
            everything else is then about the mean over the classes that a case's reference holds. Empty for one
            foreground.
    """

    def __init__(
        self, comparison: core.Comparison, first: Mapping[str, pd.DataFrame], names: tuple[str, str], of: str
    ) -> None:
        self._comparison = comparison
        self._names = names
        self.levelling: pd.DataFrame = levelling_audit(comparison)
        self.sentence: str = overall_sentence(comparison, self.levelling, names[1])
        ends = comparison.difference.values.ends()
        self.differences = pd.DataFrame(
            {
                "a": comparison.a.values.estimate,
                "b": comparison.b.values.estimate,
                "difference": comparison.difference.values.estimate,
                "low": ends[:, 0],
                "high": ends[:, 1],
            },
            index=pd.Index(comparison.difference.names, name="statistic"),
        )
        self.subgroups: pd.DataFrame = comparison.subgroups
        self.false_positives: pd.DataFrame = comparison.false_positives
        self.left_out: tuple[str, ...] = comparison.scores.left_out
        same = {case_id: case_id for case_id in comparison.scores.case_ids}
        self._changes = case_changes(comparison, first[of], same)
        self.cases: pd.DataFrame = self._changes.drop(columns="original").set_index("case_id")
        self.classes: dict[str, Comparison] = {
            name: Comparison(found, first, names, name) for name, found in comparison.classes.items()
        }

    @property
    def furthest_below_its_class(self) -> pd.DataFrame:
        """The group and class furthest below its class's mean under each model, indexed by the models' names."""
        rows = {self._names[SIDES.index(side)]: row for side, row in worst_of_classes(self._comparison).items()}
        return pd.DataFrame(rows).T.rename_axis("model")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, as ``comparison.json`` holds it; it names the cases that were left out."""
        names = {case_id: case_id for case_id in self.left_out}
        a, b = self._names
        return comparison_document(self._comparison, self.levelling, self.sentence, names, name_a=a, name_b=b)

    def to_html(
        self, path: str | PathLike[str] | None = None, *, title: str = CompareOptions.title, with_cases: bool = False
    ) -> str:
        """The report page, which needs no network; it names the cases that changed most.

        Args:
            path: where to write it; None writes nothing.
            title: its title.
            with_cases: whether single cases can be explored in it, by their IDs and groups; else groups only.

        Returns:
            HTML.
        """
        a, b = self._names
        page = comparison_report(
            self._comparison,
            self.levelling,
            sentence=self.sentence,
            options=CompareOptions(name_a=a, name_b=b, title=title),
            changes=self._changes,
            pictures=(),
            document=self.to_dict(),
            with_cases=with_cases,
        )
        if path is not None:
            write_text(page, Path(path))
        return page

    def _repr_html_(self) -> str:
        headline = ["ranking", "performance", "fairness", "mean_dsc", "worst_group_dsc"]
        return render_fragment(
            "comparison.html",
            {
                "comparison": self,
                "names": self._names,
                "n_cases": len(self.cases),
                "headline": self.differences.loc[headline],
                "groups": self.subgroups[self.subgroups["kind"] == "group"],
            },
        )

    def __repr__(self) -> str:
        return f"Comparison on {len(self.cases)} cases: {self.sentence}"


def compare_models(
    cases_a: pd.DataFrame | Sequence[pd.DataFrame],
    cases_b: pd.DataFrame | Sequence[pd.DataFrame],
    metadata: pd.DataFrame,
    *,
    paired_seeds: bool = False,
    names: tuple[str, str] = (CompareOptions.name_a, CompareOptions.name_b),
    variables: Sequence[str] | None = None,
    attributes: Sequence[str] | None = None,
    lambda_: float = CHALLENGE_LAMBDA,
    min_group: int = MIN_GROUP,
    min_support: float = MIN_SUPPORT,
    max_items: int = MAX_ITEMS,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Comparison:
    """Paired differences between two models, by subgroup, and whether a gap closed by levelling down.

    Args:
        cases_a: model A's table of cases (see :func:`evaluate_cases`), or one table a training seed.
        cases_b: model B's.
        metadata: table of the cases' groups, see :func:`evaluate_cases`.
        paired_seeds: the k-th tables of both models were trained as a pair (same folds, initialisation, batch order).
        names: the models' names in the report.
        variables: see :func:`evaluate_cases`.
        attributes: see :func:`evaluate_cases`.
        lambda_: weight of the fairness in the ranking, in [0, 1].
        min_group: groups with fewer cases are shown but decide nothing beyond the challenge's score.
        min_support: smallest share of the cases a combination of attributes must hold.
        max_items: largest number of attributes in a combination.
        n_resamples: bootstrap replicates.
        confidence: coverage of the intervals, in (0, 1).
        seed: seed of the bootstrap.

    Returns:
        The comparison, on the cases that have a score in every table.

    Raises:
        UserError: a column is absent, the tables have no case in common, or seeds cannot be paired.

    Example:
        >>> import nnunet_fair
        >>> import pandas as pd
        >>> ids = [f"case{i}" for i in range(40)]
        >>> metadata = pd.DataFrame({"sex": ["f", "m"] * 20}, index=ids)
        >>> before = pd.DataFrame({"dsc": [0.9, 0.6] * 20, "norm_hd": 0.1}, index=ids)
        >>> after = pd.DataFrame({"dsc": [0.8, 0.6] * 20, "norm_hd": 0.1}, index=ids)
        >>> comparison = nnunet_fair.compare_models(before, after, metadata, n_resamples=200)
        >>> comparison.differences.loc["gap_dsc:sex", ["a", "b", "difference"]].round(2).to_dict()
        {'a': 0.3, 'b': 0.2, 'difference': -0.1}
        >>> comparison.levelling["verdict"][0]
        'levelled down'
    """
    given_by_model = {"cases_a": cases_a, "cases_b": cases_b}
    complete = [
        [complete_cases(table, what) for table in ([given] if isinstance(given, pd.DataFrame) else given)]
        for what, given in given_by_model.items()
    ]
    scores = core.pair_scores(*([table for table, _, _ in of_model] for of_model in complete))
    of_classes = pair_classes(*([classes for _, classes, _ in of_model] for of_model in complete))
    groups = case_groups(
        indexed_by_case(metadata, "metadata"),
        list(dict.fromkeys([*scores.case_ids, *scores.false_positives.case_ids])),
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
            n_resamples=n_resamples,
            confidence=confidence,
            seed=seed,
        ),
    )
    compared = compare_classes(scores, of_classes, groups, options, paired_seeds=paired_seeds)
    table, classes, _ = complete[0][0]
    return Comparison(compared, {MEAN: table, **classes}, names, MEAN)
