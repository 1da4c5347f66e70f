"""Arguments that every command with a patient table shares, and the reading they ask for; no command of its own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_fair.metadata.case_table import TableReading


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a patient table is read."""
    group = parser.add_argument_group("the patient table (docs/metadata.md)")
    group.add_argument(
        "--id-column",
        nargs="+",
        metavar="COLUMN",
        help="column of the case IDs, or several that are joined; looked for by the usual names when left away",
    )
    group.add_argument(
        "--id-join", default="_", metavar="TEXT", help="what joins the parts of an ID (default: %(default)s)"
    )
    group.add_argument("--sheet", metavar="SHEET", help="name or number of the .xlsx file's sheet")
    group.add_argument("--header-row", type=int, metavar="N", help="row with the columns' names (default: found)")
    group.add_argument("--fill-merged", action="store_true", help="merged cells give their value to all their rows")
    group.add_argument(
        "--missing-values",
        nargs="+",
        metavar="WORD",
        help="words and numbers that mean 'not known', in place of the usual ones",
    )
    group.add_argument(
        "--decode",
        action="store_true",
        help="put what a legend in the table says in place of its codes ('0 = pre, 1 = post')",
    )


def table_reading(args: argparse.Namespace) -> TableReading:
    """The reading the arguments ask for."""
    from nnunet_fair.metadata.case_table import TableReading

    return TableReading(
        id_column=tuple(args.id_column) if args.id_column else None,
        id_join=args.id_join,
        sheet=args.sheet,
        header_row=args.header_row,
        fill_merged=args.fill_merged,
        missing_values=tuple(args.missing_values) if args.missing_values else None,
        decode=args.decode,
    )
