"""The Task 2 report: one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_fair.evaluation.reports.numbers import number, p_text, percent
from nnunet_fair.evaluation.reports.page import render, svg
from nnunet_fair.evaluation.reports.pcr_figures import calibration_figure, net_benefit_figure
from nnunet_fair.evaluation.scores.pcr_analysis import PcrAnalysis
from nnunet_fair.evaluation.scores.pcr_calibration import expected_calibration_error


def pcr_report(analysis: PcrAnalysis, *, title: str, warnings: Sequence[str]) -> str:
    """The page.

    Args:
        analysis: the scores.
        title: the page's title.
        warnings: what a reader must know before the numbers.

    Returns:
        HTML.
    """
    figures = []
    if analysis.curve is not None and analysis.net_benefit is not None:
        figures = [
            svg(
                calibration_figure(analysis.curve),
                "Share with pCR against predicted probability, with intervals, and the diagonal on which they agree.",
                "Calibration: a point is a bin of as many cases as the others, its line the exact interval.",
            ),
            svg(
                net_benefit_figure({"model": analysis.net_benefit}),
                "Net benefit against the probability from which one would act: model, everybody, nobody.",
                "Decision curve: the model is of use where it lies above both other lines.",
            ),
        ]
    return render(
        "pcr.html",
        {
            "title": title,
            "analysis": analysis,
            "score": analysis.score,
            "options": analysis.options.subgroups,
            "whole": analysis.groups.iloc[0],
            "groups": analysis.groups.iloc[1:],
            "warnings": warnings,
            "sentences": sentences_on_chance(analysis),
            "ece": None if analysis.curve is None else expected_calibration_error(analysis.curve),
            "figures": figures,
        },
    )


def sentences_on_chance(analysis: PcrAnalysis) -> list[str]:
    """What chance would give, in plain sentences.

    Args:
        analysis: the scores.
    """
    chance = analysis.chance
    accuracy, disparity = chance["balanced_accuracy"], chance["fairness_disparity"]
    better = "is better than" if accuracy.p < 0.05 else "cannot be told from"
    sentences = [
        f"The balanced accuracy of {number(accuracy.observed)} {better} that of classifiers which predict pCR as often "
        f"and know nothing ({number(accuracy.mean)} on average, 95 % of them below {number(accuracy.high)}; p "
        f"{p_text(accuracy.p)})."
    ]
    if "auc" in chance:
        area = chance["auc"]
        better = "is better than" if area.p < 0.05 else "cannot be told from"
        sentences.append(f"The AUC of {number(area.observed)} {better} chance (p {p_text(area.p)}).")
    if disparity.observed == disparity.observed:
        sentences.append(
            f"Such classifiers have a disparity of {number(disparity.mean)} on average ({number(disparity.low)} to "
            f"{number(disparity.high)} in 90 % of them), because groups are small; the model's is "
            f"{number(disparity.observed)}, and {percent(disparity.p)} of them have one as small. A disparity is "
            "evidence of unfairness only beyond that."
        )
    return sentences
