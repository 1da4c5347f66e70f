"""The effect study.

    python -m benchmarks.effect --quick          two cohorts with a learnable disparity, 5 seeds: 20 minutes on 2 cores
    python -m benchmarks.effect                  the study of docs/effect.md: about five hours on 2 cores
    python -m benchmarks.effect --scratch        from random weights, 10 seeds: about four hours on 2 cores
    python -m benchmarks.effect --small-lesions  what may lift small lesions, on the cohort "small": an hour on 2 cores
    python -m benchmarks.effect --full           larger network and cohorts, 60 trainings: a GPU and a night
    python -m benchmarks.effect --report-only    tables and figures of what is done

Stop it at any time and start it again: finished runs are kept in the folder of -o, and in small in that of --keep,
from which another machine can go on.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.effect.kept import restore
from benchmarks.effect.scale import FROM_SCRATCH, LARGE, SMALL
from benchmarks.effect.study import FULL, QUICK, SCRATCH, SMALL_LESIONS, STUDY, conduct
from benchmarks.effect.summary import summarise
from nnunet_fair.errors import UserError


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a small part of the study")
    size.add_argument("--scratch", action="store_true", help="each training from random weights of its own")
    size.add_argument("--small-lesions", action="store_true", help="the candidates of studies.small_lesions")
    size.add_argument("--full", action="store_true", help="the study at a more realistic size")
    parser.add_argument("-o", type=Path, default=Path("effect_study"), metavar="FOLDER", help="default: effect_study")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="finished runs in small: they are taken from there and put there"
    )
    parser.add_argument("-np", type=int, default=2, metavar="N", help="trainings at a time (default 2)")
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    args = parser.parse_args()
    name, parts, scale = "small", STUDY, SMALL
    if args.quick:
        parts = QUICK
    elif args.small_lesions:
        parts = SMALL_LESIONS
    elif args.scratch:
        name, parts, scale = "scratch", SCRATCH, FROM_SCRATCH
    elif args.full:
        name, parts, scale = "full", FULL, LARGE
    work = args.o.absolute() / name
    os.environ.setdefault("nnUNet_def_n_proc", "1")
    # the commands installed beside this Python, also where its environment is not activated
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    try:
        if args.keep is not None:
            restore(args.keep, work, scale)
        failed = [] if args.report_only else conduct(parts, scale, work, args.np, args.keep)
        lines = summarise(work, parts, work / "report")
    except UserError as error:
        sys.exit(f"benchmarks.effect: {error}")
    print("\n".join(lines))
    print(f"{len(failed)} runs failed" if failed else f"tables, figures and comparisons: {work / 'report'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
