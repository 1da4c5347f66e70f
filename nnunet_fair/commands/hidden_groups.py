"""``nnunet_fair hidden-groups``: groups that no table names, found in what the network sees."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_fair.errors import UserError
from nnunet_fair.subgroups.options import SubgroupOptions

HELP = "cluster cases by the network's features and find clusters that the model serves worse, without a table"
OPTIONS = {"features": "-x", "scores": "-s", "output": "-o"}
N_PERMUTATIONS = 9999


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-x", type=Path, required=True, metavar="FEATURES", help="table of nnunet_fair features")
    parser.add_argument("-s", type=Path, required=True, metavar="CASES", help="cases.csv of nnunet_fair evaluate")
    parser.add_argument("-o", type=Path, required=True, metavar="OUT", help="folder to write to")
    parser.add_argument(
        "--min-group",
        type=int,
        default=SubgroupOptions.min_group,
        metavar="N",
        help="clusters with fewer cases are shown but decide nothing (default: %(default)s)",
    )
    parser.add_argument(
        "--permutations", type=int, default=N_PERMUTATIONS, metavar="N", help="of the test (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=SubgroupOptions.seed, metavar="SEED", help="of everything random (default: 0)"
    )
    parser.add_argument(
        "--anonymise", action="store_true", help="no case ID and no cluster of fewer than 5 cases in what is written"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; 0."""
    from nnunet_fair.evaluation.find_hidden_groups import find_hidden_groups
    from nnunet_fair.evaluation.outputs import HIDDEN_GROUPS
    from nnunet_fair.evaluation.reports.numbers import number, p_value, signed

    if args.min_group < 2 or args.permutations < 99:
        raise UserError("--min-group takes 2 or more, --permutations 99 or more")
    options = SubgroupOptions(min_group=args.min_group, seed=args.seed)
    found = find_hidden_groups(
        args.x, args.s, args.o, options, n_permutations=args.permutations, anonymise=args.anonymise
    )
    for note in found.notes:
        print(note)
    for row in found.clusters.itertuples():
        size = f"{row.n} case" if row.n == 1 else f"{row.n} cases"
        line = f"  {row.cluster}: {size}, mean DSC {number(row.mean_dsc)} ({signed(row.divergence)})"
        print(line + (f", {row.reason}" if row.reason else f", p {p_value(row.p)}"))
        if not args.anonymise and row.decides and row.divergence < 0:
            print(f"    typical: {row.typical}; worst: {row.worst}")
    print(f"wrote clusters.csv and hidden_groups.json to {args.o}")
    if not args.anonymise:
        print(f"for the whole report: nnunet_fair evaluate … -m {args.o / HIDDEN_GROUPS} --variables cluster")
    return 0
