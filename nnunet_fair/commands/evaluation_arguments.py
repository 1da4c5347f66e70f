"""Arguments that ``evaluate`` and ``compare`` share, their options, their exit status; no command of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_fair.commands.model_arguments import MODEL_OPTIONS
from nnunet_fair.commands.table_arguments import table_reading
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.empty_policy import EmptyMaskPolicy
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.options import OverlayOptions, ReportOptions
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.masks.label_classes import read_label_classes
from nnunet_fair.subgroups.options import SubgroupOptions

if TYPE_CHECKING:
    from nnunet_fair.evaluation.table_options import TableOptions

N_PROCESSES = 2
OPTIONS = {
    "references": "-ref",
    "predictions": "-pred",
    "probabilities": "-prob",
    "second_references": "-ref2",
    "table": "-m",
    "output": "-o",
    **MODEL_OPTIONS,
    "n_processes": "-np",
}
"""The options whose names differ from the library's arguments."""


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is predicted (shared with compare)."""
    parser.add_argument(
        "--task",
        choices=("segmentation", "pcr"),
        default="segmentation",
        help="what is predicted: masks, or pathologic complete response in a table (default: segmentation)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="with --task pcr: the probability from which on pCR is predicted, where a table has no decisions "
        "(default: %(default)s)",
    )


def add_scoring_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how masks are read and scored (shared with compare)."""
    group = parser.add_argument_group("scoring")
    group.add_argument("-np", type=int, default=N_PROCESSES, metavar="N", help="processes (default: %(default)s)")
    group.add_argument(
        "--labels",
        type=int,
        nargs="+",
        metavar="LABEL",
        help="labels that together are the foreground (default: 1, in images of 0 and 1 only)",
    )
    group.add_argument(
        "--empty",
        choices=[policy.value for policy in EmptyMaskPolicy],
        default=ScoringOptions.empty.value,
        help="what two empty masks score: DSC 0 as in the challenge, 1, or nothing (default: %(default)s)",
    )
    group.add_argument(
        "--missing",
        choices=("empty", "skip"),
        help="a reference without a prediction counts as an empty mask or is left out; where this is not given they "
        "count as empty and the exit status is 1",
    )
    group.add_argument(
        "--accept-without-row",
        action="store_true",
        help="cases without a row in the table are no reason for the exit status 1",
    )
    group.add_argument(
        "--resample",
        action="store_true",
        help="resample predictions of another grid onto the reference's, nearest neighbour",
    )
    group.add_argument(
        "--tolerance",
        type=float,
        default=ScoringOptions.tolerance_mm,
        metavar="MM",
        help="of the surface DSC (default: %(default)g mm)",
    )


def add_analysis_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the cases become scores (shared with compare)."""
    group = parser.add_argument_group("scores and subgroups")
    group.add_argument(
        "--variables",
        nargs="+",
        metavar="VARIABLE",
        help="variables of the fairness score (default: age menopausal_status breast_density)",
    )
    group.add_argument(
        "--attributes",
        nargs="+",
        metavar="ATTRIBUTE",
        help="further attributes of the subgroup table (default: every column of fair_cases.csv)",
    )
    group.add_argument(
        "--lambda",
        dest="lambda_",
        type=float,
        default=AnalysisOptions.lambda_,
        metavar="L",
        help="weight of the fairness in the ranking (default: %(default)s)",
    )
    group.add_argument(
        "--min-group",
        type=int,
        default=SubgroupOptions.min_group,
        metavar="N",
        help="groups with fewer cases are shown but decide no headline (default: %(default)s)",
    )
    group.add_argument(
        "--min-support",
        type=float,
        default=SubgroupOptions.min_support,
        metavar="SHARE",
        help="smallest share of cases of a combination of attributes (default: %(default)s)",
    )
    group.add_argument(
        "--max-items",
        type=int,
        default=SubgroupOptions.max_items,
        metavar="N",
        help="largest number of attributes in a combination (default: %(default)s)",
    )
    group.add_argument(
        "--failure",
        type=float,
        default=SubgroupOptions.failure_dsc,
        metavar="DSC",
        help="a case with DSC 0 or below this is a failure (default: %(default)s)",
    )
    numbers = (
        ("--resamples", int, SubgroupOptions.n_resamples, "N", "bootstrap replicates"),
        ("--confidence", float, SubgroupOptions.confidence, "C", "of the intervals"),
        ("--seed", int, SubgroupOptions.seed, "SEED", "of the bootstrap"),
    )
    for option, kind, default, metavar, text in numbers:
        group.add_argument(option, type=kind, default=default, metavar=metavar, help=f"{text} (default: %(default)s)")


def add_overlay_arguments(group: argparse._ArgumentGroup) -> None:
    """Declare the pictures (shared with compare)."""
    group.add_argument(
        "-i", type=Path, metavar="IMAGES", help="folder of the images (CASE_0000.nii.gz …), to draw the contours on"
    )
    group.add_argument(
        "--channel",
        type=int,
        metavar="C",
        help="image channel to draw (default: 1, the first post-contrast phase, where there is one)",
    )
    group.add_argument(
        "--overlays",
        type=int,
        default=ReportOptions.n_overlays,
        metavar="N",
        help="cases to draw (default: %(default)s)",
    )


RANGES = {
    "tolerance": ("--tolerance", 0, float("inf")),
    "lambda_": ("--lambda", 0, 1),
    "min_group": ("--min-group", 1, float("inf")),
    "min_support": ("--min-support", 1e-6, 1),
    "max_items": ("--max-items", 1, float("inf")),
    "failure": ("--failure", 0, 1),
    "resamples": ("--resamples", 20, 1_000_000),
    "confidence": ("--confidence", 0.5, 0.9999),
    "overlays": ("--overlays", 0, float("inf")),
    "np": ("-np", 1, float("inf")),
}
"""Arguments that are numbers, their flags and the values they take."""


def check_ranges(args: argparse.Namespace) -> None:
    """Refuse numbers that make no sense.

    Raises:
        UserError: naming the argument and what it takes.
    """
    for name, (flag, low, high) in RANGES.items():
        value = getattr(args, name)
        if not low <= value <= high:
            limits = f"between {low:g} and {high:g}" if high < float("inf") else f"of {low:g} or more"
            raise UserError(f"{flag} takes a value {limits}, found {value:g}")


def scoring_options(args: argparse.Namespace, dataset_json: Path | None = None) -> ScoringOptions:
    """The scoring options the arguments name.

    Args:
        args: the arguments.
        dataset_json: declares the classes to score one by one; ``--labels`` merges them instead.
    """
    declared = None if dataset_json is None or args.labels else read_label_classes(dataset_json)
    return ScoringOptions(
        labels=tuple(args.labels) if args.labels else None,
        empty=EmptyMaskPolicy(args.empty),
        tolerance_mm=args.tolerance,
        resample=args.resample,
    ).with_classes(declared)


def overlay_options(args: argparse.Namespace) -> OverlayOptions:
    """The images the arguments name."""
    return OverlayOptions(args.i, args.channel)


def analysis_options(args: argparse.Namespace) -> AnalysisOptions:
    """The analysis options the arguments name."""
    return AnalysisOptions(
        lambda_=args.lambda_,
        subgroups=SubgroupOptions(
            min_group=args.min_group,
            min_support=args.min_support,
            max_items=args.max_items,
            failure_dsc=args.failure,
            n_resamples=args.resamples,
            confidence=args.confidence,
            seed=args.seed,
        ),
    )


def table_options(args: argparse.Namespace) -> TableOptions:
    """The table options the arguments name."""
    from nnunet_fair.evaluation.table_options import TableOptions

    return TableOptions(
        args.m,
        tuple(args.variables) if args.variables else None,
        tuple(args.attributes) if args.attributes else None,
        table_reading(args),
        args.min_group,
    )


def require(args: argparse.Namespace, *names: str) -> None:
    """Refuse a call that lacks an argument its task needs.

    Raises:
        UserError: naming the arguments.
    """
    absent = [f"-{name}" for name in names if getattr(args, name) is None]
    if absent:
        raise UserError(f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} needed; see --help")


def exit_status(args: argparse.Namespace, *, not_scored: Sized, missing: Sized, n_without_row: int) -> int:
    """1 where something that was asked for was not done, and said; else 0.

    Args:
        args: the command's arguments; ``--missing`` and ``--accept-without-row`` accept.
        not_scored: cases that could not be scored.
        missing: cases without a prediction.
        n_without_row: cases without a row in the table.
    """
    not_done = []
    if len(not_scored):
        not_done.append(f"{len(not_scored)} cases were not scored")
    if len(missing) and args.missing is None:
        not_done.append(f"{len(missing)} cases have no prediction (--missing accepts that)")
    if n_without_row and not args.accept_without_row:
        not_done.append(f"{n_without_row} cases have no row in the table (--accept-without-row accepts that)")
    for sentence in not_done:
        print(f"nnunet_fair {args.command}: exit status 1: {sentence}", file=sys.stderr)
    return 1 if not_done else 0
