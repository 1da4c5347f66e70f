"""``nnunet_fair predict``: unseen patients to masks in the original grid, and to their probability of response."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_fair.commands.evaluation_arguments import require
from nnunet_fair.commands.model_arguments import MODEL_OPTIONS, add_model_arguments
from nnunet_fair.errors import UserError
from nnunet_fair.prediction.options import CHECKPOINT, DEVICES, FOLDS, PredictorOptions

if TYPE_CHECKING:
    import pandas as pd

    from nnunet_fair.prediction.model import TrainedModel

HELP = "from a folder of unseen patients to post-processed masks, with the recipe the model was trained with"

OPTIONS = {
    **MODEL_OPTIONS,
    **{"root": "-i", "target": "-o", "keep_raw": "--raw", "n_processes": "-np", "output": "--response"},
    "keep_trainer": "--keep-trainer",
}
"""The options behind arguments that the library calls otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``nnunet_fair predict``; names as in nnUNetv2_predict."""
    parser.add_argument(
        "-i",
        metavar="IMAGES_ROOT",
        help="cohort in the MAMA-MIA layout, no table needed; or a folder of images CASE_0000… as nnU-Net takes them",
    )
    parser.add_argument("-o", metavar="OUT", help="folder for the masks and records")
    parser.add_argument(
        "--response",
        type=Path,
        metavar="FILE.csv",
        help="table of each patient's probability of response too, of a model of nnUNetTrainerFairJoint",
    )
    parser.add_argument(
        "--crossval",
        action="store_true",
        help="with --response, in place of -i and -o: the training cases, each by the fold that validates it",
    )
    add_model_arguments(parser, dataset="dataset number or name the model was trained on")
    folds = " ".join(map(str, FOLDS))
    parser.add_argument("-f", nargs="+", metavar="FOLD", help=f"default {folds}; with --crossval all there are")
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
    parser.add_argument("--overwrite", action="store_true", help="replace masks in the output folder, and the table")


def run(args: argparse.Namespace) -> int:
    """Predict a cohort; 1 where a case was skipped."""
    _check_request(args)
    return _predict_training_cases(args) if args.crossval else _predict_cohort(args)


def _check_request(args: argparse.Namespace) -> None:
    if not args.crossval:
        require(args, "i", "o")
        return
    if args.response is None:
        raise UserError("--crossval gives the training cases' probability of response; name its table with --response")
    without_effect = {
        **{"-i": args.i, "-o": args.o, "--raw": args.raw, "--settings": args.settings},
        "--no-postprocessing": args.no_postprocessing or None,
    }
    given = [option for option, value in without_effect.items() if value is not None]
    if given:
        raise UserError(
            f"{' and '.join(given)} has no meaning with --crossval, which reads what nnU-Net preprocessed and writes "
            "no masks (training wrote them into each fold's folder validation); leave it away"
        )


def _predict_cohort(args: argparse.Namespace) -> int:
    from nnunet_fair.outputs import refuse_inputs
    from nnunet_fair.pcr.joint import UNSEEN, check_joint_table, joint_table, write_joint_table
    from nnunet_fair.postprocessing.postprocess_folder import OWN_FILES
    from nnunet_fair.postprocessing.report import summary_lines
    from nnunet_fair.postprocessing.settings import PostprocessingSettings, read_settings
    from nnunet_fair.prediction.predict import REPORT_FILE, predict_cohort
    from nnunet_fair.prediction.response import read_heads

    refuse_inputs(args.o, (args.settings,), names=OWN_FILES, remedy="give another `target` folder")
    settings = PostprocessingSettings() if args.no_postprocessing else None
    model, options = _model(args), _options(args)
    heads = None
    if args.response is not None:
        own = {(Path(args.o) / name).resolve() for name in (*OWN_FILES, REPORT_FILE)}
        if own & {args.response.resolve(), args.response.with_suffix(".json").resolve()}:
            raise UserError(f"{args.response} is a name of the records beside the masks; give the table another one")
        check_joint_table(args.response, model, overwrite=args.overwrite, inputs=(args.settings,))
        heads = read_heads(model)
    prediction = predict_cohort(
        args.i,
        args.o,
        model,
        options=options,
        settings=read_settings(args.settings) if args.settings else settings,
        keep_raw=args.raw,
        n_processes=args.np,
        overwrite=args.overwrite,
        heads=heads,
    )
    for case_id, reason in prediction.skipped.items():
        if case_id not in prediction.postprocessing.errors:
            print(f"skipped {case_id}: {reason}")
    for line in summary_lines(prediction.postprocessing, args.o):
        print(line)
    print(
        f"{len(prediction.report) - len(prediction.skipped)} of {len(prediction.report)} cases predicted; {REPORT_FILE}"
    )
    if heads is not None:
        table = joint_table(prediction.readings, model, heads, prediction.skipped)
        write_joint_table(args.response, table, model, heads, options, cases=UNSEEN)
        _tell(table, args.response)
    return 1 if prediction.skipped else 0


def _predict_training_cases(args: argparse.Namespace) -> int:
    from nnunet_fair.pcr.joint import TRAINING_CASES, check_joint_table, joint_table, write_joint_table
    from nnunet_fair.prediction.held_out_response import training_case_readings
    from nnunet_fair.prediction.response import read_heads

    model, options = _model(args), _options(args)
    check_joint_table(args.response, model, overwrite=args.overwrite)
    heads = read_heads(model)
    readings, skipped = training_case_readings(model, args.d, options, heads)
    table = joint_table(readings, model, heads, skipped)
    write_joint_table(args.response, table, model, heads, options, cases=TRAINING_CASES)
    for case_id, reason in skipped.items():
        print(f"skipped {case_id}: {reason}")
    _tell(table, args.response)
    return 1 if skipped else 0


def _model(args: argparse.Namespace) -> TrainedModel:
    """The model and its folds."""
    from nnunet_fair.paths import find_model
    from nnunet_fair.prediction.model import open_model, parse_folds

    folder = find_model(args.d, args.tr, args.p, args.c)
    folds = parse_folds(args.f) if args.f else None if args.crossval else FOLDS
    return open_model(folder, folds, args.chk)


def _options(args: argparse.Namespace) -> PredictorOptions:
    return PredictorOptions(
        device=args.device,
        step_size=args.step_size,
        mirroring=not args.disable_tta,
        n_preprocessing=args.npp,
        n_export=args.nps,
    )


def _tell(table: pd.DataFrame, path: Path) -> None:
    """Say how many have a response and of whom nothing is known."""
    n_unknown = int(table["probability"].isna().sum())
    unknown = f", {n_unknown} without a probability (column note)" if n_unknown else ""
    print(f"{len(table)} cases, {int(table['prediction'].sum())} predicted to have a response{unknown}: wrote {path}")
