"""From finished runs to comparisons and figures: every method against its baseline, by ``nnunet_fair compare``."""

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
from benchmarks.effect.methods import METHODS, chapters_of
from benchmarks.effect.runs import CASES, Run, read_notes
from benchmarks.effect.study import LEARNABLE, Part, finished
from benchmarks.effect.tables import PER_COHORT, PER_SEED, tables
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_text
from nnunet_fair.metadata.fair_cases import read_fair_cases

RUNS, COMPARISONS, TABLES = "runs.csv", "comparisons.csv", "tables.md"
PLANTED = "planted"
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
