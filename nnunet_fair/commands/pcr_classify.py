"""``nnunet_fair pcr classify``: probabilities of a response by networks that see the lesion's surroundings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from nnunet_fair.commands.model_arguments import add_model_arguments
from nnunet_fair.commands.pcr_problems import tell_problems
from nnunet_fair.errors import UserError
from nnunet_fair.prediction.options import CHECKPOINT, DEVICES

HELP = "predict patients with networks of nnUNetTrainerResponse; the table is what evaluate --task pcr takes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_model_arguments(
        parser,
        dataset="dataset number or name of the trained classifier",
        trainer="the nnUNetTrainerResponse… that was trained",
    )
    parser.add_argument("-f", metavar="FOLD", nargs="+", help="networks of these folds (default: all)")
    parser.add_argument("-chk", metavar="CHECKPOINT", default=CHECKPOINT, help="(default: %(default)s)")
    parser.add_argument(
        "-i",
        type=Path,
        metavar="IMAGES",
        help="unseen patients' images as the model reads them, for all networks together (default: the dataset's "
        "training cases, each by the network of the fold that left it out)",
    )
    parser.add_argument(
        "-seg", type=Path, metavar="MASKS", help="their masks (needed with -i; default: the training cases' labels)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", required=True, help="the table to write")
    parser.add_argument("-device", choices=DEVICES, default="cuda", help="(default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the table if it exists")


def run(args: argparse.Namespace) -> int:
    """Classify, and say what was and was not.

    Returns:
        0, or 1 where a case could not be classified.
    """
    from nnunet_fair.masks.endings import list_images, list_masks
    from nnunet_fair.paths import RESPONSE_TRAINERS, find_model, preprocessed_folder, raw_folder
    from nnunet_fair.pcr.classify import folds_left_out, write_classification
    from nnunet_fair.prediction.model import open_model, parse_folds

    folder = find_model(args.d, args.tr, args.p, args.c, trainers=RESPONSE_TRAINERS)
    model = open_model(folder, parse_folds(args.f) if args.f else None, args.chk)
    fold_of: Mapping[str, int] | None = None
    if args.i is None:
        fold_of = folds_left_out(model, preprocessed_folder(args.d))
    elif args.seg is None:
        raise UserError("a classifier looks around the lesion: give the masks of the patients (-seg)")
    found = write_classification(
        model,
        list_images(args.i or raw_folder(args.d) / "imagesTr"),
        list_masks(args.seg or raw_folder(args.d) / "labelsTr"),
        args.output,
        fold_of=fold_of,
        device=args.device,
        overwrite=args.overwrite,
    )
    n_empty = int(found.rows["probability"].isna().sum())
    by = "each by the fold that left it out" if fold_of is not None else f"{len(model.folds)} networks together"
    print(f"{len(found.rows)} cases classified, {by} ({n_empty} without a lesion): wrote {args.output}")
    return tell_problems(found.problems, "classified")
