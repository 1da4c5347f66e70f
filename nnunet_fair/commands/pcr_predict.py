"""``nnunet_fair pcr predict``: probabilities and decisions for unseen patients."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_fair.commands.table_arguments import add_table_arguments, table_reading

HELP = "predict unseen patients with a response model; the table is what evaluate --task pcr takes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", type=Path, metavar="FOLDER", required=True, help="what pcr train wrote")
    parser.add_argument("-x", type=Path, metavar="CSV", nargs="+", default=[], help="the patients' tables of features")
    parser.add_argument("--deep", type=Path, metavar="FOLDER", help="deep features, for a model that reads some")
    parser.add_argument("-m", type=Path, metavar="TABLE", help="the patient table, for a model with clinical columns")
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", required=True, help="the table to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the table if it exists")
    add_table_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict, and say how many have a pCR."""
    from nnunet_fair.pcr.predict import write_predictions

    result = write_predictions(
        args.model,
        args.output,
        features=args.x,
        deep=args.deep,
        table=args.m,
        reading=table_reading(args),
        overwrite=args.overwrite,
    )
    for note in result.notes:
        print(f"note: {note}")
    n_pcr = int(result.rows["prediction"].sum())
    print(f"{len(result.rows)} cases, {n_pcr} predicted to have a pCR: wrote {args.output}")
    return 0
