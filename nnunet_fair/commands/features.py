"""``nnunet_fair features``: what the network's encoder sees in each case."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nnunet_fair.commands.model_arguments import MODEL_OPTIONS, add_model_arguments
from nnunet_fair.prediction.options import CHECKPOINT, DEVICES, PredictorOptions

HELP = "the network's bottleneck features of cases, to find groups that no table names (hidden-groups)"
OPTIONS = MODEL_OPTIONS | {"output": "-o", "root": "-i"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; names as in nnUNetv2_predict."""
    add_model_arguments(parser, dataset="dataset number or name the model was trained on")
    parser.add_argument("-f", nargs="+", metavar="FOLD", help="folds (default: all there are)")
    parser.add_argument(
        "-i",
        type=Path,
        metavar="IMAGES",
        help="folder of images no fold trained on (default: the training cases, each by the fold that validates it)",
    )
    parser.add_argument("-o", type=Path, required=True, metavar="FILE.csv", help="table to write; a record beside it")
    parser.add_argument("-chk", default=CHECKPOINT, metavar="FILE", help="default %(default)s")
    parser.add_argument("-device", default=PredictorOptions.device, choices=DEVICES, help="default %(default)s")
    parser.add_argument(
        "-step_size",
        type=float,
        default=1.0,
        help="step between patches as a share of the patch (default %(default)s: they do not overlap)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 where a case was skipped."""
    from nnunet_fair.errors import UserError
    from nnunet_fair.files import write_csv, write_json
    from nnunet_fair.outputs import begins_with, is_record, refuse_foreign
    from nnunet_fair.paths import find_model
    from nnunet_fair.prediction.case_features import image_folder_features, training_case_features
    from nnunet_fair.prediction.model import open_model, parse_folds

    record = args.o.with_suffix(".json")
    if args.o.suffix != ".csv":
        raise UserError(f"`output` takes a file that ends with .csv, found {args.o}")
    refuse_foreign(args.o, begins_with(args.o, ("case_id,network,",)))
    refuse_foreign(record, is_record(record, {"features", "checkpoint"}))
    model = open_model(find_model(args.d, args.tr, args.p, args.c), parse_folds(args.f) if args.f else None, args.chk)
    options = PredictorOptions(device=args.device, step_size=args.step_size)
    if args.i is None:
        found = training_case_features(model, args.d, options)
    else:
        found = image_folder_features(model, args.i, options)
    args.o.parent.mkdir(parents=True, exist_ok=True)
    write_csv(found.frame.reset_index(), args.o)
    write_json(found.record, record)
    print(f"wrote {found.frame.shape[1] - 1} features of {len(found.frame)} cases to {args.o}")
    for case_id, reason in found.skipped.items():
        print(f"skipped: {case_id}: {reason}", file=sys.stderr)
    return 1 if found.skipped else 0
