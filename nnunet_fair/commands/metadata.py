"""``nnunet_fair metadata``: patient attributes for any nnU-Net dataset that has a table."""

from __future__ import annotations

import argparse

from nnunet_fair.commands.table_arguments import add_table_arguments, table_reading

HELP = "attach a patient table to an nnU-Net dataset: fair_cases.csv, coverage, stratified folds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-d", metavar="DATASET", required=True, help="dataset number or name")
    parser.add_argument("--table", metavar="FILE", required=True, help=".csv, .tsv, .xlsx or .json, one row a case")
    parser.add_argument(
        "--attributes",
        nargs="+",
        required=True,
        metavar="ATTRIBUTE",
        help="columns of the table; numbers are binned by edges (age:0,40,60,120) or quantiles (bmi:quantiles=4); "
        "label_volume is measured on the labels",
    )
    parser.add_argument(
        "--unknown", nargs="+", default=[], metavar="ATTRIBUTE", help="attributes whose missing values form a group"
    )
    parser.add_argument(
        "--stratify", action="store_true", help="write splits_final.json with folds stratified by all attributes"
    )
    parser.add_argument(
        "--patient-column", metavar="COLUMN", help="with --stratify: cases of one patient stay in one fold"
    )
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the folds (default 0)")
    parser.add_argument(
        "--min-group", type=int, default=5, metavar="N", help="report groups with fewer cases as too small (default 5)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace fair_cases.csv and splits_final.json")
    add_table_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the files and print the coverage."""
    from nnunet_fair.metadata.case_metadata import write_metadata

    result = write_metadata(
        args.d,
        args.table,
        args.attributes,
        reading=table_reading(args),
        unknown=args.unknown,
        stratify=args.stratify,
        patient_column=args.patient_column,
        n_folds=args.folds,
        seed=args.seed,
        min_group=args.min_group,
        overwrite=args.overwrite,
    )
    for line in result.report:
        print(line)
    print(f"wrote {result.fair_cases}" + (f" and {result.splits}" if result.splits else ""))
    return 0
