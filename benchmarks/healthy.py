"""Half the patients healthy: does FairDiv leave them alone, and find who is disadvantaged among the others?

    python -m benchmarks.healthy [-o effect_study] [--seeds 5] [-np 2]

Trains the effect study's network (``benchmarks.effect``, same scale and common start) on two synthetic cohorts in which
every second patient, in the planted group and outside it, has no lesion: ``distinct_healthy``, whose group has lesions
that look different, and ``balanced_healthy``, in which nobody is disadvantaged. The attribute ``referral`` tells the
healthy from the others. Prints, and writes to ``report/healthy.csv``, per run: mean weights of the healthy and of the
group against the others with a lesion and their spread (second half of the training), DSC of the test cases with a
lesion, how many of these got an empty mask, and how many of the healthy test cases a false voxel; then every method
minus its baseline, paired by seed, with Student's interval. ``report/dsc_*.csv`` hold the DSC of every test case.

Stop it at any time and start it again: finished runs are kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pandas as pd

from benchmarks.effect.cohorts import cohort_at
from benchmarks.effect.differences import t_interval
from benchmarks.effect.methods import METHODS as METHODS_KNOWN
from benchmarks.effect.methods import STOCK
from benchmarks.effect.runs import CASES, TRACE, Run
from benchmarks.effect.scale import SMALL
from benchmarks.effect.study import Part, conduct, finished
from benchmarks.effect.summary import case_scores
from nnunet_fair.files import write_csv

KINDS = ("distinct_healthy", "balanced_healthy")
METHODS = (STOCK, "sampling", "loss")
MEASURED = ("dsc_group", "dsc_others", "dsc", "lesions_missed", "healthy_with_false_voxels")
"""What is compared with the baseline."""


def run_row(run: Run, work: Path) -> dict:
    """What one training did to weights and test cases."""
    cohort = cohort_at(work, run.kind)
    group, healthy = cohort.group(), cohort.healthy()
    cases = pd.read_csv(run.folder(work) / CASES).set_index("case_id")
    lesion, in_group = ~cases.index.isin(healthy), cases.index.isin(group)
    trace = pd.read_csv(run.folder(work) / TRACE).set_index("epoch")
    weights = trace.iloc[len(trace) // 2 :].mean()
    weighs_lesion, weighs_group = ~weights.index.isin(healthy), weights.index.isin(group)
    return {
        **vars(run),
        "weight_healthy": weights[~weighs_lesion].mean(),
        "weight_spread": weights[weighs_lesion].std(),
        "weight_ratio": weights[weighs_lesion & weighs_group].mean() / weights[weighs_lesion & ~weighs_group].mean(),
        "dsc_group": cases.loc[lesion & in_group, "dsc"].mean(),
        "dsc_others": cases.loc[lesion & ~in_group, "dsc"].mean(),
        "dsc": cases.loc[lesion, "dsc"].mean(),
        "lesions_missed": (cases.loc[lesion, "volume_prediction_mm3"] == 0).mean(),
        "healthy_with_false_voxels": (cases.loc[~lesion, "volume_prediction_mm3"] > 0).mean(),
    }


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Every method minus its baseline on the same cohort and seed: mean and 95 % interval over the seeds."""
    measured = list(MEASURED)
    found = []
    for (kind, method), of_method in rows.groupby(["kind", "method"], sort=False):
        baseline = METHODS_KNOWN[method].baseline
        if method == baseline:
            continue
        stock = rows[(rows["kind"] == kind) & (rows["method"] == baseline)].set_index("seed")[measured]
        minus = (of_method.set_index("seed")[measured] - stock).dropna()
        row = {"kind": kind, "method": method, "seeds": len(minus)}
        for name in measured:
            low, high = t_interval(minus[name])
            row[name] = f"{100 * minus[name].mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        row["weight_healthy"] = f"{of_method['weight_healthy'].mean():.2f}"
        row["weight_ratio"] = f"{of_method['weight_ratio'].mean():.2f}"
        found.append(row)
    return pd.DataFrame(found)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", type=Path, default=Path("effect_study"), metavar="FOLDER", help="default: effect_study")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N − 1 (default 5)")
    parser.add_argument("--methods", nargs="+", default=METHODS, metavar="NAME", help="default: %(default)s")
    parser.add_argument("-np", type=int, default=2, metavar="N", help="trainings at a time (default 2)")
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    args = parser.parse_args()
    work = args.o.absolute() / "small"
    os.environ.setdefault("nnUNet_def_n_proc", "1")
    # the commands installed beside this Python, also where its environment is not activated
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    parts = (Part(KINDS, ("none",), tuple(args.methods), args.seeds),)
    failed = [] if args.report_only else conduct(parts, SMALL, work, args.np)
    runs = finished(work, parts)
    rows = pd.DataFrame([run_row(run, work) for run in runs])
    if rows.empty:
        print("no run is done yet")
        return 1
    (work / "report").mkdir(exist_ok=True)
    write_csv(rows.round(4), work / "report" / "healthy.csv")
    for kind in rows["kind"].unique():
        table = case_scores([run for run in runs if run.kind == kind], work)
        write_csv(table, work / "report" / f"dsc_{kind}.csv")
    print(rows.round(3).to_string(index=False))
    print("\nminus the baseline, in points (95 % interval over the seeds); weights of the second half of the training")
    print(differences(rows).to_string(index=False))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
