"""The report: one self-contained HTML page from an analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nnunet_fair.evaluation.reports import figures
from nnunet_fair.evaluation.reports.calibration_section import calibration_sections
from nnunet_fair.evaluation.reports.class_heatmaps import heatmaps_of_classes
from nnunet_fair.evaluation.reports.explorer import evaluation_explorer
from nnunet_fair.evaluation.reports.measure_sections import measure_sections
from nnunet_fair.evaluation.reports.numbers import number
from nnunet_fair.evaluation.reports.page import N_COMBINATIONS, Picture, render, svg
from nnunet_fair.evaluation.reports.training_figures import training_figures
from nnunet_fair.evaluation.reports.training_records import TrainingRecords
from nnunet_fair.evaluation.scores.analysis import Analysis
from nnunet_fair.evaluation.scores.classes import MEAN, worst_group_of_all_classes


def evaluation_report(
    analysis: Analysis,
    *,
    title: str,
    overlays: Sequence[Picture] = (),
    training: TrainingRecords | None = None,
    settings: dict[str, Any],
    problems: Sequence[tuple[str, str]] = (),
    with_cases: bool = True,
) -> str:
    """The report of one set of predictions.

    Args:
        analysis: the scores.
        title: the page's title.
        overlays: pictures of the worst cases.
        training: records of the training, where there are any.
        settings: how the cases were scored, for the methods paragraph.
        problems: case ID and reason of every case that was not scored.
        with_cases: whether single cases can be explored, with their IDs and groups; False for a page that names no
            patient.

    Returns:
        HTML.
    """
    subgroups = analysis.subgroups
    combinations = subgroups[(subgroups["kind"] == "combination") & subgroups["decides"]]
    return render(
        "report.html",
        {
            "title": title,
            "analysis": analysis,
            "score": analysis.score,
            "options": analysis.options.subgroups,
            "lambda_": analysis.options.lambda_,
            "headline": headline(analysis),
            "worst": worst_group(analysis),
            "whole": subgroups.iloc[0],
            "groups": subgroups[subgroups["kind"] == "group"],
            "combinations": combinations.sort_values("divergence").head(N_COMBINATIONS),
            "n_combinations": len(combinations),
            "figures": evaluation_figures(analysis),
            "overlays": overlays,
            "training": training,
            "classes": class_rows(analysis.classes),
            "class_groups": {
                name: found.subgroups[found.subgroups["kind"] == "group"] for name, found in analysis.classes.items()
            },
            "class_figures": class_figures(analysis.classes),
            "worst_of_classes": worst_group_of_all_classes(analysis.classes) if analysis.classes else None,
            "training_figures": training_figures(training) if training else [],
            "settings": settings,
            "readers": reader_parts(analysis),
            "calibration": calibration_sections(
                {
                    name: (found.calibration, found.reliability)
                    for name, found in (analysis.classes or {"": analysis}).items()
                }
            ),
            "measures": measure_sections(analysis),
            "problems": problems,
            "explorer": evaluation_explorer(analysis, with_cases=with_cases),
        },
    )


def reader_parts(analysis: Analysis) -> list[dict[str, Any]]:
    """The tables of the second reader, of all classes together first; empty where there is none."""
    of_all = {MEAN if analysis.classes else "": analysis}
    return [
        {"name": name, "table": found.readers[found.readers["kind"] != "combination"], "gaps": found.reader_gaps}
        for name, found in {**of_all, **analysis.classes}.items()
        if len(found.readers)
    ]


def headline(analysis: Analysis) -> list[dict[str, Any]]:
    """The numbers on top of the page, each with its interval."""
    names = {
        "ranking": "Ranking score",
        "performance": "Performance",
        "fairness": "Fairness",
        "mean_dsc": "Mean DSC",
        "worst_group_dsc": "Worst group's mean DSC",
    }
    minimum = analysis.options.subgroups.min_group
    explanations = {
        "ranking": f"(1 − λ) performance + λ fairness, λ = {analysis.options.lambda_:g}",
        "performance": "½ (mean DSC + 1 − mean NormHD)",
        "fairness": "1 − ½ (DSC gap + NormHD gap), mean over the variables",
        "mean_dsc": f"over {analysis.score.n_cases} cases",
        "worst_group_dsc": f"of groups with {minimum} cases or more, picked anew in every replicate",
    }
    entries = []
    for name, label in names.items():
        value, low, high = analysis.intervals.row(name)
        entries.append({"label": label, "value": value, "low": low, "high": high, "text": explanations[name]})
    return entries + (_two_questions(analysis) if analysis.n_empty else [])


def _two_questions(analysis: Analysis) -> list[dict[str, Any]]:
    """What is said of the cases with the structure and of those without it, where there are both."""
    entries = []
    whole = analysis.subgroups.iloc[0]
    if whole["n"]:
        entries.append(
            {
                "label": "Mean DSC where there is something",
                "value": whole["mean_dsc"],
                "low": whole["mean_dsc_low"],
                "high": whole["mean_dsc_high"],
                "text": f"over the {whole['n']} cases that hold the structure",
            }
        )
    for row in analysis.false_positives[:1].itertuples():
        entries.append(
            {
                "label": "False-positive rate",
                "value": row.false_positive_rate,
                "low": row.false_positive_rate_low,
                "high": row.false_positive_rate_high,
                "text": f"of the {row.n} cases with an empty reference",
            }
        )
    return entries


def class_rows(classes: Mapping[str, Analysis]) -> list[dict[str, Any]]:
    """One line a class: how many cases hold it, its mean DSC, its worst group, its false positives."""
    rows = []
    for name, found in classes.items():
        whole = found.subgroups.iloc[0]
        invented = found.false_positives["false_positive_rate"] if len(found.false_positives) else None
        rows.append(
            {
                "name": name,
                "whole": whole,
                "worst": worst_group(found),
                "n_empty": found.n_empty,
                "false_positive_rate": None if invented is None else float(invented.iloc[0]),
            }
        )
    return rows


def class_figures(classes: Mapping[str, Analysis]) -> list[Picture]:
    """A heat map of divergence by group and class for each attribute, see :func:`heatmaps_of_classes`."""
    return heatmaps_of_classes(
        {name: found.subgroups for name, found in classes.items()}, "divergence", "a group minus that of all cases"
    )


def worst_group(analysis: Analysis) -> Any:
    """The row of the lowest mean DSC among the score's groups that may decide; None where there is none or only one."""
    table = analysis.subgroups
    own = table[(table["kind"] == "group") & table["decides"] & table["attributes"].isin(analysis.groups.variables)]
    return own.loc[own["mean_dsc"].idxmin()] if len(own) > 1 else None


def evaluation_figures(analysis: Analysis) -> dict[str, list[Picture]]:
    """The figures of each section; an empty list where there is nothing to draw."""
    options, scored, groups = analysis.options.subgroups, analysis.present.cases, analysis.present.groups
    single = analysis.subgroups[analysis.subgroups["kind"] == "group"]
    own = single[single["attributes"].isin(groups.variables)]
    names = ", ".join(groups.variables)
    sections: dict[str, list[Picture]] = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    if len(own):
        sections["groups"] = [
            svg(
                figures.group_figure(own, metric, cohort_mean=float(scored[metric].mean())),
                f"Mean {figures.METRIC_NAMES[metric]} with its interval for every group of {names}; the numbers are in "
                "the table of groups.",
                f"{figures.METRIC_NAMES[metric]} by group ({'higher' if metric == 'dsc' else 'lower'} is better). "
                f"Hollow grey: fewer than {options.min_group} cases.",
            )
            for metric in ("dsc", "norm_hd")
        ]
    for first, second in heatmap_pairs(groups.variables) if options.max_items > 1 else ():
        both = groups.frame[[first, second]].notna().all(axis=1)
        if not both.any():
            continue
        for metric in ("dsc", "norm_hd"):
            sections["heatmaps"].append(
                svg(
                    figures.heatmap_figure(
                        scored.loc[both, metric].astype(float),
                        groups.frame[first],
                        groups.frame[second],
                        metric=metric,
                        min_group=options.min_group,
                    ),
                    f"Heat map of the mean {figures.METRIC_NAMES[metric]} by {first} and {second}.",
                    f"Mean {figures.METRIC_NAMES[metric]} by {first} and {second}; "
                    f"in brackets: fewer than {options.min_group} cases.",
                )
            )
    if (scored["volume_reference_mm3"] > 0).any():
        sections["size"] = [
            svg(
                figures.size_figure(scored, failure_dsc=options.failure_dsc),
                "DSC of every case against the volume of its reference, failures marked by crosses.",
                "One point a case.",
            )
        ]
    if math.isfinite(analysis.score.ranking):
        sections["lambda"] = [
            svg(
                figures.lambda_figure(analysis.score.performance, analysis.score.fairness, analysis.options.lambda_),
                f"Ranking score over λ: a line from {number(analysis.score.performance)} at λ = 0 to "
                f"{number(analysis.score.fairness)} at λ = 1.",
                "Ranking score as the weight of fairness grows.",
            )
        ]
    return sections


def heatmap_pairs(variables: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of variables drawn as heat maps: the first with each other one, as the challenge draws age."""
    return [(variables[0], other) for other in (*variables[2:3], *variables[1:2], *variables[3:])]


def worst_cases(scored: pd.DataFrame, n_cases: int) -> list[str]:
    """IDs of the cases with the lowest DSC, then the largest NormHD, then by ID."""
    order = scored.assign(case=scored.index).sort_values(["dsc", "norm_hd", "case"], ascending=[True, False, True])
    return list(order.index[:n_cases])
