"""``nnunet_fair pcr deep-features``: what a trained nnU-Net's encoders see of every lesion."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from nnunet_fair.commands.model_arguments import add_model_arguments
from nnunet_fair.commands.pcr_problems import tell_problems
from nnunet_fair.prediction.options import CHECKPOINT, DEVICES

HELP = "encode every case's lesion with the encoders of a trained nnU-Net, one table a fold (docs/pcr.md)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_model_arguments(parser, dataset="dataset number or name of the trained model")
    parser.add_argument("-f", metavar="FOLD", type=int, nargs="+", help="encoders of these folds (default: all)")
    parser.add_argument("-chk", metavar="CHECKPOINT", default=CHECKPOINT, help="(default: %(default)s)")
    parser.add_argument(
        "-i", type=Path, metavar="IMAGES", help="images as the model reads them (default: the dataset's imagesTr)"
    )
    parser.add_argument(
        "-seg", type=Path, metavar="MASKS", help="their masks (default: out of fold, of the dataset's training cases)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=True, help="the folder to make")
    parser.add_argument("-device", choices=DEVICES, default="cuda", help="(default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace deep features in the folder")


def run(args: argparse.Namespace) -> int:
    """Encode, and say what was and was not.

    Returns:
        0, or 1 where a case could not be encoded.
    """
    from nnunet_fair.masks.endings import list_images
    from nnunet_fair.paths import find_model, raw_folder
    from nnunet_fair.pcr.deep_features import write_deep_features
    from nnunet_fair.prediction.model import open_model

    folder = find_model(args.d, args.tr, args.p, args.c)
    masks, whose = _masks(args, folder)
    found = write_deep_features(
        open_model(folder, args.f, args.chk),
        list_images(args.i or raw_folder(args.d) / "imagesTr"),
        masks,
        args.output,
        whose=whose,
        device=args.device,
        overwrite=args.overwrite,
    )
    print(f"{found.n_cases} cases encoded ({whose} masks, {found.n_empty} of them empty): wrote {args.output}")
    return tell_problems(found.problems, "encoded")


def _masks(args: argparse.Namespace, model: Path) -> tuple[Mapping[str, Path], str]:
    """The masks by case ID, and whose they are."""
    from nnunet_fair.evaluation.crossval import crossval_pairing
    from nnunet_fair.masks.endings import list_masks
    from nnunet_fair.pcr.lesion_features import GIVEN, OUT_OF_FOLD

    if args.seg is not None:
        return list_masks(args.seg), GIVEN
    pairing = crossval_pairing(args.d, model)
    return {pair.case_id: pair.prediction for pair in pairing.pairs if pair.prediction is not None}, OUT_OF_FOLD
