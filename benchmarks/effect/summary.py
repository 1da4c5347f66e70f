"""From finished runs to tables and figures: every method against stock nnU-Net, by ``nnunet_fair compare``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.effect.cohorts import Cohort, cohort_at
from benchmarks.effect.differences import seed_differences, t_interval
from benchmarks.effect.figures import draw_effects, draw_learning_curves, draw_weights
from benchmarks.effect.methods import CHAPTERS, METHODS, STOCK, chapters_of
from benchmarks.effect.runs import CASES, Run, read_notes
from benchmarks.effect.study import LEARNABLE, Part, finished
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_text
from nnunet_fair.metadata.fair_cases import read_fair_cases

RUNS, COMPARISONS, TABLES = "runs.csv", "comparisons.csv", "tables.md"
PLANTED = "planted"
PER_COHORT = {"methods", "small_lesions", "small_lesions_momentum"}
PER_SEED = {"scratch", "steadiness", "momentum"}
NOTED = ("gradient_90", "gradient_max", "top_subgroup", "top_probability", "top_share")
LEAST_SEEDS = 2
"""Methods with fewer are not compared: the difference of one pair of trainings says nothing about the method."""
STATISTICS = ("mean_dsc", "worst_group_dsc", "mean_best_group_dsc", "performance", "fairness", "ranking")


def summarise(work: Path, parts: Sequence[Part], output: Path) -> list[str]:
    """Write every run's scores, ``comparisons.csv``, ``tables.md``, the figures and one comparison's report each.

    Args:
        work: the study's folder.
        parts: the study.
        output: folder to write to.

    Returns:
        The lines of ``tables.md``.
    """
    output.mkdir(parents=True, exist_ok=True)
    runs = finished(work, parts)
    if not runs:
        return ["no run is done yet"]
    per_run = pd.DataFrame([run_row(run, work) for run in runs])
    write_csv(per_run, output / RUNS)
    for kind in per_run["kind"].unique():
        write_csv(case_scores([run for run in runs if run.kind == kind], work), output / f"dsc_{kind}.csv")
    for kind in per_run["kind"].unique():
        _write_groups(cohort_at(work, kind), output)
    done = set(runs)
    todo = []
    for (kind, missing, method), seeds in _by_method(runs).items():
        baseline = METHODS[method].baseline
        paired = [seed for seed in seeds if Run(kind, "none", baseline, seed) in done]
        if method != baseline and len(paired) >= LEAST_SEEDS:
            todo.append((kind, missing, method, paired, work, output, per_run))
    if not todo:
        return [f"no method has {LEAST_SEEDS} runs with the same seeds as stock runs yet"]
    with ThreadPool(2) as pool:  # each waits for a process
        comparisons = pd.DataFrame(pool.starmap(compare_method, todo))
    write_csv(comparisons, output / COMPARISONS)
    chapters = chapters_of(comparisons["method"])
    for chapter, methods in chapters.items():
        chosen = comparisons[comparisons["method"].isin(methods)]
        if chapter not in PER_COHORT:
            chosen = chosen[chosen["kind"].isin(LEARNABLE) & (chosen["missing"] == "none")]
        if len(chosen):
            draw_effects(chosen, per_run, output / f"{chapter}.png")
    draw_weights(runs, work, output / "weights.png")
    if chapters.keys() & PER_SEED:
        draw_learning_curves(runs, work, output / "learning_curves.png")
    lines = tables(comparisons, per_run)
    write_text("\n".join(lines) + "\n", output / TABLES)
    return lines


def _write_groups(cohort: Cohort, output: Path) -> None:
    """The complete metadata of a cohort with the planted group as one more attribute, for the comparison."""
    if not cohort.metadata("none").is_file():
        raise UserError(f"the cohort {cohort.kind} is not prepared in {cohort.folder}; run without --report-only first")
    table = read_fair_cases(cohort.metadata("none"))
    table[PLANTED] = np.where(table.index.isin(cohort.group()), "group", "others")
    path = output / "metadata" / cohort.kind / "fair_cases.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(table.rename_axis("case_id").reset_index(), path)


def _by_method(runs: Sequence[Run]) -> dict[tuple[str, str, str], list[int]]:
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for run in runs:
        seeds.setdefault((run.kind, run.missing, run.method), []).append(run.seed)
    return {key: sorted(values) for key, values in seeds.items()}


def run_row(run: Run, work: Path) -> dict:
    """One run in a row: mean DSC of all test cases, of the planted group and of the others, and the weight ratio.

    The weight ratio is the planted group's mean weight over the others', averaged over the last half of the epochs.
    What ``fair_history.csv`` tells without knowing the planted group: the mean probability of the most probable
    subgroup over the last half of the refreshes, and in which share of them the commonest of these is on top.
    """
    cases = pd.read_csv(run.folder(work) / CASES)
    group = cases["group"] == 1
    notes = read_notes(run, work)
    ratio = notes["weight_ratio"]
    return {
        **vars(run),
        "mean_dsc": round(cases["dsc"].mean(), 4),
        "group_dsc": round(cases.loc[group, "dsc"].mean(), 4),
        "others_dsc": round(cases.loc[~group, "dsc"].mean(), 4),
        "failures": int((cases["dsc"] < 0.1).sum()),
        "weight_ratio": round(float(np.mean(ratio[len(ratio) // 2 :])), 3),
        **{name: notes[name] for name in NOTED},
    }


def case_scores(runs: Sequence[Run], work: Path) -> pd.DataFrame:
    """DSC of every test case of a cohort, one column a run: ``method, missing, seed``."""
    columns = {}
    for run in runs:
        cases = pd.read_csv(run.folder(work) / CASES).set_index("case_id")
        columns.setdefault("group", cases["group"])
        columns[f"{run.method}, {run.missing}, {run.seed}"] = cases["dsc"].round(4)
    return pd.DataFrame(columns).rename_axis("case_id").reset_index()


def compare_method(
    kind: str, missing: str, method: str, seeds: Sequence[int], work: Path, output: Path, per_run: pd.DataFrame
) -> dict:
    """Compare a method with its baseline on the same seeds, by the command a user types; differences are in DSC."""
    table = output / "metadata" / kind / "fair_cases.csv"
    folder = output / "comparisons" / f"{kind}-{missing}" / method
    compared = [Run(kind, missing, method, seed) for seed in seeds]
    compared += [Run(kind, "none", METHODS[method].baseline, seed) for seed in seeds]
    newest = max((run.folder(work) / CASES).stat().st_mtime for run in compared)
    written = folder / "comparison.json"
    if not written.is_file() or written.stat().st_mtime < newest:
        _compare(kind, missing, method, seeds, work, table, folder)
    document = json.loads(written.read_text())
    subgroups = pd.read_csv(folder / "subgroups.csv").set_index("subgroup")
    row = {"kind": kind, "missing": missing, "method": method, "n_seeds": len(seeds)}
    for name in STATISTICS:
        statistic = document["statistics"][name]
        low, high = (p if b is None else b for p, b in zip(statistic["percentile"], statistic["bca"], strict=True))
        row |= {name: statistic["difference"], f"{name}_low": low, f"{name}_high": high}
    for part in ("group", "others"):
        found = subgroups.loc[f"{PLANTED}={part}"]
        row |= {
            f"{part}_dsc": found["difference"],
            f"{part}_dsc_low": found["difference_low"],
            f"{part}_dsc_high": found["difference_high"],
        }
    by_seed = seed_differences(per_run, kind, missing, method)
    row |= {
        "group_dsc_median": by_seed.median(),
        "seeds_better": int((by_seed > 0).sum()),
        **dict(zip(("seed_low", "seed_high"), t_interval(by_seed), strict=True)),
        "seed_sd": by_seed.std(),
        "weight_ratio": _mean(per_run, kind, missing, method, "weight_ratio"),
        "levelling": document["levelling_down"]["sentence"].split(":")[0],
    }
    return row


def _compare(kind: str, missing: str, method: str, seeds: Sequence[int], work: Path, table: Path, folder: Path) -> None:
    baseline = METHODS[METHODS[method].baseline]
    done = subprocess.run(
        [
            *("nnunet_fair", "compare", "--paired-seeds", "-m", str(table), "-o", str(folder), "--overlays", "0"),
            *("--name-a", baseline.label, "--name-b", METHODS[method].label, "--max-items", "2"),
            *("-a", *(str(Run(kind, "none", baseline.name, seed).folder(work)) for seed in seeds)),
            *("-b", *(str(Run(kind, missing, method, seed).folder(work)) for seed in seeds)),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"nnunet_fair compare failed for {kind}, {missing}, {method}:\n{done.stdout}{done.stderr}")


def _mean(per_run: pd.DataFrame, kind: str, missing: str, method: str, what: str) -> float:
    chosen = (per_run["kind"] == kind) & (per_run["missing"] == missing) & (per_run["method"] == method)
    return float(per_run.loc[chosen, what].mean())


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


def _label(method: str) -> str:
    return METHODS[method].label.replace("|", "\\|")


def _with_minus(text: str) -> str:
    return text.replace("-", "−")
