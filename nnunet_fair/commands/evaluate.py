"""``nnunet_fair evaluate``: score predictions and report how fair they are."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_fair.commands.evaluation_arguments import (
    OPTIONS,
    add_analysis_arguments,
    add_overlay_arguments,
    add_scoring_arguments,
    add_task_arguments,
    analysis_options,
    check_ranges,
    exit_status,
    overlay_options,
    require,
    scoring_options,
    table_options,
)
from nnunet_fair.commands.model_arguments import add_model_arguments
from nnunet_fair.commands.table_arguments import add_table_arguments
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import MATCHINGS, ScoringOptions
from nnunet_fair.evaluation.reports.options import ReportOptions
from nnunet_fair.evaluation.scores.options import AnalysisOptions

if TYPE_CHECKING:
    from nnunet_fair.evaluation.scores.analysis import Analysis
    from nnunet_fair.masks.pairing import Pairing

__all__ = ["HELP", "OPTIONS", "add_arguments", "run"]

HELP = "score predictions: per-case metrics, the challenge's score, subgroups, an HTML report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    files = parser.add_argument_group("files")
    files.add_argument("-ref", type=Path, metavar="LABELS", help="folder of the reference labels")
    files.add_argument(
        "-ref2",
        type=Path,
        metavar="LABELS",
        help="folder of a second reader's labels: how well readers agree, by group, beside the model",
    )
    files.add_argument(
        "-pred", type=Path, metavar="PREDICTIONS", help="folder of the predictions; with --task pcr a table of them"
    )
    files.add_argument(
        "-m",
        type=Path,
        metavar="TABLE",
        help="case metadata: fair_cases.csv or a raw table (.csv, .tsv, .xlsx, .json)",
    )
    files.add_argument(
        "-prob",
        type=Path,
        metavar="FOLDER",
        help="folder of the saved probabilities, CASE.npz of nnUNetv2_predict --save_probabilities, to measure their "
        "calibration (default: those beside the predictions)",
    )
    files.add_argument("--no-calibration", action="store_true", help="leave the probabilities beside the predictions")
    files.add_argument("-o", type=Path, metavar="OUT", help="folder to write to")
    files.add_argument(
        "--dataset-json",
        type=Path,
        metavar="FILE",
        help="declares the classes, regions and the ignore label (default: dataset.json of the model, or beside the "
        "predictions or the folder of the labels)",
    )
    add_task_arguments(parser)
    crossval = parser.add_argument_group("cross-validation (in place of -ref and -pred)")
    crossval.add_argument("--crossval", action="store_true", help="pool the folds' validation predictions of a model")
    add_model_arguments(crossval, required=False)
    crossval.add_argument("-f", metavar="FOLD", type=int, nargs="+", help="folds to pool (default: all there are)")
    parts = parser.add_argument_group("in parts, for schedulers")
    parts.add_argument("-num_parts", type=int, metavar="N", help="score one part of N only; then --merge")
    parts.add_argument("-part_id", type=int, metavar="K", help="the part to score, from 0")
    parts.add_argument("--merge", action="store_true", help="put the scored parts of OUT together and report")
    add_table_arguments(parser)
    add_scoring_arguments(parser)
    parser.add_argument(
        "--calibration-margin",
        type=float,
        default=ScoringOptions.margin_mm,
        metavar="MM",
        help="calibration is measured so far around the masks (default: %(default)g mm)",
    )
    add_analysis_arguments(parser)
    measures = parser.add_argument_group("further measures")
    measures.add_argument(
        "--margin",
        type=float,
        metavar="DSC",
        help="largest difference of the mean DSC that does not matter, named before the scores are seen: tests whether "
        "each subgroup's is smaller (default: no test)",
    )
    measures.add_argument(
        "--lesion-matching",
        choices=MATCHINGS,
        default=AnalysisOptions.lesion_matching,
        help="which lesions are found: those that share a voxel with a predicted one, have an IoU of 0.1 with one, or "
        "are paired with one of that IoU (default: %(default)s)",
    )
    measures.add_argument(
        "--reference-share",
        type=float,
        metavar="R",
        help="share of the image that a lesion takes, for the size-neutral nDSC (default: the mean of these cases)",
    )
    report = parser.add_argument_group("report")
    report.add_argument("--title", help="title of the report")
    add_overlay_arguments(report)
    report.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="model or fold folder of the training: shows its divergence and weights",
    )
    report.add_argument("--pdf", action="store_true", help="write a summary of one page as well, summary.pdf")
    report.add_argument(
        "--intended-use", metavar="TEXT", help="what the model is meant for, for the summary (implies --pdf)"
    )
    report.add_argument(
        "--anonymise",
        action="store_true",
        help="neutral numbers in place of case IDs, no group of fewer than 5 cases, in every output",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0, or 1 where a case could not be scored, has no prediction or no row and that was not accepted.
    """
    check_ranges(args)
    if args.no_calibration and args.prob:
        raise UserError("-prob measures the calibration that --no-calibration leaves out; give one of them")
    for flag, share in (("--margin", args.margin), ("--reference-share", args.reference_share)):
        if share is not None and not 0 < share < 1:
            raise UserError(f"{flag} takes a value above 0 and below 1, found {share:g}")
    if args.task == "pcr" and (args.prob or args.ref2):
        raise UserError("-prob and -ref2 belong to masks; leave them away with --task pcr")
    if args.task == "pcr":
        return run_pcr(args)
    from nnunet_fair.evaluation.evaluate import evaluate
    from nnunet_fair.evaluation.metrics.parts import PARTS, merge_parts, score_part

    pairing = crossval_cases(args) if args.crossval else paired_cases(args)
    declared = dataset_json(args)
    pairing, scoring = with_saved_probabilities(args, pairing, scoring_options(args, declared), declared)
    pairing, scoring = with_second_readers(args, pairing, scoring)
    if (args.num_parts is None) != (args.part_id is None):
        raise UserError("-num_parts and -part_id belong together; to put scored parts together give --merge alone")
    if args.num_parts is not None:
        path = score_part(
            pairing, args.o, num_parts=args.num_parts, part_id=args.part_id, scoring=scoring, n_processes=args.np
        )
        print(f"wrote {path}; when all {args.num_parts} parts are there, run the same command with --merge instead")
        return 0
    result = evaluate(
        pairing,
        table_options(args),
        args.o,
        scoring=scoring,
        analysis=replace(
            analysis_options(args),
            margin=args.margin,
            lesion_matching=args.lesion_matching,
            reference_share=args.reference_share,
        ),
        report=ReportOptions(
            title=args.title or ReportOptions.title,
            overlays=overlay_options(args),
            n_overlays=args.overlays,
            model=args.model,
            anonymise=args.anonymise,
            pdf=args.pdf or args.intended_use is not None,
            intended_use=args.intended_use or ReportOptions.intended_use,
        ),
        n_processes=args.np,
        scored=merge_parts(pairing.pairs, args.o, scoring) if args.merge else None,
    )
    if args.merge and args.anonymise:
        print(f"note: the files in {args.o / PARTS} keep the case IDs; do not share that folder")
    return print_summary(result, pairing, args)


def dataset_json(args: argparse.Namespace) -> Path | None:
    """The ``dataset.json`` that declares the classes: as given, of the model, or beside the predictions or labels."""
    from nnunet_fair.masks.label_classes import find_dataset_json

    if args.dataset_json is not None:
        return args.dataset_json
    if args.crossval:
        from nnunet_fair.paths import find_model, raw_folder

        return find_dataset_json([find_model(args.d, args.tr, args.p, args.c), raw_folder(args.d)])
    return find_dataset_json([args.pred, args.ref.parent])


def with_saved_probabilities(
    args: argparse.Namespace, pairing: Pairing, scoring: ScoringOptions, declared: Path | None
) -> tuple[Pairing, ScoringOptions]:
    """The cases with their saved probabilities, and the options to measure them; unchanged where there are none.

    Args:
        args: the arguments.
        pairing: the cases.
        scoring: how they are scored.
        declared: the ``dataset.json`` that declares the classes.
    """
    from nnunet_fair.evaluation.metrics.case_probabilities import with_probabilities
    from nnunet_fair.masks.label_set import label_set_of

    if args.no_calibration:
        return pairing, scoring
    if not 0 <= args.calibration_margin < float("inf"):
        raise UserError(f"--calibration-margin takes mm of 0 or more, found {args.calibration_margin:g}")
    found = with_probabilities(pairing, args.prob)
    n = sum(pair.probabilities is not None for pair in found.pairs)
    if not n:
        return pairing, scoring
    print(f"{n} of {len(found.pairs)} cases have saved probabilities: their calibration is measured")
    label_set = None if declared is None else label_set_of(declared)
    return found, replace(scoring, calibrate=True, margin_mm=args.calibration_margin, label_set=label_set)


def with_second_readers(
    args: argparse.Namespace, pairing: Pairing, scoring: ScoringOptions
) -> tuple[Pairing, ScoringOptions]:
    """The cases with the masks of -ref2, and the options to measure them; unchanged where it was not given."""
    from nnunet_fair.evaluation.metrics.second_reader import with_second_reader
    from nnunet_fair.masks.endings import list_masks

    if args.ref2 is None:
        return pairing, scoring
    found = with_second_reader(pairing, list_masks(args.ref2), where=f" in {args.ref2}")
    return found, replace(scoring, second_reader=True)


def paired_cases(args: argparse.Namespace) -> Pairing:
    """The cases of -ref and -pred."""
    from nnunet_fair.masks.endings import list_masks
    from nnunet_fair.masks.pairing import pair_cases

    require(args, "ref", "pred", "m", "o")
    where = f" in {args.ref} and {args.pred}"
    return pair_cases(list_masks(args.ref), list_masks(args.pred), missing=args.missing or "empty", where=where)


def crossval_cases(args: argparse.Namespace) -> Pairing:
    """The cases of a cross-validation; fills in the table, the images, the model and the output folder."""
    from nnunet_fair.evaluation.crossval import crossval_pairing, default_output
    from nnunet_fair.evaluation.reports.training_records import has_training_records
    from nnunet_fair.metadata.fair_cases import find_fair_cases
    from nnunet_fair.paths import find_model, raw_folder

    require(args, "d")
    if args.ref or args.pred:
        raise UserError("--crossval takes labels and predictions from the model: leave -ref and -pred away")
    model = find_model(args.d, args.tr, args.p, args.c)
    pairing = crossval_pairing(args.d, model, args.f)
    args.m = args.m or find_fair_cases(args.d)
    args.o = args.o or default_output(model)
    images = raw_folder(args.d) / "imagesTr"
    args.i = args.i or (images if images.is_dir() else None)
    args.model = args.model or (model if has_training_records(model) else None)
    return pairing


def run_pcr(args: argparse.Namespace) -> int:
    """Score a table of pCR predictions; 1 where a prediction or a row is missing and that was not accepted."""
    from nnunet_fair.evaluation.evaluate_pcr import evaluate_pcr
    from nnunet_fair.evaluation.reports.numbers import number
    from nnunet_fair.evaluation.reports.pcr_report import sentences_on_chance

    require(args, "pred", "m", "o")
    result = evaluate_pcr(
        args.pred,
        table_options(args),
        args.o,
        analysis=analysis_options(args),
        title=args.title or "Fairness of pCR predictions",
        missing=args.missing or "empty",
        threshold=args.threshold,
        anonymise=args.anonymise,
    )
    score = result.analysis.score
    print(
        f"balanced accuracy {number(score.balanced_accuracy, 4)}  fairness disparity "
        f"{number(score.fairness_disparity, 4)}  ranking {number(score.ranking, 4)}  ({score.n_cases} cases)"
    )
    for name, disparity in score.disparity_by_variable.items():
        print(f"  {name}: disparity {number(disparity, 4)}")
    for sentence in (*sentences_on_chance(result.analysis), *(f"note: {warning}" for warning in result.warnings)):
        print(sentence)
    print(f"wrote cases.csv, scores.json, subgroups.csv and report.html to {args.o}")
    return exit_status(args, not_scored=(), missing=result.missing, n_without_row=result.n_without_row)


def print_summary(result: Analysis, pairing: Pairing, args: argparse.Namespace) -> int:
    """Print the scores, what was left out and where the files are; 1 where something was, and was not accepted."""
    from nnunet_fair.evaluation.metrics.score_cases import NOT_SCORED
    from nnunet_fair.evaluation.metrics.second_reader import ONE_READER, READER_PROBLEM
    from nnunet_fair.evaluation.reports.numbers import number

    score = result.score
    print(
        f"performance {number(score.performance, 4)}  fairness {number(score.fairness, 4)}  "
        f"ranking {number(score.ranking, 4)}  ({score.n_cases} cases)"
    )
    for name, entry in score.by_variable.items():
        print(
            f"  {name}: fairness {number(entry.fairness, 4)}, gap in DSC {number(entry.gap_dsc, 4)}, "
            f"in NormHD {number(entry.gap_norm_hd, 4)}, {entry.n_groups} groups"
        )
    for name, found in result.classes.items():
        whole = found.subgroups.iloc[0]
        print(f"  {name}: mean DSC {number(whole['mean_dsc'], 4)} ({whole['n']} cases)")
    for sentence in result.warnings:
        print(f"note: {sentence}")
    for cases, what in ((pairing.missing, "without a prediction"), (pairing.extra, "predicted without a reference")):
        if cases and args.anonymise:
            print(f"{len(cases)} {what}")
        elif cases:
            print(f"{len(cases)} {what}: {', '.join(cases[:10])}{' …' if len(cases) > 10 else ''}")
    if args.ref2 is not None:
        single = result.cases[result.cases[READER_PROBLEM] == ONE_READER].index
        if len(single):
            names = "" if args.anonymise else f": {', '.join(single[:10])}{' …' if len(single) > 10 else ''}"
            print(f"{len(single)} read by one reader only{names}")
    unscored = result.cases[result.cases["status"] == NOT_SCORED]
    for case_id, problem in unscored["problem"].items():
        print(f"not scored: {case_id}: {problem}")
    summary = ", summary.pdf" if args.pdf or args.intended_use is not None else ""
    print(f"wrote cases.csv, scores.json, subgroups.csv, the further tables{summary} and report.html to {args.o}")
    return exit_status(args, not_scored=unscored.index, missing=pairing.missing, n_without_row=result.n_without_row)
