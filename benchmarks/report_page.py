"""How large the report page of many cases is, and how long writing it takes: ``python -m benchmarks.report_page``."""

from __future__ import annotations

import argparse
import time

from benchmarks.report import N_CASES, cohort
from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report
from nnunet_fair.evaluation.scores.analysis import Analysis, analyse
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.options import SubgroupOptions


def analysed(n_cases: int) -> Analysis:
    """The synthetic cohort of ``benchmarks.report``, with few replicates: their time is not the page's."""
    cases, _, groups = cohort(n_cases)
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=100, max_items=2))
    variables = ("age", "menopausal_status", "breast_density")
    return analyse(cases, CaseGroups(groups, variables, False, ()), options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=N_CASES)
    args = parser.parse_args()
    analysis = analysed(args.cases)
    print("| page | MB | processor seconds | seconds |\n|---|---|---|---|")
    for with_cases in (True, False):
        wall, cpu = time.perf_counter(), time.process_time()
        page = evaluation_report(analysis, title="benchmark", settings={}, with_cases=with_cases)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        name = "all cases" if with_cases else "groups only"
        print(f"| {name} | {len(page.encode()) / 1e6:.2f} | {cpu:.1f} | {wall:.1f} |")


if __name__ == "__main__":
    main()
