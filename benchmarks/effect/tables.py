"""The study's comparisons as Markdown tables, one or more a question."""

from __future__ import annotations

import pandas as pd

from benchmarks.effect.differences import shared_differences
from benchmarks.effect.methods import CHAPTERS, METHODS, STOCK, chapters_of
from benchmarks.effect.study import LEARNABLE

PER_COHORT = {"methods", "small_lesions", "small_lesions_momentum"}
PER_SEED = {"scratch", "steadiness", "momentum"}
DECIDED = {"scratch": "sampling", "momentum": "sampling_momentum"}
"""Chapters that choose a trainer over both cohorts, and the method that the others are held against."""


def tables(comparisons: pd.DataFrame, per_run: pd.DataFrame) -> list[str]:
    """Markdown, Dice points ×100, differences from the baseline with 95 % intervals.

    Args:
        comparisons: rows of :func:`compare_method`.
        per_run: rows of :func:`run_row`.

    Returns:
        Lines: for the chapters ``PER_COHORT`` and ``PER_SEED`` one table a cohort, for the others one over the
        learnable cohorts.
    """
    lines, told = [], set()
    for chapter, methods in chapters_of(comparisons["method"]).items():
        rows = comparisons[comparisons["method"].isin(methods)]
        told.update(methods)
        if chapter in PER_COHORT:
            lines += _cohort_tables(rows)
        elif chapter in PER_SEED:
            lines += _seed_tables(chapter, rows, per_run)
            if chapter in DECIDED and rows["kind"].nunique() > 1:
                lines += _both_cohorts(chapter, per_run)
        else:
            lines += _side_by_side(chapter, rows)
    return lines + _cohort_tables(comparisons[~comparisons["method"].isin(told)])


def _seed_tables(chapter: str, rows: pd.DataFrame, per_run: pd.DataFrame) -> list[str]:
    """What the seeds say: the planted group's change with its standard error and spread, and the baseline's own."""
    lines = []
    for kind, block in rows.groupby("kind", sort=False):
        heads = ["method", "seeds better", "planted group ± standard error", "SD over seeds", "over seeds and patients"]
        lines += [f"### {chapter}: {kind}", "", "| " + " | ".join([*heads, "mean DSC", "weight ratio"]) + " |"]
        lines.append("|---" * (len(heads) + 2) + "|")
        for row in block.sort_values("group_dsc", ascending=False).itertuples():
            change, error = 100 * row.group_dsc, 100 * row.seed_sd / row.n_seeds**0.5
            cells = [_label(row.method), f"{row.seeds_better} of {row.n_seeds}"]
            cells += [_with_minus(f"{change:+.1f} ± {error:.1f}"), f"{100 * row.seed_sd:.1f}"]
            cells += [_cell(row, "group_dsc"), _cell(row, "mean_dsc"), f"{row.weight_ratio:.2f}"]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
        for name in dict.fromkeys(METHODS[method].baseline for method in [STOCK, *block["method"]]):
            runs = per_run[(per_run["kind"] == kind) & (per_run["method"] == name)]
            group, mean = (100 * runs[column] for column in ("group_dsc", "mean_dsc"))
            lines.append(
                f"{_label(name)}: planted group {group.mean():.1f} (SD over seeds {group.std():.1f}), mean of all "
                f"{mean.mean():.1f} (SD {mean.std():.1f}), {len(runs)} seeds."
            )
        lines.append("")
    return lines


def _both_cohorts(chapter: str, per_run: pd.DataFrame) -> list[str]:
    """The methods over the cohorts, on the pairs of cohort and seed that all of them have."""
    held = DECIDED[chapter]
    group, mean = (100 * shared_differences(per_run, CHAPTERS[chapter], what) for what in ("group_dsc", "mean_dsc"))
    if group.empty:
        return []
    heads = ["method", "pairs better", "planted group", "mean DSC", f"planted group against {_label(held)}"]
    lines = [f"### {chapter}: both cohorts", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for method in group.mean().sort_values(ascending=False).index:
        cells = [_label(method), f"{(group[method] > 0).sum()} of {len(group)}"]
        cells += [_with_error(group[method]), _with_error(mean[method])]
        lines.append(
            "| " + " | ".join([*cells, "" if method == held else _with_error(group[method] - group[held])]) + " |"
        )
    return [*lines, ""]


def _cohort_tables(rows: pd.DataFrame) -> list[str]:
    lines = []
    # a share of a gain only where the oracle has one
    oracle = rows[(rows["method"] == "oracle") & (rows["group_dsc_low"] > 0)].set_index("kind")["group_dsc"]
    for (kind, missing), block in rows.groupby(["kind", "missing"], sort=False):
        lines += [
            f"### {kind}, metadata missing: {missing}",
            "",
            "| method | seeds | planted group | of the oracle's gain | seeds better | others | mean DSC | "
            "worst group | fairness | ranking | weight ratio |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in block.sort_values("group_dsc", ascending=False).itertuples():
            share = ""
            if row.method != "oracle" and kind in oracle:
                share = _with_minus(f"{100 * row.group_dsc / oracle[kind]:.0f} %")
            cells = [_label(row.method), str(row.n_seeds), _cell(row, "group_dsc"), share]
            cells += [f"{row.seeds_better} of {row.n_seeds}"]
            cells += [_cell(row, name) for name in ("others_dsc", "mean_dsc", "worst_group_dsc", "fairness", "ranking")]
            lines.append("| " + " | ".join([*cells, f"{row.weight_ratio:.2f}"]) + " |")
        lines.append("")
    return lines


def _side_by_side(chapter: str, rows: pd.DataFrame) -> list[str]:
    """One table with a group of columns a learnable cohort, in the chapter's own order of methods."""
    found = {(row.method, row.kind): row for row in rows[rows["missing"] == "none"].itertuples()}
    kinds = [kind for kind in LEARNABLE if any(kind == other for _, other in found)]
    if not kinds:
        return []
    heads = [
        f"{kind}: {what}" for kind in kinds for what in ("seeds", "planted group", "mean DSC", "fairness", "weights")
    ]
    lines = [f"### {chapter}", "", "| method | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for method in CHAPTERS[chapter]:
        cells = []
        for kind in kinds:
            row = found.get((method, kind))
            if row is None:
                cells += ["", "", "", "", ""]
                continue
            cells += [f"{row.seeds_better} of {row.n_seeds}", _cell(row, "group_dsc"), _cell(row, "mean_dsc")]
            cells += [_cell(row, "fairness"), f"{row.weight_ratio:.2f}"]
        if any(cells):
            lines.append("| " + " | ".join([_label(method), *cells]) + " |")
    return [*lines, ""]


def _cell(row, name: str) -> str:
    """``+3.1 (1.0 to 5.2)`` in hundredths, with a proper minus; nothing where no group was large enough to say."""
    values = [getattr(row, f"{name}{end}") for end in ("", "_low", "_high")]
    if any(pd.isna(value) for value in values):
        return ""
    value, low, high = (100 * value for value in values)
    return _with_minus(f"{value:+.1f} ({low:+.1f} to {high:+.1f})")


def _with_error(values: pd.Series) -> str:
    """``+5.1 ± 1.1``, the mean and its standard error."""
    return _with_minus(f"{values.mean():+.1f} ± {values.sem():.1f}")


def _label(method: str) -> str:
    return METHODS[method].label.replace("|", "\\|")


def _with_minus(text: str) -> str:
    return text.replace("-", "−")
