"""The joint trainer against separate training, on synthetic patients with a planted response: docs/joint.md.

    python -m benchmarks.joint [-o joint_study] [--seeds 5]

Per seed two folds of stock nnU-Net and two of nnUNetTrainerFairJoint, one process, on the CPU. Stop it at any time and
start it again: finished runs are kept, one table each in ``benchmarks/joint/results``.
"""

from __future__ import annotations

import argparse
import os
import sys
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from benchmarks.effect.cohorts import START, prepare
from benchmarks.effect.runs import train_start
from benchmarks.joint.runs import ARMS, SCALE, Run, execute
from benchmarks.joint.summary import summarise

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", type=Path, default=Path("joint_study"), metavar="FOLDER", help="default: joint_study")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="default: beside this script")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)), metavar="SEED", help="default: 0 to 4")
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    args = parser.parse_args()
    if not args.report_only:
        conduct([Run(arm, seed) for seed in args.seeds for arm in ARMS], args.o.absolute(), args.results.absolute())
    for line in summarise(args.results):
        print(line)
    return 0


def conduct(runs: list[Run], work: Path, results: Path) -> None:
    """Do every run that is not done yet, one after the other."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("nnUNet_def_n_proc", "1")
    # the commands installed beside this Python, also where its environment is not activated
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    todo = [run for run in runs if not run.result(results).is_file()]
    if not todo:
        return
    work.mkdir(parents=True, exist_ok=True)
    cohorts = {kind: prepare(work, kind, SCALE, 1) for kind in (START, "response")}
    processes = get_context("spawn")
    with processes.Pool(1, maxtasksperchild=1) as pool:  # a training changes its process's environment
        pool.apply(train_start, (cohorts[START], SCALE, work))
        for run in tqdm(todo, unit="run"):
            pool.apply(execute, (run, cohorts["response"], work, results))


if __name__ == "__main__":
    sys.exit(main())
