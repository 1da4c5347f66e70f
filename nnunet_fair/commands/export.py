"""``nnunet_fair export``: a trained model as one zip for stock nnU-Net."""

from __future__ import annotations

import argparse

from nnunet_fair.commands.model_arguments import MODEL_OPTIONS, add_model_arguments

HELP = "a trained model as a zip that stock nnU-Net installs, with nothing about patients inside, and its model card"

OPTIONS = {**MODEL_OPTIONS, "target": "-o"}
"""The options behind arguments that the library calls otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``nnunet_fair export``; names as in nnUNetv2_export_model_to_zip."""
    add_model_arguments(parser, n_configurations="+")
    parser.add_argument("-o", required=True, metavar="MODEL.zip", help="the zip to write; MODEL_CARD.md lies beside it")
    parser.add_argument("-f", nargs="+", default=["0", "1", "2", "3", "4"], metavar="FOLD", help="default 0 1 2 3 4")
    parser.add_argument("-chk", default="checkpoint_final.pth", metavar="FILE", help="default %(default)s")
    parser.add_argument(
        "--keep-trainer",
        action="store_true",
        help="keep the trainer's name and the optimiser's state, for those who continue training with the plugin",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the zip and the model card")


def run(args: argparse.Namespace) -> int:
    """Export a model and say what was left out of it."""
    from nnunet_fair.paths import find_model
    from nnunet_fair.prediction.model import open_model, parse_folds
    from nnunet_fair.sharing.export import export_model

    folds = parse_folds(args.f)
    first = find_model(args.d, args.tr, args.p, args.c[0] if args.c else None)
    trainer, plans, configuration = first.name.split("__")
    folders = [first.with_name(f"{trainer}__{plans}__{name}") for name in args.c or [configuration]]
    models = [open_model(folder, folds, args.chk) for folder in folders]
    export = export_model(models, args.o, keep_trainer=args.keep_trainer, overwrite=args.overwrite)
    for line in export.removed:
        print(f"removed {line}" if not line.startswith("left behind") else line)
    searched = export.secrets
    print(
        f"searched {export.n_files} files for {len(searched.case_ids) + len(searched.short_ids)} case IDs, "
        f"{len(searched.values)} metadata values and paths of this machine: none is inside, but for the groups below"
    )
    if searched.short_ids:
        print(
            f"  {len(searched.short_ids)} of the case IDs are short or small numbers: they were looked for as whole "
            "words of texts, not inside words, among numbers or in the weights"
        )
    print("  values of three characters or fewer were not looked for, nor what fair_cases.csv does not have")
    for group in export.published or ("none",):
        print(f"the model card names, of 5 cases or more each: {group}")
    for sentence in export.unpublished:
        print(sentence)
    print(f"wrote {export.path} (trainer {export.trainer}) and {export.card}")
    return 0
