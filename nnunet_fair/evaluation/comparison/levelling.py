"""The levelling-down audit: did a gap shrink because the worst group rose or because the best group fell?

For each variable the gap between the best and the worst group's mean changes by exactly
(change of the best group's level) − (change of the worst group's level), so its two causes can be told apart.
Only groups of at least ``min_group`` cases take part.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nnunet_fair.evaluation.comparison.paired_differences import Comparison

SMALL_CHANGE = 0.001  # a change below this is called none: a tenth of a Dice point

LEVELLING_COLUMNS = (
    *("variable", "metric", "gap_a", "gap_b", "gap_change", "gap_change_low", "gap_change_high"),
    *("worst_change", "worst_change_low", "worst_change_high", "best_change", "best_change_low", "best_change_high"),
    *("share_from_worst_rising", "verdict", "sentence"),
)

METRIC_NAMES = {"dsc": "DSC", "norm_hd": "NormHD", "balanced_accuracy": "balanced-accuracy"}
"""What the metrics of an audit are called in sentences."""

LEVELLED_UP = "levelled up"
LEVELLED_DOWN = "levelled down"
MIXED = "both"
WIDENED = "gap widened"
UNCHANGED = "gap unchanged"


def levelling_audit(comparison: Comparison) -> pd.DataFrame:
    """Where each change of a gap came from.

    Args:
        comparison: two models compared.

    Returns:
        Table with one row a variable and metric (``dsc``, and ``norm_hd`` with its sign turned so that higher is
        better): the gaps of A and B, the change of the gap and of the worst and best group's level (B − A) with their
        intervals, the share of a shrinking gap that the worst group's rise accounts for, the verdict and a sentence.
        A variable without two groups that may decide has no row.
    """
    rows = []
    for variable in comparison.groups.variables:
        for metric in ("dsc", "norm_hd"):
            row = _audit(comparison, variable, metric)
            if row is not None:
                rows.append(row)
    return pd.DataFrame(rows, columns=list(LEVELLING_COLUMNS))


def _audit(comparison: Comparison, variable: str, metric: str) -> dict[str, object] | None:
    """One variable and metric; None where fewer than two groups may decide."""
    table = comparison.subgroups
    deciding = table[(table["kind"] == "group") & (table["attributes"] == variable) & table["decides"]]
    if len(deciding) < 2:
        return None
    sign = 1.0 if metric == "dsc" else -1.0
    levels = {}
    for end in ("worst", "best"):
        name = f"{end}_group_{metric}:{variable}"
        estimate, low, high = (sign * value for value in comparison.difference.row(name))
        levels[end] = (estimate, min(low, high), max(low, high))
    gaps = [
        sign * (model.row(f"best_group_{metric}:{variable}")[0] - model.row(f"worst_group_{metric}:{variable}")[0])
        for model in (comparison.a, comparison.b)
    ]
    change, low, high = comparison.difference.row(f"deciding_gap_{metric}:{variable}")
    return audit_row(variable, metric, gaps, (change, low, high), levels["worst"], levels["best"])


def audit_row(
    variable: str,
    metric: str,
    gaps: Sequence[float],
    change: tuple[float, float, float],
    worst: tuple[float, float, float],
    best: tuple[float, float, float],
) -> dict[str, object]:
    """One row of an audit: a gap's change, what it is made of, and the verdict.

    Args:
        variable: its name.
        metric: a name of ``METRIC_NAMES``.
        gaps: the gap of A and of B.
        change: change of the gap with its interval.
        worst: change of the worst group's level with its interval, positive where it rose.
        best: change of the best group's level.

    Returns:
        The row, by the names of ``LEVELLING_COLUMNS``.
    """
    verdict = levelling_verdict(change[0], worst[0], best[0])
    if verdict in (LEVELLED_UP, MIXED):
        share = min(max(worst[0] / -change[0], 0.0), 1.0)
    else:
        share = 0.0 if verdict == LEVELLED_DOWN else float("nan")
    parts = {"gap": change, "worst": worst, "best": best}
    return {
        "variable": variable,
        "metric": metric,
        "gap_a": gaps[0],
        "gap_b": gaps[1],
        **{f"{name}_change{end}": parts[name][k] for name in parts for k, end in enumerate(("", "_low", "_high"))},
        "share_from_worst_rising": share,
        "verdict": verdict,
        "sentence": levelling_sentence(variable, metric, gaps, change, worst[0], best[0], verdict),
    }


def levelling_verdict(gap_change: float, worst_change: float, best_change: float) -> str:
    """Name what happened to a gap.

    Args:
        gap_change: change of the gap, best_change − worst_change.
        worst_change: change of the worst group's level, positive where it rose.
        best_change: change of the best group's level.

    Returns:
        ``levelled up`` (the worst rose, the best did not fall), ``levelled down`` (the best fell, the worst did not
        rise), ``both``, ``gap widened`` or ``gap unchanged``; changes below 0.001 count as none.
    """
    if abs(gap_change) < SMALL_CHANGE:
        return UNCHANGED
    if gap_change > 0:
        return WIDENED
    rose, fell = worst_change >= SMALL_CHANGE, best_change <= -SMALL_CHANGE
    if rose and fell:
        return MIXED
    # A gap that shrank by 0.001 or more with neither part reaching it owes more to the larger part.
    return LEVELLED_UP if rose or (not fell and worst_change > -best_change) else LEVELLED_DOWN


def levelling_sentence(
    variable: str,
    metric: str,
    gaps: Sequence[float],
    change: tuple[float, float, float],
    worst: float,
    best: float,
    verdict: str,
) -> str:
    """One plain sentence on one gap.

    Args:
        variable: its name.
        metric: a name of ``METRIC_NAMES``.
        gaps: the gap of A and of B.
        change: change of the gap with its interval.
        worst: change of the worst group's level.
        best: change of the best group's level.
        verdict: what :func:`levelling_verdict` said.
    """
    gap = f"The {METRIC_NAMES[metric]} gap of {variable} went from {gaps[0]:.3f} to {gaps[1]:.3f}"
    moves = f"the worst group's level changed by {_signed(worst)}, the best group's by {_signed(best)}"
    meaning = {
        LEVELLED_UP: "it shrank because the worst group rose",
        LEVELLED_DOWN: "it shrank because the best group fell, not because the worst rose: levelling down",
        MIXED: f"it shrank because the worst group rose ({_share(worst, change[0])}) and the best fell",
        WIDENED: "it widened",
        UNCHANGED: "it did not change",
    }[verdict]
    could_be_chance = change[1] <= 0 <= change[2]
    certain = " The interval of the change includes 0: it could be chance." if could_be_chance else ""
    return f"{gap}: {meaning} ({moves}).{certain}"


def overall_sentence(comparison: Comparison, audit: pd.DataFrame, name_b: str = "B") -> str:
    """The audit in one plain sentence, on the DSC gaps of all variables together.

    Args:
        comparison: two models compared.
        audit: what :func:`levelling_audit` gave.
        name_b: model B's name.
    """
    n_variables = int((audit["metric"] == "dsc").sum())
    if not n_variables:
        return "No variable has two groups large enough, so nothing can be said about levelling down."
    gap, gap_low, gap_high = comparison.difference.row("mean_deciding_gap_dsc")
    worst, best = (comparison.difference.row(f"mean_{end}_group_dsc")[0] for end in ("worst", "best"))
    mean, low, high = comparison.difference.row("mean_dsc")
    meaning = {
        LEVELLED_UP: f"{name_b} narrowed the gaps by lifting the worst groups, not by lowering the best",
        LEVELLED_DOWN: f"{name_b} narrowed the gaps by lowering the best groups, not lifting the worst: levelling down",
        MIXED: f"{name_b} narrowed the gaps partly by lifting the worst groups and partly by lowering the best",
        WIDENED: f"{name_b} widened the gaps",
        UNCHANGED: f"{name_b} left the gaps as they were",
    }
    verdict = levelling_verdict(gap, worst, best)
    chance = ", which could be chance" if verdict != UNCHANGED and gap_low <= 0 <= gap_high else ""
    return (
        f"{meaning[verdict]}: averaged over {n_variables} variable{'s' * (n_variables > 1)} the DSC gap changed by "
        f"{_signed(gap)} ({_range(gap_low, gap_high)}){chance}, the worst group's level by {_signed(worst)} "
        f"and the best group's by {_signed(best)}; the mean DSC of all cases changed by {_signed(mean)} "
        f"({_range(low, high)})."
    )


def _range(low: float, high: float) -> str:
    """An interval in words."""
    return f"interval {_signed(low)} to {_signed(high)}" if low == low else "no interval"


def _signed(value: float) -> str:
    """A change with its sign."""
    return f"{value:+.3f}".replace("-", "−") if round(value, 3) else "0.000"


def _share(worst: float, change: float) -> str:
    """Which part of a shrinking gap the worst group's rise is; nothing where the gap did not shrink."""
    return f"{100 * worst / -change:.0f} % of it" if change < 0 else ""
