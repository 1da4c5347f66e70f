"""``nnunet_fair pcr train``: a response model from features and clinical columns, validated on folds and centres."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_fair.commands.table_arguments import add_table_arguments, table_reading

HELP = "train a response model and validate it on folds and on centres left out (docs/pcr.md)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-m", type=Path, metavar="TABLE", required=True, help="the patient table with the outcome")
    parser.add_argument("-x", type=Path, metavar="CSV", nargs="+", default=[], help="tables of features")
    parser.add_argument("--deep", type=Path, metavar="FOLDER", help="deep features of every fold's encoder (with -d)")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=True, help="the model's folder")
    parser.add_argument(
        "-d", metavar="ID", help="dataset number or name: its training cases and folds (splits_final.json) are taken"
    )
    parser.add_argument(
        "--clinical", metavar="COLUMN", nargs="+", default=[], help="columns of the table to learn from"
    )
    parser.add_argument(
        "--outcome", metavar="COLUMN", default="pcr", help="column of the outcome (default: %(default)s)"
    )
    parser.add_argument(
        "--centre", metavar="COLUMN", help="column of the centre, each left out in turn (default: dataset, if there)"
    )
    parser.add_argument(
        "--method",
        choices=("logistic", "trees"),
        default="logistic",
        help="logistic regression or boosted trees (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        choices=("balanced-accuracy", "ranking"),
        default="balanced-accuracy",
        help="what the one threshold is chosen by; ranking is the challenge's, with the levelling-down audit beside it "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--variables",
        metavar="COLUMN",
        nargs="+",
        help="variables of the ranking's fairness (default: the challenge's)",
    )
    parser.add_argument(
        "--fairdiv",
        metavar="ATTRIBUTE",
        nargs="+",
        help="weigh the cases of subgroups of these attributes that are predicted worse (age:0,40,60,120 site …)",
    )
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="folds made where -d names none (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of folds and trees (default 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace a response model in the folder")
    add_table_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, and say what the model is worth."""
    from nnunet_fair.pcr.fitting import FittingOptions
    from nnunet_fair.pcr.thresholds import RANKING
    from nnunet_fair.pcr.train import MODEL, write_training
    from nnunet_fair.pcr.training_cases import TrainingSources, read_training_cases

    training = read_training_cases(
        TrainingSources(
            table=args.m,
            features=tuple(args.x),
            deep=args.deep,
            dataset=args.d,
            clinical=tuple(dict.fromkeys(args.clinical)),
            outcome=args.outcome,
            centre=args.centre,
            fairdiv=tuple(args.fairdiv) if args.fairdiv else None,
            with_groups=args.threshold == RANKING,
            variables=tuple(args.variables) if args.variables else None,
            n_folds=args.folds,
            seed=args.seed,
            reading=table_reading(args),
        )
    )
    options = FittingOptions(method=args.method, threshold=args.threshold, seed=args.seed)
    inputs = (args.m, *args.x, args.deep)
    result = write_training(training, options, args.output, inputs=inputs, overwrite=args.overwrite)
    for note in training.notes:
        print(f"note: {note}")
    print(result.report_line())
    for sentence in result.sentences:
        print(sentence)
    print(f"wrote {args.output / MODEL}, which holds no patient; the other files of the folder name cases and centres")
    return 0
