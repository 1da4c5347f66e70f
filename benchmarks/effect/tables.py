"""The study's comparisons as Markdown tables, one or more a question."""

from __future__ import annotations

import pandas as pd

from benchmarks.effect.differences import shared_differences
from benchmarks.effect.markdown import escaped, head, line, points_with_error, points_with_interval, signed
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
        lines += [f"### {chapter}: {kind}", "", *head([*heads, "mean DSC", "weight ratio"])]
        for row in block.sort_values("group_dsc", ascending=False).itertuples():
            cells = [_label(row.method), f"{row.seeds_better} of {row.n_seeds}"]
            cells += [points_with_error(row.group_dsc, row.seed_sd / row.n_seeds**0.5), f"{100 * row.seed_sd:.1f}"]
            cells += [_change(row, "group_dsc"), _change(row, "mean_dsc"), f"{row.weight_ratio:.2f}"]
            lines.append(line(cells))
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
    group, mean = (shared_differences(per_run, CHAPTERS[chapter], what) for what in ("group_dsc", "mean_dsc"))
    if group.empty:
        return []
    heads = ["method", "pairs better", "planted group", "mean DSC", f"planted group against {_label(held)}"]
    lines = [f"### {chapter}: both cohorts", "", *head(heads)]
    for method in group.mean().sort_values(ascending=False).index:
        cells = [_label(method), f"{(group[method] > 0).sum()} of {len(group)}"]
        cells += [_mean_with_error(group[method]), _mean_with_error(mean[method])]
        lines.append(line([*cells, "" if method == held else _mean_with_error(group[method] - group[held])]))
    return [*lines, ""]


def _cohort_tables(rows: pd.DataFrame) -> list[str]:
    lines = []
    # a share of a gain only where the oracle has one
    oracle = rows[(rows["method"] == "oracle") & (rows["group_dsc_low"] > 0)].set_index("kind")["group_dsc"]
    for (kind, missing), block in rows.groupby(["kind", "missing"], sort=False):
        heads = ["method", "seeds", "planted group", "of the oracle's gain", "seeds better", "others", "mean DSC"]
        heads += ["worst group", "fairness", "ranking", "weight ratio"]
        lines += [f"### {kind}, metadata missing: {missing}", "", *head(heads)]
        for row in block.sort_values("group_dsc", ascending=False).itertuples():
            share = ""
            if row.method != "oracle" and kind in oracle:
                share = f"{signed(100 * row.group_dsc / oracle[kind], '.0f')} %"
            cells = [_label(row.method), str(row.n_seeds), _change(row, "group_dsc"), share]
            cells += [f"{row.seeds_better} of {row.n_seeds}"]
            cells += [
                _change(row, name) for name in ("others_dsc", "mean_dsc", "worst_group_dsc", "fairness", "ranking")
            ]
            lines.append(line([*cells, f"{row.weight_ratio:.2f}"]))
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
    lines = [f"### {chapter}", "", *head(["method", *heads])]
    for method in CHAPTERS[chapter]:
        cells = []
        for kind in kinds:
            row = found.get((method, kind))
            if row is None:
                cells += ["", "", "", "", ""]
                continue
            cells += [f"{row.seeds_better} of {row.n_seeds}", _change(row, "group_dsc"), _change(row, "mean_dsc")]
            cells += [_change(row, "fairness"), f"{row.weight_ratio:.2f}"]
        if any(cells):
            lines.append(line([_label(method), *cells]))
    return [*lines, ""]


def _change(row, name: str) -> str:
    return points_with_interval(*(getattr(row, f"{name}{end}") for end in ("", "_low", "_high")))


def _mean_with_error(differences: pd.Series) -> str:
    return points_with_error(differences.mean(), differences.sem())


def _label(method: str) -> str:
    return escaped(METHODS[method].label)
