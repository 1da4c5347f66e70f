"""How large the report page of many cases is, and how long writing it takes: ``python -m benchmarks.report_page``."""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report
from nnunet_fair.evaluation.scores.analysis import Analysis, analyse
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.options import SubgroupOptions


def large_cohort(n_cases: int, n_attributes: int) -> Analysis:
    rng = np.random.default_rng(0)
    ids = [f"CASE_{i:04d}" for i in range(n_cases)]
    cases = pd.DataFrame(
        {
            "dsc": rng.beta(5, 2, n_cases),
            **{name: rng.random(n_cases) for name in ("norm_hd", "surface_dsc", "precision", "recall")},
            "hd95_mm": rng.gamma(2, 8, n_cases),
            "volume_reference_mm3": rng.lognormal(8, 1, n_cases),
            "volume_prediction_mm3": rng.lognormal(8, 1, n_cases),
            "lesions_false": 0,
            "status": "scored",
            "problem": "",
        },
        ids,
    )
    names = [f"attribute {i}" for i in range(n_attributes)]
    frame = pd.DataFrame({name: rng.choice(list("abcde"), n_cases) for name in names}, ids, dtype=object)
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=100, max_items=2))
    return analyse(cases, CaseGroups(frame, tuple(names[:3]), False, ()), options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1506)
    parser.add_argument("--attributes", type=int, default=7)
    args = parser.parse_args()
    analysis = large_cohort(args.cases, args.attributes)
    print("| page | MB | processor seconds | seconds |\n|---|---|---|---|")
    for with_cases in (True, False):
        wall, cpu = time.perf_counter(), time.process_time()
        page = evaluation_report(analysis, title="benchmark", settings={}, with_cases=with_cases)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        name = "all cases" if with_cases else "groups only"
        print(f"| {name} | {len(page.encode()) / 1e6:.2f} | {cpu:.1f} | {wall:.1f} |")


if __name__ == "__main__":
    main()
