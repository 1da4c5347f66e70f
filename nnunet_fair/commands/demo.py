"""``nnunet_fair demo``: the whole pipeline on a synthetic cohort, on the CPU."""

from __future__ import annotations

import argparse

HELP = "run the whole pipeline on a synthetic cohort, on the CPU, through the commands a user types"

OPTIONS = {"folder": "-o"}
"""The options behind arguments that the library calls otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-o", metavar="DIR", required=True, help="folder to work in; a former demo in it is replaced")
    parser.add_argument(
        "--folds",
        type=int,
        nargs="+",
        choices=range(5),
        default=[0, 1, 2, 3, 4],
        metavar="FOLD",
        help="cross-validation folds to train (default: all five)",
    )
    parser.add_argument("-n", type=int, default=40, metavar="N", help="cases of the synthetic cohort (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="of the cohort (default 0)")


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    from nnunet_fair.demo import run_demo

    run_demo(args.o, folds=sorted(set(args.folds)), n_cases=args.n, seed=args.seed)
    return 0
