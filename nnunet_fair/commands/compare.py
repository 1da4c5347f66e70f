"""``nnunet_fair compare``: two models on the same cases."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_fair.commands.evaluation_arguments import (
    OPTIONS,
    add_analysis_arguments,
    add_overlay_arguments,
    add_scoring_arguments,
    add_task_arguments,
    analysis_options,
    check_ranges,
    exit_status,
    overlay_options,
    scoring_options,
    table_options,
)
from nnunet_fair.commands.table_arguments import add_table_arguments
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.reports.options import CompareOptions

__all__ = ["HELP", "OPTIONS", "add_arguments", "run"]

HELP = "compare two models: paired differences by subgroup, intervals, levelling-down audit, an HTML report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    files = parser.add_argument_group("files")
    files.add_argument("-ref", type=Path, metavar="LABELS", help="folder of the reference labels")
    for side in ("a", "b"):
        files.add_argument(
            f"-{side}",
            type=Path,
            nargs="+",
            required=True,
            metavar=f"PREDICTIONS_{side.upper()}",
            help=f"predictions of model {side.upper()}, one folder a training seed; or folders that evaluate wrote; "
            "with --task pcr one table",
        )
    files.add_argument(
        "-m", type=Path, metavar="TABLE", required=True, help="case metadata: fair_cases.csv or a raw table"
    )
    files.add_argument("-o", type=Path, metavar="OUT", required=True, help="folder to write to")
    add_task_arguments(parser)
    add_table_arguments(parser)
    files.add_argument(
        "--dataset-json",
        type=Path,
        metavar="FILE",
        help="declares the classes, regions and the ignore label (default: beside predictions or labels)",
    )
    add_scoring_arguments(parser)
    add_analysis_arguments(parser)
    parser.add_argument(
        "--paired-seeds",
        action="store_true",
        help="the k-th folders of -a and -b were trained as a pair (same folds, initialisation and batch order)",
    )
    report = parser.add_argument_group("report")
    report.add_argument("--name-a", default=CompareOptions.name_a, help="model A's name in the report")
    report.add_argument("--name-b", default=CompareOptions.name_b, help="model B's name in the report")
    report.add_argument("--title", default=CompareOptions.title, help="title of the report")
    add_overlay_arguments(report)
    report.add_argument("--anonymise", action="store_true", help="replace case IDs by neutral numbers in every output")


def dataset_json(args: argparse.Namespace) -> Path | None:
    """The ``dataset.json`` that declares the classes: as given, beside the predictions or above the labels."""
    from nnunet_fair.masks.label_classes import find_dataset_json

    if args.dataset_json is not None:
        return args.dataset_json
    return find_dataset_json([*args.a, *args.b, *([] if args.ref is None else [args.ref.parent])])


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0, or 1 where a case could not be scored, has no prediction in some folder or no row and that was not accepted.
    """
    check_ranges(args)
    if args.task == "pcr":
        return run_pcr(args)
    from nnunet_fair.evaluation.compare_folders import compare_folders
    from nnunet_fair.evaluation.comparison.classes import worst_of_classes
    from nnunet_fair.evaluation.comparison.levelling import overall_sentence
    from nnunet_fair.evaluation.reports.numbers import interval, number, signed

    compared = compare_folders(
        args.ref,
        args.a,
        args.b,
        table_options(args),
        args.o,
        scoring=scoring_options(args, dataset_json(args)),
        analysis=analysis_options(args),
        options=CompareOptions(
            name_a=args.name_a,
            name_b=args.name_b,
            title=args.title,
            missing=args.missing or "empty",
            overlays=overlay_options(args),
            n_overlays=args.overlays,
            anonymise=args.anonymise,
            paired_seeds=args.paired_seeds,
        ),
        n_processes=args.np,
    )
    comparison, audit = compared.comparison, compared.audit
    print(f"{len(comparison.scores.case_ids)} cases; {args.name_b} minus {args.name_a}:")
    for name in ("performance", "fairness", "ranking", "mean_dsc", "worst_group_dsc"):
        difference, low, high = comparison.difference.row(name)
        print(f"  {name:16s} {signed(difference, 4)}  ({interval(low, high, 4)})")
    for name, found in comparison.classes.items():
        whole = found.subgroups.iloc[0]
        ends = interval(whole["difference_low"], whole["difference_high"], 4)
        print(f"  {name}: mean DSC {signed(whole['difference'], 4)}  ({ends}, {whole['n']} cases)")
    for side, row in worst_of_classes(comparison).items():
        print(
            f"  furthest below its class under {args.name_a if side == 'a' else args.name_b}: {row['subgroup']} in "
            f"{row['class']}, mean DSC {number(row[f'mean_dsc_{side}'], 4)}, {number(-row['divergence'], 4)} below"
        )
    print(overall_sentence(comparison, audit, args.name_b))
    left_out = comparison.scores.left_out
    if left_out:
        names = "" if args.anonymise else f" ({', '.join(left_out[:10])}{' …' if len(left_out) > 10 else ''})"
        print(f"{len(left_out)} cases without a score in some folder were left out{names}; evaluate says why")
    print(f"wrote comparison.json, levelling.csv, subgroups.csv, cases.csv and report.html to {args.o}")
    return exit_status(
        args, not_scored=compared.not_scored, missing=compared.missing, n_without_row=compared.n_without_row
    )


def run_pcr(args: argparse.Namespace) -> int:
    """Compare two tables of pCR predictions; 1 where a prediction or a row is missing and that was not accepted."""
    from nnunet_fair.evaluation.compare_pcr import compare_pcr

    if len(args.a) != 1 or len(args.b) != 1:
        raise UserError("-a and -b take one table of predictions each with --task pcr")
    compared = compare_pcr(
        args.a[0],
        args.b[0],
        table_options(args),
        args.o,
        analysis=analysis_options(args),
        options=CompareOptions(
            name_a=args.name_a,
            name_b=args.name_b,
            title=args.title,
            missing=args.missing or "empty",
            anonymise=args.anonymise,
        ),
        threshold=args.threshold,
    )
    print(f"{compared.comparison.n_cases} cases; {args.name_b} against {args.name_a}:")
    for sentence in (*compared.sentences, *(f"note: {warning}" for warning in compared.warnings)):
        print(sentence)
    print(f"wrote comparison.json, levelling.csv, subgroups.csv, cases.csv and report.html to {args.o}")
    return exit_status(args, not_scored=(), missing=compared.missing, n_without_row=compared.n_without_row)
