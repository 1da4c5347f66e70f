"""``nnunet_fair check-evidence``: is what a training found about its patients more than chance?"""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_fair.commands.model_arguments import MODEL_OPTIONS, add_model_arguments
from nnunet_fair.commands.table_arguments import add_table_arguments, table_reading

HELP = "hold the subgroup a training found against those it would find in attributes dealt out at random"
OPTIONS = {**MODEL_OPTIONS, "n_permutations": "--permutations"}
_SIGNIFICANT = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; names as in nnUNetv2_predict."""
    add_model_arguments(parser)
    parser.add_argument("-f", nargs="+", metavar="FOLD", help="default: every fold that was trained")
    parser.add_argument(
        "--permutations", type=int, default=199, metavar="N", help="tables dealt out at random (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="SEED", help="of the permutations (default 0)")
    parser.add_argument("--table", type=Path, metavar="FILE", help="table that says which cases are of one patient")
    parser.add_argument("--patient-column", metavar="COLUMN", help="its column of patients")
    parser.add_argument("-o", type=Path, metavar="CSV", help="write the table there too")
    add_table_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Check, and print a fold at a time."""
    from nnunet_fair.files import write_csv
    from nnunet_fair.paths import find_model
    from nnunet_fair.prediction.model import open_model, parse_folds
    from nnunet_fair.training.fold_evidence import EvidenceOptions, check_evidence

    options = EvidenceOptions(
        n_permutations=args.permutations,
        seed=args.seed,
        table=args.table,
        patient_column=args.patient_column,
        reading=table_reading(args),
    )
    model = open_model(find_model(args.d, args.tr, args.p, args.c), parse_folds(args.f) if args.f else None)
    found, notes = check_evidence(model.folder, model.folds, options)
    for note in notes:
        print(f"note: {note}")
    for fold, rows in found.groupby("fold", sort=False):
        probability, spread = (rows.set_index("measure").loc[name] for name in ("largest_probability", "weight_spread"))
        print(
            f"fold {fold}: {probability['n_cases']} scored cases, most probably disadvantaged: "
            f"{probability['subgroup'] or 'no subgroup'}"
        )
        for what, row in (("probability", probability), ("spread of the weights", spread)):
            chance = f"{row['chance_mean']:.3f} on average and {row['chance_95']:.3f} or more in one of 20"
            test = f"p {row['p']:.3f}, {row['n_permutations']} permutations"
            print(f"  {what} {row['observed']:.3f}; by chance {chance} ({test})")
        print(f"  {_verdict(probability['p'], spread['p'])}")
    if args.o:
        write_csv(found.round(4), args.o)
        print(f"wrote {args.o}")
    return 0


def _verdict(*p_values: float) -> str:
    if max(p_values) <= _SIGNIFICANT:
        return "more than chance: the weights follow something in the patients' attributes"
    if min(p_values) > _SIGNIFICANT:
        return "no more than chance: attributes dealt out at random give as much"
    return "undecided: one of the two is more than chance, the other is not"
