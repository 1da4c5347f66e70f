"""``nnunet_fair audit``: the patients of a dataset, before a model is trained."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_fair.commands.table_arguments import add_table_arguments, table_reading

OPTIONS = {"output": "-o"}
HELP = "look at a dataset's patients before training: groups, missing values, scanners, folds, the gaps that can show"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-d", metavar="DATASET", required=True, help="dataset number or name, with a fair_cases.csv")
    parser.add_argument("-o", type=Path, metavar="OUT", help="folder to write to (default: audit_DATASET)")
    parser.add_argument("--attributes", nargs="+", metavar="ATTRIBUTE", help="of fair_cases.csv (default: all)")
    parser.add_argument(
        "--scanners", nargs="+", metavar="ATTRIBUTE", help="attributes of scanner and site (default: found by name)"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="table that says which cases are of one patient")
    parser.add_argument("--patient-column", metavar="COLUMN", help="its column of patients")
    deviation = parser.add_mutually_exclusive_group()
    deviation.add_argument(
        "--sd", type=float, metavar="SD", help="standard deviation of the DSC within a group (default: 0.2 is assumed)"
    )
    deviation.add_argument(
        "--scores", type=Path, metavar="CASES_CSV", help="measure it on a cases.csv that evaluate wrote"
    )
    parser.add_argument(
        "--min-group", type=int, default=5, metavar="N", help="smallest group in the smallest gaps (default: 5)"
    )
    add_table_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the page and the table and print what matters most."""
    from nnunet_fair.metadata.audit.audit import AuditOptions, audit_dataset
    from nnunet_fair.metadata.audit.page import write_audit

    audit = audit_dataset(
        args.d,
        AuditOptions(
            attributes=tuple(args.attributes) if args.attributes else None,
            scanners=tuple(args.scanners) if args.scanners else None,
            table=args.table,
            reading=table_reading(args),
            patient_column=args.patient_column,
            scores=args.scores,
            sd=args.sd,
            min_group=args.min_group,
        ),
    )
    for note in audit.notes:
        print(f"note: {note}")
    for row in audit.gaps.itertuples():
        print(f"{row.attribute}: {row.largest} can show a gap in DSC of {row.gap_largest:.3f} or more")
    folder = args.o or Path(f"audit_{audit.dataset}")
    page, table = write_audit(audit, folder, (args.table, args.scores))
    print(f"wrote {page} and {table}")
    return 0
