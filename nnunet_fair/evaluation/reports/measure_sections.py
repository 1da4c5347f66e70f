"""Sections on further measures, as plain tables: without size, worst tenth, volume, lesions, published measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nnunet_fair.evaluation.metrics.ndsc import NDSC
from nnunet_fair.evaluation.reports.numbers import interval, number, p_value
from nnunet_fair.evaluation.reports.page import N_COMBINATIONS
from nnunet_fair.evaluation.reports.shown_tables import CANNOT, ShownTable, interval_of, shown_table, text_of, value_of
from nnunet_fair.evaluation.scores.analysis import Analysis
from nnunet_fair.evaluation.scores.lesion_table import ALL_SIZES

MATCHING_TEXTS = {
    "touch": "a lesion counts as found where a predicted one shares a voxel with it",
    "iou": "a lesion counts as found where a predicted one has an intersection over union of 0.1 or more with it",
    "one-to-one": "a lesion counts as found where it is paired with a predicted one, an intersection over union of 0.1 "
    "or more and no lesion in two pairs",
}
METRIC_NAMES = {"dsc": "DSC", NDSC: "nDSC", "surface_dsc": "surface DSC", "norm_hd": "NormHD"}
EQUITY_SHOWN = (
    "es_sum",
    "es_std_population",
    "es_std_sample",
    "skewness",
    "minimum",
    "maximum",
    "gap",
    "std_population",
)


@dataclass(frozen=True)
class MeasureSection:
    """A section of the page.

    Attributes:
        name: its anchor.
        title: its heading.
        short: its name among the links.
        text: the paragraph above the tables.
        tables: its tables, one or more.
    """

    name: str
    title: str
    short: str
    text: str
    tables: list[ShownTable]


def measure_sections(analysis: Analysis) -> list[MeasureSection]:
    """The sections that have something to show.

    Args:
        analysis: the scores; where there are several classes each class's tables follow, folded away.

    Returns:
        The sections in the order of the page.
    """
    options = analysis.options
    share = analysis.measures.reference_share
    of_all = f"r = {share:.2g}" if math.isfinite(share) else "r is not known for these cases"
    by_class = "each class has its own r" if analysis.classes else of_all
    makers: list[tuple[str, str, str, str, Callable[[Analysis], Iterator[ShownTable]]]] = [
        (
            "size-neutral",
            "Without lesion size",
            "Without size",
            "Larger lesions have a higher DSC, so a group with smaller tumours looks worse under a model that treats "
            "all alike. nDSC weighs false positives as if every lesion took the same share r of its image "
            f"({by_class}); the gap at equal size compares groups at the same tumour sizes. A gap that both leave is "
            "none of size.",
            _size_neutral,
        ),
        (
            "worst-tenth",
            "The worst tenth",
            "Worst tenth",
            "A mean hides its worst patients. This is the mean DSC of the worst tenth of each group's cases.",
            _worst_tenth,
        ),
        (
            "volume",
            "Too small or too large?",
            "Volume",
            "Relative volume error, (prediction − reference) / reference, and the difference in mL with Bland and "
            "Altman's limits, between which 19 of 20 patients are expected. A missing prediction is an empty one, "
            "−100 %.",
            _volume,
        ),
        (
            "lesions",
            "Lesions found, missed and invented",
            "Lesions",
            f"Each connected component is a lesion; {MATCHING_TEXTS[options.lesion_matching]}. Replicates draw "
            "patients, whose lesions stay together.",
            _lesions,
        ),
        (
            "equity",
            "Published fairness measures",
            "Published measures",
            "Measures as other tools and papers report them, by their names, over the groups of at least "
            f"{options.subgroups.min_group} cases. Equity-scaled values divide the mean by 1 plus the spread of the "
            "groups: near the mean is fair.",
            _equity,
        ),
        (
            "equivalence",
            "Is a difference absent, or not seen?",
            "Equivalence",
            f"Differences below {options.margin:g} were named as not mattering. A group is the same within that margin "
            "where the 90 % interval of its difference from the other cases lies inside it (two one-sided tests at 5 "
            "%)."
            if options.margin is not None
            else "",
            _equivalence,
        ),
    ]
    sections = []
    for name, title, short, text, tables_of in makers:
        tables = list(tables_of(analysis))
        for class_name, found in analysis.classes.items():
            tables += [_folded(table, class_name) for table in tables_of(found)]
        if tables:
            sections.append(MeasureSection(name, title, short, text, tables))
    return sections


def _folded(table: ShownTable, class_name: str) -> ShownTable:
    """A class's table, folded away under its name."""
    title = f"{class_name}: {table.title}" if table.title else class_name
    return ShownTable(table.caption, table.columns, table.rows, table.few, title)


def _with_worst_combinations(table: pd.DataFrame, by: str, *, ascending: bool = True) -> pd.DataFrame:
    """The whole cohort, every group, and the combinations that may decide with the lowest values."""
    combinations = table[(table["kind"] == "combination") & table["decides"] & table[by].notna()]
    worst = combinations.sort_values(by, ascending=ascending, kind="stable").head(N_COMBINATIONS)
    return pd.concat([table[table["kind"] != "combination"], worst])


def _italics(analysis: Analysis) -> str:
    """What the rows in italics are, and which combinations are shown."""
    text = f" In italics: fewer than {analysis.options.subgroups.min_group} cases."
    if (analysis.subgroups["kind"] == "combination").any():
        text += f" Of the combinations the {N_COMBINATIONS} lowest; all are in the .csv file."
    return text


def _size_neutral(analysis: Analysis) -> Iterator[ShownTable]:
    table = analysis.measures.size_neutral
    if len(table):
        yield shown_table(
            table,
            "Gap: largest minus smallest group mean. All three from the same replicates.",
            {
                "Attributes": text_of("attributes"),
                "cases": text_of("n_cases"),
                "groups": text_of("n_groups"),
                "smallest group": text_of("smallest_group"),
                "gap of DSC": value_of("gap_dsc"),
                "interval": interval_of("gap_dsc"),
                "gap of nDSC": value_of("gap_ndsc"),
                "interval of nDSC's": interval_of("gap_ndsc"),
                "gap at equal size": value_of("gap_equal_size"),
                "interval at equal size": interval_of("gap_equal_size"),
            },
        )


def _worst_tenth(analysis: Analysis) -> Iterator[ShownTable]:
    table = _with_worst_combinations(analysis.subgroups, "worst_tenth_dsc")
    if not len(table) or not table["n"].iloc[0]:
        return
    columns = {
        "Group": text_of("subgroup"),
        "n": text_of("n"),
        "mean DSC": value_of("mean_dsc"),
        "worst tenth": value_of("worst_tenth_dsc"),
        "interval": interval_of("worst_tenth_dsc"),
    }
    if table["mean_ndsc"].notna().any():
        columns |= {"mean nDSC": value_of("mean_ndsc"), "interval of nDSC": interval_of("mean_ndsc")}
    yield shown_table(
        table, "No interval: fewer than three cases in the worst tenth, or all alike." + _italics(analysis), columns
    )


def _volume(analysis: Analysis) -> Iterator[ShownTable]:
    table = analysis.measures.volume
    if len(table):
        yield shown_table(
            _with_worst_combinations(table, "relative_error"),
            "Tendency: too small or too large where the interval of the relative error lies on one side of 0. q: "
            "Welch test of the relative error against the other cases, corrected for the number of subgroups."
            + _italics(analysis),
            {
                "Group": text_of("subgroup"),
                "n": text_of("n"),
                "relative error (%)": value_of("relative_error", 1, scale=0.01, sign=True),
                "interval": interval_of("relative_error", 1, scale=0.01),
                "tendency": lambda row: row.tendency or CANNOT,
                "q": lambda row: p_value(row.q),
                "difference (mL)": value_of("bias_mm3", 2, scale=1000, sign=True),
                "its interval": interval_of("bias_mm3", 2, scale=1000),
                "lower limit (mL)": value_of("limit_low_mm3", 2, scale=1000, sign=True),
                "interval of the lower": interval_of("limit_low_mm3", 2, scale=1000),
                "upper limit (mL)": value_of("limit_high_mm3", 2, scale=1000, sign=True),
                "interval of the upper": interval_of("limit_high_mm3", 2, scale=1000),
            },
        )


def _lesions(analysis: Analysis) -> Iterator[ShownTable]:
    table = analysis.measures.lesions
    if not len(table):
        return
    counts: dict[str, Callable[[Any], str]] = {
        "cases": text_of("n"),
        "lesions": text_of("n_lesions"),
        "found": text_of("n_found"),
        "false": text_of("n_false"),
        "sensitivity": value_of("sensitivity"),
        "interval": interval_of("sensitivity"),
    }
    yield shown_table(
        _with_worst_combinations(table[table["size"] == ALL_SIZES], "sensitivity"),
        "Sensitivity: found / all lesions. Precision: found / (found + false). F1 and the lesion-wise DSC count "
        "missed and false ones alike, as BraTS defines them." + _italics(analysis),
        {
            "Group": text_of("subgroup"),
            **counts,
            "precision": value_of("precision"),
            "its interval": interval_of("precision"),
            "F1": value_of("f1"),
            "interval of F1": interval_of("f1"),
            "lesion-wise DSC": value_of("lesion_dsc"),
            "interval of it": interval_of("lesion_dsc"),
            "false a case": value_of("false_per_case", 2),
            "interval a case": interval_of("false_per_case", 2),
        },
    )
    by_size = table[(table["size"] != ALL_SIZES) & (table["kind"] != "combination")]
    if len(by_size):
        yield shown_table(
            by_size,
            "Thirds of the reference's lesions by volume, and absolute sizes; the diameter is that of the ball of the "
            "lesion's volume. A false lesion has its own size.",
            {
                "Group": text_of("subgroup"),
                "size": text_of("size"),
                **counts,
                "F1": value_of("f1"),
                "interval of F1": interval_of("f1"),
            },
            title="By lesion size",
        )


def _equity(analysis: Analysis) -> Iterator[ShownTable]:
    for metric, table in analysis.measures.equity.groupby("metric", sort=False):
        rows, few = [], []
        for attributes, of_one in table.groupby("attributes", sort=False):
            by_measure = {row.measure: row for row in of_one.itertuples()}
            first = next(iter(by_measure.values()))
            cells = [_equity_cell(by_measure.get(measure)) for measure in EQUITY_SHOWN]
            rows.append([str(attributes), str(first.n_cases), str(first.n_groups), str(first.smallest_group), *cells])
            few.append(False)
        yield ShownTable(
            f"{METRIC_NAMES[str(metric)]}, with intervals. es_sum: mean / (1 + Σ|mean − group mean|); es_std: mean / "
            "(1 + standard deviation of the group means), of the groups (population) or of a sample of groups; for "
            "NormHD they multiply. Skewness: (1 − smallest) / (1 − largest).",
            ("Attributes", "cases", "groups", "smallest group", *EQUITY_SHOWN),
            rows,
            few,
            "" if metric == "dsc" else METRIC_NAMES[str(metric)],
        )


def _equity_cell(row: Any) -> str:
    """A measure with its interval."""
    if row is None:
        return "–"
    if pd.isna(row.value):
        return CANNOT
    return f"{number(row.value)} ({interval(row.low, row.high)})"


def _equivalence(analysis: Analysis) -> Iterator[ShownTable]:
    table = analysis.measures.equivalence
    if len(table):
        shown = table.assign(size=table["difference"].abs())
        yield shown_table(
            _with_worst_combinations(shown, "size", ascending=False),
            "Difference: mean DSC of the group minus that of the other cases. Can show: the smallest difference that "
            f"so many cases find in 80 of 100 studies. In italics: fewer than {analysis.options.subgroups.min_group} "
            "cases. Of the combinations those that differ most.",
            {
                "Group": text_of("subgroup"),
                "n": text_of("n"),
                "others": text_of("n_others"),
                "difference": value_of("difference", sign=True),
                "90 % interval": lambda row: interval(row.low, row.high),
                "the same within the margin": lambda row: row.note or ("yes" if row.equivalent else "not shown"),
                "p": lambda row: p_value(row.p_equivalence),
                "can show": value_of("smallest_detectable"),
            },
        )
