"""The page that compares two models of pCR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from nnunet_fair.evaluation.comparison.pcr_differences import PcrComparison
from nnunet_fair.evaluation.reports.numbers import interval, number, p_text, signed
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.reports.page import render, svg
from nnunet_fair.evaluation.reports.pcr_figures import net_benefit_figure
from nnunet_fair.evaluation.scores.options import AnalysisOptions

LABELS = {
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score (smaller is better)",
    "fairness_disparity": "Fairness disparity (smaller is better)",
    "ranking": "Ranking score",
}


def pcr_comparison_report(
    comparison: PcrComparison,
    *,
    options: CompareOptions,
    analysis: AnalysisOptions,
    sentences: Sequence[str],
    warnings: Sequence[str],
    curves: Mapping[str, pd.DataFrame],
) -> str:
    """The page.

    Args:
        comparison: the comparison.
        options: names and title.
        analysis: how intervals were computed.
        sentences: what it says.
        warnings: what a reader must know first.
        curves: each model's decision curve by its name; empty without probabilities.

    Returns:
        HTML.
    """
    figures = []
    if curves:
        text = "Net benefit against the probability from which one would act: both models, everybody, nobody."
        figures.append(svg(net_benefit_figure(curves), text, "Decision curves: the higher the better."))
    return render(
        "pcr_compare.html",
        {
            "title": options.title,
            "a": options.name_a,
            "b": options.name_b,
            "comparison": comparison,
            "labels": {name: label for name, label in LABELS.items() if name in comparison.statistics.index},
            "options": analysis.subgroups,
            "sentences": sentences,
            "warnings": warnings,
            "figures": figures,
        },
    )


def pcr_comparison_sentences(comparison: PcrComparison, name_a: str, name_b: str) -> tuple[str, ...]:
    """What the comparison says, in plain sentences.

    Args:
        comparison: the comparison.
        name_a: model A's name.
        name_b: model B's name.
    """
    sentences = []
    area = comparison.auc
    if area is not None:
        if area.low != area.low:
            told = f"{name_b}'s AUC minus {name_a}'s cannot be given an interval"
        elif area.low > 0:
            told = f"{name_b} tells pCR better than {name_a}"
        elif area.high < 0:
            told = f"{name_b} tells pCR worse than {name_a}"
        else:
            told = f"That {name_b} adds anything to {name_a} cannot be shown"
        ends = interval(area.low, area.high)
        sentences.append(
            f"{told}: AUC {number(area.a)} → {number(area.b)}, difference {signed(area.difference)} ({ends}; p "
            f"{p_text(area.p)}, DeLong)."
        )
    statistics = comparison.statistics
    accuracy, disparity = statistics.loc["balanced_accuracy"], statistics.loc["fairness_disparity"]
    moved = [
        f"{what} {number(row['a'])} → {number(row['b'])} ({signed(row['difference'])}, "
        f"{interval(row['low'], row['high'])})"
        for what, row in (("balanced accuracy", accuracy), ("disparity", disparity))
    ]
    cost = ""
    if disparity["difference"] < 0 and accuracy["difference"] < 0:
        cost = " The smaller disparity is paid for with accuracy: see the audit."
    sentences.append(f"{'; '.join(moved)[:1].upper()}{'; '.join(moved)[1:]}.{cost}")
    sentences += [str(sentence) for sentence in comparison.audit["sentence"]]
    if not len(comparison.audit):
        sentences.append("No variable has two groups large enough, so nothing can be said about levelling down.")
    return tuple(sentences)
