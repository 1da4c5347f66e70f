"""The study on real patients (docs/effect-real.md).

    python -m studies.real --cohort lgg              prepare, train, evidence, report: a night on 2 cores
    python -m studies.real prepare --cohort busbra --archive BUSBRA
    python -m studies.real report --cohort lgg       tables and figures of what is done
    python -m studies.real --cohort lgg --quick      the whole way in minutes; its numbers mean nothing
    python -m studies.real --cohort lgg --full       nnU-Net's default 2D network and schedule, for a GPU

Stop it at any time and start it again. Runs whose result is in the results folder are not run again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from nnunet_fair.errors import UserError
from studies.real.cohorts import COHORTS
from studies.real.comparisons import N_RESAMPLES
from studies.real.dataset import prepare, prepare_finer
from studies.real.evidence import record_evidence
from studies.real.methods import METHODS
from studies.real.report import write_report
from studies.real.scale import FULL, NIGHT, QUICK
from studies.real.study import ALL_FOLDS, DEFAULT_METHODS, PARTS, SEEDS, conduct, study_runs

WORK = "NNUNET_FAIR_STUDY"
STEPS = ("all", "prepare", "train", "evidence", "report")
RESULTS = Path(__file__).parent / "results"


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.real", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", nargs="?", choices=STEPS, default="all", help="default: all of them, in this order")
    parser.add_argument("--cohort", choices=COHORTS, required=True)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="20 patients, a few steps")
    size.add_argument("--full", action="store_true", help="nnU-Net's defaults, on a GPU")
    parser.add_argument(
        "--archive",
        type=Path,
        metavar="FOLDER",
        help="the unpacked public archive (LGG: with kaggle_3m/data.csv; BUS-BRA: with bus_data.csv); "
        "default: the prepared folder at NNUNET_FAIR_DATA",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=DEFAULT_METHODS, metavar="METHOD")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, metavar="SEED", help="default: 0 1 2")
    parser.add_argument("--folds", nargs="+", type=int, choices=ALL_FOLDS, default=ALL_FOLDS, metavar="FOLD")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=" and ".join(PARTS))
    parser.add_argument(
        "-o", type=Path, metavar="FOLDER", help=f"working folder; default: the variable {WORK}, else ./real_study"
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="small tables without patients; default: studies/real/results/COHORT, for --quick in the working folder",
    )
    parser.add_argument("-np", type=int, default=2, metavar="N", help="trainings at a time (default 2)")
    return parser


def main() -> int:
    """Run the command line.

    Returns:
        0, or 1 where a run failed or the input cannot be used.
    """
    args = arguments().parse_args()
    cohort = COHORTS[args.cohort]
    scale = (QUICK if args.quick else FULL if args.full else NIGHT)[cohort.key]
    root = args.o or Path(os.environ.get(WORK, "real_study"))
    work = root.absolute() / f"{cohort.key}-{scale.name}"
    default = work / "report" if args.quick else RESULTS / (f"{cohort.key}-full" if args.full else cohort.key)
    results = (args.results or default).absolute()
    failed: list[str] = []
    try:
        dataset = prepare(cohort, scale, work, args.archive, max(2, args.np))
        if args.step in ("all", "train"):
            runs = study_runs(args.parts, args.methods, args.seeds, args.folds)
            if any(METHODS[run.method].finer for run in runs):
                prepare_finer(dataset, scale.network, max(2, args.np))
            failed = conduct(runs, dataset, scale, results, args.np)
        if args.step in ("all", "evidence"):
            record_evidence(dataset, results)
        if args.step in ("all", "report"):
            print("\n".join(write_report(dataset, results, args.folds, N_RESAMPLES)))
            print(f"tables and figures: {results}")
    except UserError as error:
        print(f"studies.real: {error}", file=sys.stderr)
        return 1
    print("\n".join(failed) if failed else f"{args.step} done")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
