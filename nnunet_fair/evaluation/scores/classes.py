"""Several classes: one per-case table each, their mean, and one correction over all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.calibration import BIN_COLUMNS, CALIBRATION_METRICS
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.metrics.ndsc import NDSC, with_ndsc
from nnunet_fair.evaluation.metrics.score_cases import CLASS, METRICS
from nnunet_fair.evaluation.metrics.second_reader import READER_METRICS
from nnunet_fair.evaluation.scores.analysis import Analysis, analyse
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.cohort import has_structure
from nnunet_fair.evaluation.scores.false_positives import absent_classes_sentence
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.search import false_discovery_rate

MEAN = "mean of classes"
AVERAGED = ("dsc", NDSC, "hd95_voxel", "norm_hd", "hd95_mm", "surface_dsc", "precision", "recall")


def class_tables(cases: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The per-case table of every class.

    Args:
        cases: table with one row a case and class, indexed by case ID, with a column ``class``.

    Returns:
        The table of each class by name, one row a case, in the order of the classes; none without that column.
    """
    if CLASS not in cases.columns:
        return {}
    return {str(name): cases[cases[CLASS] == name].drop(columns=CLASS) for name in cases[CLASS].unique()}


def mean_of_classes(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The mean over the classes of each case.

    Overlaps and distances are averaged over the classes that the case's reference holds, as an absent class has none;
    over all where it holds none. Volumes and lesions are those of all classes together (of regions that share labels,
    each counts).
    Calibration is of a class and has no mean.

    Args:
        tables: the table of each class, all with the same cases in the same order.

    Returns:
        Table with one row a case and the columns of one class.
    """
    frames = list(tables.values())
    present = np.stack([has_structure(frame) for frame in frames])
    counts = np.where(present.any(axis=0), present, True)
    mean = frames[0].drop(columns=[*CALIBRATION_METRICS, *BIN_COLUMNS], errors="ignore")
    names = (*METRICS, NDSC, *READER_METRICS)
    for name in (name for name in names if all(name in frame.columns for frame in frames)):
        values = np.stack([frame[name].to_numpy(dtype=float) for frame in frames])
        if name in AVERAGED or name in READER_METRICS:
            used = counts & ~np.isnan(values)
            totals = np.where(used, values, 0.0).sum(axis=0)
            n = used.sum(axis=0)
            mean[name] = np.divide(totals, n, out=np.full(len(mean), np.nan), where=n > 0)
        else:
            mean[name] = values.sum(axis=0)
    return mean


def analyse_classes(
    cases: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    groups: CaseGroups,
    options: AnalysisOptions,
    *,
    policy: EmptyMaskPolicy | None = None,
    lesions: pd.DataFrame | None = None,
) -> Analysis:
    """The analysis of all cases, and of each class where there are several, with q corrected over all classes.

    Args:
        cases: the per-case table, the mean of classes where there are several.
        tables: the table of each class; empty where there is one foreground.
        groups: the cases' groups.
        options: how.
        policy: what two empty masks scored; None where that is not known.
        lesions: one row a lesion, with its class where there are several; None where they are not known.

    Returns:
        The analysis; its cases, and those of each class, have the column ``ndsc`` where volumes were measured.
    """
    share = options.reference_share
    if not tables:
        return analyse(with_ndsc(cases, share), groups, options, policy=policy, lesions=lesions)
    scored = {name: with_ndsc(table, share) for name, table in tables.items()}
    if all(NDSC in table.columns for table in scored.values()):
        cases = cases.drop(columns=NDSC, errors="ignore")
        cases.insert(cases.columns.get_loc("dsc") + 1, NDSC, mean_of_classes(scored)[NDSC])
    result = analyse(cases, groups, options, policy=policy, lesions=lesions)
    analyses = {
        name: analyse(table, groups, options, policy=policy, lesions=_of_class(lesions, name))
        for name, table in scored.items()
    }
    absent = {name: (found.n_empty, len(found.cases)) for name, found in analyses.items() if found.n_empty}
    told = (absent_classes_sentence(absent, policy),) if absent else ()
    return dataclasses.replace(result, classes=corrected_over_classes(analyses), warnings=(*told, *result.warnings))


def _of_class(lesions: pd.DataFrame | None, name: str) -> pd.DataFrame | None:
    return None if lesions is None else lesions[lesions[CLASS] == name]


def corrected_over_classes(analyses: Mapping[str, Analysis]) -> dict[str, Analysis]:
    """The analyses with q corrected for the false discovery rate over the subgroups of all of them.

    Args:
        analyses: an analysis by class.

    Returns:
        The same, with another column ``q`` in their tables of subgroups.
    """
    tables = tables_corrected_over_classes({name: found.subgroups for name, found in analyses.items()})
    return {name: dataclasses.replace(found, subgroups=tables[name]) for name, found in analyses.items()}


def tables_corrected_over_classes(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables of subgroups with q corrected for the false discovery rate over the rows of all of them.

    Args:
        tables: a table by class, with the column ``p``.
    """
    q = false_discovery_rate(np.concatenate([table["p"].to_numpy(dtype=float) for table in tables.values()]))
    ends = np.cumsum([len(table) for table in tables.values()])
    parts = np.split(q, ends[:-1])
    return {name: table.assign(q=part) for (name, table), part in zip(tables.items(), parts, strict=True)}


def stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of several classes as one, with the class in the first column."""
    with_rows = {name: table for name, table in tables.items() if len(table)}
    if not with_rows:
        return next(iter(tables.values())).iloc[:0]
    joined = pd.concat([table.assign(**{CLASS: name}) for name, table in with_rows.items()], ignore_index=True)
    return joined[[CLASS, *(column for column in joined.columns if column != CLASS)]]


def worst_group_of_all_classes(analyses: Mapping[str, Analysis]) -> pd.Series | None:
    """The group and class with the lowest divergence, see :func:`furthest_below_its_class`.

    Args:
        analyses: an analysis by class.
    """
    return furthest_below_its_class({name: analysis.subgroups for name, analysis in analyses.items()})


def furthest_below_its_class(tables: Mapping[str, pd.DataFrame]) -> pd.Series | None:
    """The group and class with the lowest divergence from the class's own mean.

    A class that is hard in every patient is no disparity: each group is measured against its class.

    Args:
        tables: a table of subgroups by class, with ``kind``, ``decides`` and ``divergence``.

    Returns:
        The row of the stacked tables; None where no variable has two groups that may decide.
    """
    table = stacked(tables)
    groups = table[(table["kind"] == "group") & table["decides"]]
    if groups.empty:
        return None
    sizes = groups.groupby([CLASS, "attributes"])["subgroup"].transform("size")
    compared = groups[(sizes > 1) & groups["divergence"].notna()]
    return compared.loc[compared["divergence"].idxmin()] if len(compared) else None
