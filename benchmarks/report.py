"""How long everything after the scoring of the masks takes, and how much memory: tables, intervals, pictures, the page.

A synthetic per-case table with a lesion table, seven attributes of two to six groups, is analysed and written as
``evaluate`` does: the scores with their intervals, every table of ``docs/evaluation.md``, ``scores.json`` and the page
with its pictures, without the slices of the worst cases. Printed for cohorts of one, two and four times the size: the
processor's time, the clock's, the load of the machine, and how much the process grew at its peak. Each runs in a
process of its own.

In the same run, on the same table: fairmedfm's ``evaluate_segmentation`` (seven attributes and their combination; no
intervals), and the straightforward way to intervals of the group means alone, a pandas loop that draws the cases and
groups them by each attribute.

Run: ``python -m benchmarks.report``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.lesions import equivalent_diameter
from nnunet_fair.evaluation.outputs import MEASURES
from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report
from nnunet_fair.evaluation.scores.analysis import scores_document
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.classes import analyse_classes
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.files import write_csv, write_json, write_text
from nnunet_fair.subgroups.options import N_RESAMPLES, SubgroupOptions

N_CASES = 1506
ATTRIBUTES = {
    "age": ("0-40", "41-50", "51-60", "61-70", "71-100"),
    "menopausal_status": ("pre", "post", "unknown"),
    "breast_density": ("a", "b", "c", "d"),
    "site": ("DUKE", "ISPY1", "ISPY2", "NACT"),
    "scanner": ("GE", "Philips", "Siemens"),
    "subtype": ("luminal", "her2", "triple", "other"),
    "bmi": ("low", "middle", "high"),
}


def cohort(n_cases: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The per-case table, the lesions and the groups of a synthetic cohort."""
    rng = np.random.default_rng(0)
    ids = [f"case{i:06d}" for i in range(n_cases)]
    groups = pd.DataFrame(
        {name: rng.choice(values, n_cases, p=shares(len(values))) for name, values in ATTRIBUTES.items()},
        index=ids,
        dtype=object,
    )
    volumes = np.exp(rng.normal(8.0, 1.3, n_cases))
    dsc = np.where(rng.random(n_cases) < 0.04, 0.0, rng.beta(7, 2, n_cases))
    cases = pd.DataFrame(
        {
            "dsc": dsc,
            "hd95_voxel": rng.gamma(2.0, 6.0, n_cases),
            "norm_hd": np.where(dsc > 0, rng.gamma(2.0, 0.04, n_cases), 1.0),
            "hd95_mm": rng.gamma(2.0, 6.0, n_cases),
            "surface_dsc": np.clip(dsc + rng.normal(0, 0.05, n_cases), 0, 1),
            "precision": dsc,
            "recall": np.clip(dsc, 0, 1),
            "volume_reference_mm3": volumes,
            "volume_prediction_mm3": volumes * rng.uniform(0.7, 1.2, n_cases),
            "volume_error_mm3": 0.0,
            "volume_image_mm3": 5e6,
            "lesions_prediction": 1,
            "status": "scored",
            "problem": "",
        },
        index=ids,
    )
    of_case = np.repeat(np.arange(n_cases), rng.integers(2, 7, n_cases))
    sizes = np.exp(rng.normal(7.0, 1.3, len(of_case)))
    touches = rng.random(len(of_case)) < 0.7
    lesions = pd.DataFrame(
        {
            "case_id": np.array(ids)[of_case],
            "kind": rng.choice(["reference", "prediction"], len(of_case)),
            "lesion": 1,
            "volume_mm3": sizes,
            "diameter_mm": [equivalent_diameter(volume) for volume in sizes],
            "touches": touches,
            "best_iou": np.where(touches, 0.5, 0.0),
            "matched_iou": np.where(touches, 0.5, np.nan),
            "dsc": np.where(touches, 0.6, 0.0),
        }
    )
    return cases, lesions, groups


def shares(n: int) -> np.ndarray:
    """Shares of n groups, the largest first, each half as large again as the next."""
    weights = 1.5 ** -np.arange(n)
    return weights / weights.sum()


def report(n_cases: int) -> dict[str, float]:
    """Everything after the scoring, once.

    Returns:
        The processor's and the clock's seconds, the growth of the process in MiB at its peak, the subgroups and the
        size of the page in MiB.
    """
    cases, lesions, groups = cohort(n_cases)
    variables = ("age", "menopausal_status", "breast_density")
    found = CaseGroups(groups, variables, official=True, notes=())
    # What is loaded once, and what a first picture takes, is not the cohort's.
    few = cases.index[:200]
    own = CaseGroups(groups.loc[few], variables, official=True, notes=())
    evaluation_report(
        analyse_classes(cases.loc[few], {}, own, AnalysisOptions(subgroups=SubgroupOptions(n_resamples=50))),
        title="",
        settings={},
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, cpu = time.perf_counter(), time.process_time()
    analysis = analyse_classes(cases, {}, found, AnalysisOptions(margin=0.05), lesions=lesions)
    with tempfile.TemporaryDirectory() as folder:
        for name, file in MEASURES.items():
            write_csv(getattr(analysis.measures, name), Path(folder) / file)
        write_csv(analysis.subgroups, Path(folder) / "subgroups.csv")
        write_csv(analysis.cases.join(groups).reset_index(), Path(folder) / "cases.csv")
        write_json(scores_document(analysis), Path(folder) / "scores.json")
        page = evaluation_report(analysis, title="benchmark", settings={})
        write_text(page, Path(folder) / "report.html")
    return {
        "cpu": time.process_time() - cpu,
        "clock": time.perf_counter() - clock,
        "growth": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        "subgroups": len(analysis.subgroups),
        "page": len(page) / 2**20,
    }


def in_its_own_process(n_cases: int) -> dict[str, float]:
    """:func:`report` in a fresh process, so that its peak is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(report, (n_cases,))


def fairmedfm_seconds(n_cases: int) -> float | None:
    """Processor time of fairmedfm's numbers of the same table; None where it is not installed."""
    try:
        from fairmedfm import evaluate_segmentation
    except ImportError:
        return None
    cases, _, groups = cohort(n_cases)
    start = time.process_time()
    evaluate_segmentation(groups, dice=cases["dsc"], intersectional=True)
    return time.process_time() - start


def pandas_seconds(n_cases: int, n_resamples: int) -> float:
    """Processor time of the straightforward intervals of the group means of one metric."""
    cases, _, groups = cohort(n_cases)
    table = groups.assign(dsc=cases["dsc"])
    start = time.process_time()
    replicates = [
        pd.concat([drawn.groupby(name)["dsc"].mean() for name in groups.columns])
        for drawn in (table.sample(frac=1, replace=True, random_state=seed) for seed in range(n_resamples))
    ]
    pd.concat(replicates, axis=1).quantile([0.025, 0.975], axis=1)
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=N_CASES, help="of the smallest cohort (default: %(default)s)")
    parser.add_argument("--loops", type=int, default=100, help="replicates of the pandas loop, scaled up")
    arguments = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{load}, {N_RESAMPLES} replicates, {len(ATTRIBUTES)} attributes")
    print(f"{'cases':>8s}{'subgroups':>11s}{'CPU (s)':>10s}{'clock (s)':>11s}{'growth (MiB)':>14s}{'page (MiB)':>12s}")
    for n_cases in (arguments.cases, 2 * arguments.cases, 4 * arguments.cases):
        row = in_its_own_process(n_cases)
        print(
            f"{n_cases:8d}{row['subgroups']:11.0f}{row['cpu']:10.1f}{row['clock']:11.1f}{row['growth']:14.0f}"
            f"{row['page']:12.1f}",
            flush=True,
        )
    other = fairmedfm_seconds(arguments.cases)
    print("fairmedfm, no intervals: " + ("not installed" if other is None else f"{other:.2f} s"))
    loop = pandas_seconds(arguments.cases, arguments.loops) * N_RESAMPLES / arguments.loops
    print(f"pandas loop, intervals of the group means of one metric, no combinations: {loop:.0f} s")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
