"""``nnunet_fair predict``: unseen patients to masks in the original grid."""

from __future__ import annotations

import argparse

from nnunet_fair.prediction.options import CHECKPOINT, DEVICES, FOLDS, PredictorOptions

HELP = "from a folder of unseen patients to post-processed masks, with the recipe the model was trained with"

OPTIONS = {
    **{"dataset": "-d", "trainer": "-tr", "plans": "-p", "configuration": "-c", "folds": "-f"},
    **{"root": "-i", "target": "-o", "keep_raw": "--raw", "n_processes": "-np"},
}
"""The options behind arguments that the library calls otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``nnunet_fair predict``; names as in nnUNetv2_predict."""
    parser.add_argument(
        "-i",
        required=True,
        metavar="IMAGES_ROOT",
        help="cohort in the MAMA-MIA layout, no table needed; or a folder of images CASE_0000… as nnU-Net takes them",
    )
    parser.add_argument("-o", required=True, metavar="OUT", help="folder for the masks and records")
    parser.add_argument("-d", required=True, metavar="ID", help="dataset number or name the model was trained on")
    parser.add_argument("-tr", metavar="TRAINER", help="trainer (default: the one of this plugin that was trained)")
    parser.add_argument("-p", metavar="PLANS", help="plans (default: those trained; of several nnUNetPlans)")
    parser.add_argument("-c", metavar="CONFIGURATION", help="default: the one trained; of several 3d_fullres")
    folds = [str(fold) for fold in FOLDS]
    parser.add_argument("-f", nargs="+", default=folds, metavar="FOLD", help=f"default {' '.join(folds)}")
    parser.add_argument("-chk", default=CHECKPOINT, metavar="FILE", help="default %(default)s")
    parser.add_argument("-device", default=PredictorOptions.device, choices=DEVICES, help="default %(default)s")
    parser.add_argument(
        "-step_size", type=float, default=PredictorOptions.step_size, help="of the sliding window (default %(default)s)"
    )
    parser.add_argument("--disable_tta", action="store_true", help="no mirroring; faster, less accurate")
    parser.add_argument(
        "-npp",
        type=int,
        default=PredictorOptions.n_preprocessing,
        metavar="N",
        help="nnU-Net's preprocessing processes (default %(default)s)",
    )
    parser.add_argument(
        "-nps",
        type=int,
        default=PredictorOptions.n_export,
        metavar="N",
        help="nnU-Net's export processes (default %(default)s)",
    )
    parser.add_argument("-np", type=int, default=1, metavar="N", help="processes for images and masks (default 1)")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--settings", metavar="FILE", help="a postprocessing.json instead of the model folder's")
    chosen.add_argument("--no-postprocessing", action="store_true", help="leave the masks as predicted")
    parser.add_argument("--raw", metavar="FOLDER", help="keep nnU-Net's own predictions there; a second run goes on")
    parser.add_argument("--overwrite", action="store_true", help="replace masks in the output folder")


def run(args: argparse.Namespace) -> int:
    """Predict a cohort; 1 where a case was skipped."""
    from nnunet_fair.outputs import refuse_inputs
    from nnunet_fair.paths import find_model
    from nnunet_fair.postprocessing.postprocess_folder import OWN_FILES
    from nnunet_fair.postprocessing.report import summary_lines
    from nnunet_fair.postprocessing.settings import PostprocessingSettings, read_settings
    from nnunet_fair.prediction.model import open_model, parse_folds
    from nnunet_fair.prediction.predict import REPORT_FILE, predict_cohort

    refuse_inputs(args.o, (args.settings,), names=OWN_FILES, remedy="give another `target` folder")
    settings = PostprocessingSettings() if args.no_postprocessing else None
    prediction = predict_cohort(
        args.i,
        args.o,
        open_model(find_model(args.d, args.tr, args.p, args.c), parse_folds(args.f), args.chk),
        options=PredictorOptions(
            device=args.device,
            step_size=args.step_size,
            mirroring=not args.disable_tta,
            n_preprocessing=args.npp,
            n_export=args.nps,
        ),
        settings=read_settings(args.settings) if args.settings else settings,
        keep_raw=args.raw,
        n_processes=args.np,
        overwrite=args.overwrite,
    )
    for case_id, reason in prediction.skipped.items():
        if case_id not in prediction.postprocessing.errors:
            print(f"skipped {case_id}: {reason}")
    for line in summary_lines(prediction.postprocessing, args.o):
        print(line)
    print(
        f"{len(prediction.report) - len(prediction.skipped)} of {len(prediction.report)} cases predicted; {REPORT_FILE}"
    )
    return 1 if prediction.skipped else 0
