"""Two models class by class: paired tables, one correction, where levels moved, which group is worst in which class."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.comparison.levelling import levelling_audit
from nnunet_fair.evaluation.comparison.paired_differences import Comparison, PairedScores, compare_scores, pair_scores
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.classes import (
    MEAN,
    furthest_below_its_class,
    stacked,
    tables_corrected_over_classes,
)
from nnunet_fair.evaluation.scores.false_positives import absent_classes_sentence
from nnunet_fair.evaluation.scores.options import AnalysisOptions

SIDES = ("a", "b")


ClassTables = Mapping[str, pd.DataFrame]


def pair_classes(tables_a: Sequence[ClassTables], tables_b: Sequence[ClassTables]) -> dict[str, PairedScores]:
    """The paired scores of each class; none where there is one foreground.

    Args:
        tables_a: the per-case table of each class, see
            :func:`~nnunet_fair.evaluation.scores.classes.class_tables`, one entry a seed of model A.
        tables_b: one entry a seed of model B.

    Raises:
        UserError: the tables hold different classes, or no case of a class has a score in every table.
    """
    found = dict.fromkeys(tuple(tables) for tables in (*tables_a, *tables_b))
    if len(found) > 1:
        raise UserError(
            "the models were scored with different classes: "
            f"{' and '.join(', '.join(names) or 'one foreground' for names in found)}; score them alike"
        )
    pair = functools.partial(pair_scores, absent_allowed=True)
    return {name: pair([t[name] for t in tables_a], [t[name] for t in tables_b]) for name in next(iter(found))}


def compare_classes(
    scores: PairedScores,
    of_classes: Mapping[str, PairedScores],
    groups: CaseGroups,
    options: AnalysisOptions,
    *,
    paired_seeds: bool = False,
    policy: EmptyMaskPolicy | None = None,
) -> Comparison:
    """Compare two models, and in each class where there are several, with q corrected over all of them.

    Args:
        scores: the paired scores, of the mean over the classes where there are several.
        of_classes: the paired scores of each class; empty where there is one foreground.
        groups: see :func:`~nnunet_fair.evaluation.comparison.paired_differences.compare_scores`, as all that follow.
        options: see there.
        paired_seeds: see there.
        policy: see there.

    Raises:
        UserError: see there.
    """
    compare = functools.partial(
        compare_scores, groups=groups, options=options, paired_seeds=paired_seeds, policy=policy
    )
    comparison = compare(scores)
    if not of_classes:
        return comparison
    classes = {name: compare(of_class) for name, of_class in of_classes.items()}
    n_empty = {name: len(found.false_positives.case_ids) for name, found in of_classes.items()}
    absent = {
        name: (n_empty[name], n_empty[name] + int(found.present.sum()))
        for name, found in of_classes.items()
        if n_empty[name]
    }
    told = (absent_classes_sentence(absent, policy),) if absent else ()
    corrected = tables_corrected_over_classes({name: found.subgroups for name, found in classes.items()})
    return dataclasses.replace(
        comparison,
        sentences=(*told, *comparison.sentences),
        classes={name: dataclasses.replace(found, subgroups=corrected[name]) for name, found in classes.items()},
    )


def all_comparisons(comparison: Comparison) -> dict[str, Comparison]:
    """The comparison of the mean of classes and of each class by name; of one foreground under an empty name."""
    return {MEAN: comparison, **comparison.classes} if comparison.classes else {"": comparison}


def levelling_by_class(comparison: Comparison) -> pd.DataFrame:
    """The levelling-down audit, of the mean of classes and of each class where there are several.

    Returns:
        The tables of :func:`~nnunet_fair.evaluation.comparison.levelling.levelling_audit`, with the class in the first
        column where there are classes.
    """
    if not comparison.classes:
        return levelling_audit(comparison)
    return stacked({name: levelling_audit(found) for name, found in all_comparisons(comparison).items()})


def worst_of_classes(comparison: Comparison) -> dict[str, pd.Series]:
    """The group and class furthest below its class's mean under each model.

    Returns:
        The row of the table of differences, with ``class`` and ``divergence`` (under that model), by side (``a``,
        ``b``); empty where no attribute has two groups that may decide.
    """
    worst = {}
    for side in SIDES:
        mean = f"mean_dsc_{side}"
        tables = {
            name: found.subgroups.assign(divergence=found.subgroups[mean] - found.subgroups[mean].iloc[0])
            for name, found in comparison.classes.items()
        }
        row = furthest_below_its_class(tables) if tables else None
        if row is not None:
            worst[side] = row
    return worst
