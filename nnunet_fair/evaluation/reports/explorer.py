"""What the page's script explores: the groups with their means, and the cases unless the page names no patient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from nnunet_fair.evaluation.comparison.paired_differences import Comparison
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.scores.analysis import Analysis

MANY_CLASSES = 20
SIGNIFICANT = 5  # digits of a case's value
NOTE = "The page holds the IDs and groups of the cases: share it as you would share cases.csv."


@dataclass(frozen=True)
class Metric:
    """A metric that can be looked at.

    Attributes:
        key: its name in the page's data.
        label: its name for people.
        digits: after the point.
        range: the values it can take; None where it has no bounds.
        signed: whether it is a difference.
    """

    key: str
    label: str
    digits: int = 3
    range: tuple[float, float] | None = (0.0, 1.0)
    signed: bool = False


METRICS = (
    Metric("dsc", "DSC"),
    Metric("ndsc", "nDSC"),
    Metric("norm_hd", "NormHD"),
    Metric("hd95_mm", "HD95 (mm)", 1, None),
    Metric("surface_dsc", "surface DSC"),
    Metric("precision", "precision"),
    Metric("recall", "recall"),
)
VOLUME = {"key": "volume", "label": "volume of the reference (mL)", "range": None, "log": True}


def evaluation_explorer(analysis: Analysis, *, with_cases: bool) -> dict[str, Any] | None:
    """What can be explored of one set of predictions.

    Args:
        analysis: the scores; where there are classes, each can be chosen.
        with_cases: whether the cases are in it, with their IDs and groups; else only the rows of the group tables.

    Returns:
        Plain data for the page's script, the DSC alone where there are many classes; None where there is no group.
    """
    analyses = {"mean of the classes": analysis, **analysis.classes} if analysis.classes else {"": analysis}
    ids = list(dict.fromkeys(case for found in analyses.values() for case in found.present.cases.index))
    attributes = _attributes(found.subgroups for found in analyses.values())
    if not attributes:
        return None
    means = {"dsc": "mean_dsc", "norm_hd": "mean_norm_hd"}
    measured = set.intersection(*(set(found.present.cases.columns) for found in analyses.values()))
    metrics = tuple(m for m in METRICS if m.key in measured and (with_cases or m.key in means))
    if len(analyses) > MANY_CLASSES:
        metrics = metrics[:1]  # every metric of every class of every case would make the page slow to open
    classes = []
    for name, found in analyses.items():
        cases = found.present.cases.reindex(ids)
        columns = {metric.key: cases[metric.key] for metric in metrics}
        if "volume_reference_mm3" in cases.columns:
            columns["volume"] = cases["volume_reference_mm3"] / 1000
        values = {key: _values(column) for key, column in columns.items()} if with_cases else {}
        classes.append({"name": name, "values": values, **_groups(found.subgroups, attributes, means)})
    scatter = {"x": VOLUME, "y": None, "diagonal": False, "caption": "Every case against the size of its structure."}
    return {
        "attributes": [{"name": name, "groups": groups} for name, groups in attributes.items()],
        "metrics": [asdict(metric) for metric in metrics],
        "classes": classes,
        "cases": _cases(ids, analysis.groups.frame, attributes) if with_cases else None,
        "scatter": scatter if with_cases else None,
        "changes": False,
        "note": NOTE,
    }


def comparison_explorer(
    comparison: Comparison, changes: pd.DataFrame, options: CompareOptions, *, with_cases: bool
) -> dict[str, Any] | None:
    """What can be explored of two models: who rose, who fell, by group and case.

    Args:
        comparison: the numbers; where there are classes, each can be chosen.
        changes: the cases with the name each is shown under in ``case_id``, and its own ID in ``original``.
        options: the models' names.
        with_cases: see :func:`evaluation_explorer`.

    Returns:
        Plain data for the page's script; None where there is no group.
    """
    found = comparison.classes
    comparisons = {"mean of the classes": comparison, **found} if found else {"": comparison}
    attributes = _attributes(entry.subgroups for entry in comparisons.values())
    if not attributes:
        return None
    names = dict(zip(changes["original"], changes["case_id"], strict=True))
    ids = list(dict.fromkeys(case for entry in comparisons.values() for case in entry.scores.case_ids))
    label_a, label_b = f"DSC {options.name_a}", f"DSC {options.name_b}"
    metrics = (
        Metric("difference", f"difference in DSC ({options.name_b} − {options.name_a})", range=None, signed=True),
        Metric("a", label_a),
        Metric("b", label_b),
    )
    means = {"difference": "difference", "a": "mean_dsc_a", "b": "mean_dsc_b"}
    classes = []
    for name, entry in comparisons.items():
        values = {}
        if with_cases:
            table = pd.DataFrame(
                {
                    "difference": entry.scores.difference,
                    "a": entry.scores.dsc_a.mean(axis=0),
                    "b": entry.scores.dsc_b.mean(axis=0),
                },
                index=list(entry.scores.case_ids),
            )[entry.scores.present].reindex(ids)
            values = {key: _values(table[key]) for key in table}
        classes.append({"name": name, "values": values, **_groups(entry.subgroups, attributes, means)})
    scatter = {
        "x": {"key": "a", "label": label_a, "range": (0.0, 1.0), "log": False},
        "y": asdict(metrics[2]),
        "diagonal": True,
        "caption": f"Every case under both models; above the line {options.name_b} is better.",
    }
    cases = _cases(ids, comparison.groups.frame, attributes) if with_cases else None
    if cases is not None:
        cases["ids"] = [str(names.get(case, case)) for case in ids]
    return {
        "attributes": [{"name": name, "groups": groups} for name, groups in attributes.items()],
        "metrics": [asdict(metric) for metric in metrics],
        "classes": classes,
        "cases": cases,
        "scatter": scatter if with_cases else None,
        "changes": True,
        "note": NOTE,
    }


def _attributes(tables: Iterable[pd.DataFrame]) -> dict[str, list[str]]:
    """The groups of each attribute, in the tables' order."""
    attributes: dict[str, list[str]] = {}
    for table in tables:
        for row in table[table["kind"] == "group"].itertuples():
            groups = attributes.setdefault(str(row.attributes), [])
            group = group_name(row)
            if group not in groups:
                groups.append(group)
    return attributes


def group_name(row: Any) -> str:
    """The group of a row with one attribute."""
    return str(row.subgroup)[len(str(row.attributes)) + 1 :]


def _groups(table: pd.DataFrame, attributes: Mapping[str, Sequence[str]], means: Mapping[str, str]) -> dict[str, Any]:
    """The rows of all cases and of single groups, with mean and interval of each metric."""
    number = {name: i for i, name in enumerate(attributes)}
    rows = [
        {
            "attribute": number[str(row.attributes)],
            "group": list(attributes[str(row.attributes)]).index(group_name(row)),
            "n": int(row.n),
            "decides": bool(row.decides),
            "means": _means(row, means),
        }
        for row in table[table["kind"] == "group"].itertuples()
    ]
    whole = next(table[table["kind"] == "all"].itertuples())
    return {"groups": rows, "all": {"n": int(whole.n), "means": _means(whole, means)}}


def _means(row: Any, means: Mapping[str, str]) -> dict[str, list[float | None]]:
    """Mean, low and high of each metric in a row; nothing of a metric that has no mean there."""
    found = {
        key: [_value(getattr(row, f"{column}{end}", math.nan)) for end in ("", "_low", "_high")]
        for key, column in means.items()
    }
    return {key: values for key, values in found.items() if values[0] is not None}


def _cases(ids: Sequence[str], frame: pd.DataFrame, attributes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """IDs, and the number of each case's group of each attribute (-1 for none)."""
    groups = []
    for attribute, names in attributes.items():
        number = {name: i for i, name in enumerate(names)}
        column = frame[attribute].reindex(ids)
        groups.append(
            [number.get(str(group), -1) if known else -1 for group, known in zip(column, column.notna(), strict=True)]
        )
    return {"ids": [str(case) for case in ids], "groups": groups}


def _values(column: pd.Series) -> list[float | str | None]:
    """The cases' values: rounded, None where there is none, ``"∞"`` for infinity, which JSON does not have."""
    return ["∞" if value == math.inf else _value(value) for value in column.astype(float)]


def _value(value: float) -> float | None:
    return float(f"{value:.{SIGNIFICANT}g}") if math.isfinite(value) else None
