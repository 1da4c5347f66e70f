"""``nnunet_fair convert``: a cohort in the MAMA-MIA layout to an nnU-Net dataset."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Literal

from nnunet_fair.commands.table_arguments import add_table_arguments, table_reading
from nnunet_fair.errors import UserError

OPTIONS = {"crop_margin_mm": "--crop-breast", "n_folds": "--folds", "n_processes": "-np"}
HELP = "convert a cohort in the MAMA-MIA layout to an nnU-Net dataset with case metadata, breast boxes and folds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``convert``."""
    parser.add_argument("-i", "--input", type=Path, required=True, metavar="ROOT", help="the cohort's folder")
    parser.add_argument("-d", "--dataset", type=int, required=True, metavar="ID", help="number of the nnU-Net dataset")
    parser.add_argument("--name", default="MAMAMIA", help="name of the nnU-Net dataset (default: %(default)s)")
    images = parser.add_argument_group("images")
    images.add_argument(
        "--recipe",
        choices=("phases", "subtraction", "zscore-all", "zscore-pre"),
        help="how phases become channels (docs/recipes.md; default: phases)",
    )
    images.add_argument(
        "--phases",
        nargs="+",
        metavar="PHASE",
        help="phase numbers, 0 is pre-contrast, or 'last' (default: 0 1 2; subtraction 0 1; zscore-all 1)",
    )
    images.add_argument(
        "--percentiles",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="percentiles that zscore-pre clips each phase to (default: 0.1 99.9)",
    )
    images.add_argument(
        "--crop-breast",
        nargs="?",
        type=float,
        const=0.0,
        metavar="MARGIN_MM",
        help="crop to the breast box grown by a margin (default margin: 0 mm)",
    )
    images.add_argument(
        "--link",
        choices=("symlink", "hardlink", "copy"),
        help="how files that need no change are placed (default: symlink)",
    )
    images.add_argument(
        "--check",
        choices=("voxels", "headers"),
        help="'voxels' reads every image whole, 'headers' only headers and labels (default: voxels)",
    )
    cases = parser.add_argument_group("cases")
    cases.add_argument("--table", type=Path, metavar="FILE", help="table of cases (default: the one in ROOT)")
    cases.add_argument(
        "--attributes",
        nargs="+",
        metavar="NAME",
        help="attributes for fair_cases.csv (default: age menopause breast_density)",
    )
    cases.add_argument("--segmentations", metavar="FOLDER", help="folder below segmentations (default: expert)")
    cases.add_argument(
        "--allow-empty-labels",
        action="store_true",
        help="convert cases whose label is empty, as healthy patients; without it they are skipped and reported",
    )
    cases.add_argument(
        "--ignore-label",
        type=int,
        metavar="VALUE",
        help="value of voxels in the labels that nobody annotated; becomes nnU-Net's ignore label",
    )
    cases.add_argument(
        "--test-fraction",
        type=float,
        metavar="F",
        help="draw test cases instead of using train_test_splits.csv; 0 makes every case a training case",
    )
    cases.add_argument("--folds", type=int, metavar="N", help="cross-validation folds (default: 5)")
    cases.add_argument("--seed", type=int, help="of folds and test cases (default: 0)")
    add_table_arguments(parser)
    parser.add_argument("-np", "--num-processes", type=int, metavar="N", help="processes (default: up to 8)")
    parser.add_argument("--overwrite", action="store_true", help="convert again what is there already")
    parser.add_argument("--allow-skips", action="store_true", help="exit with 0 although cases were skipped")


def run(args: argparse.Namespace) -> int:
    """Convert, print what became of the cases, and fail if one was skipped."""
    from nnunet_fair.dataset_conversion.convert import ConversionOptions, convert_cohort
    from nnunet_fair.dataset_conversion.recipes import DEFAULT_PERCENTILES, DEFAULT_PHASES, RecipeSettings
    from nnunet_fair.dataset_conversion.report import REPORT_FILE, summary
    from nnunet_fair.metadata.coverage import coverage_lines

    if not 0 < args.dataset < 1000:
        raise UserError(f"expected a dataset number from 1 to 999, found {args.dataset}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", args.name):
        raise UserError(f"expected a name of letters, digits, - and _, found {args.name!r}")
    if args.num_processes is not None and args.num_processes < 1:
        raise UserError(f"expected -np of 1 or more, found {args.num_processes}")
    recipe = args.recipe or RecipeSettings.recipe
    if args.percentiles is not None and recipe != "zscore-pre":
        raise UserError(f"--percentiles belongs to the recipe zscore-pre; {recipe} clips nothing")
    settings = RecipeSettings(
        recipe=recipe,
        phases=_phases(args.phases) if args.phases else DEFAULT_PHASES[recipe],
        percentiles=tuple(args.percentiles or DEFAULT_PERCENTILES),
        crop_margin_mm=args.crop_breast,
    )
    given = {
        "table": args.table,
        "segmentations": args.segmentations,
        "attributes": tuple(args.attributes) if args.attributes else None,
        "link": args.link,
        "check": args.check,
        "test_fraction": args.test_fraction,
        "n_folds": args.folds,
        "seed": args.seed,
    }
    options = ConversionOptions(
        settings=settings,
        reading=table_reading(args),
        n_processes=args.num_processes or min(8, os.cpu_count() or 1),
        overwrite=args.overwrite,
        allow_empty_labels=args.allow_empty_labels,
        ignore_label=args.ignore_label,
        **{name: value for name, value in given.items() if value is not None},  # the rest is the library's default
    )
    done = convert_cohort(args.input, f"Dataset{args.dataset:03d}_{args.name}", options)
    if done.n_resumed:
        print(f"{done.n_resumed} cases were done already by an earlier run")
    if done.cohort.case_table.n_without_id:
        print(f"{done.cohort.case_table.n_without_id} rows of the table carry no ID and were left out")
    for note in done.cohort.table_notes(options.attributes):
        print(f"note: {note}")
    print(summary(done.results))
    print(f"Test cases: {done.cohort.split_source}")
    print("\n".join(coverage_lines(done.attributes)))
    kept = "" if done.folds.written else ", kept as it was: delete it to draw new folds"
    print(f"Validation cases a fold ({done.folds.path}{kept}):")
    print(done.folds.balance.to_string())
    if done.folds.previous is not None:
        print(f"The folds that were there spoke of other cases; they are kept in {done.folds.previous}")
    if done.outdated is not None:
        print(
            f"{done.outdated} is of an earlier state of this dataset: run "
            f"nnUNetv2_extract_fingerprint -d {args.dataset} --clean, then plan and preprocess again"
        )
    print(f"Wrote {done.folder}; every case and its reason: {done.folder / REPORT_FILE}")
    if done.n_skipped and not args.allow_skips:
        print(f"{done.n_skipped} cases were skipped, hence exit status 1; --allow-skips accepts that")
        return 1
    return 0


def _phases(words: list[str]) -> tuple[int | Literal["last"], ...]:
    """``0 1 last`` as numbers and words."""
    unknown = next((word for word in words if not word.isdecimal() and word != "last"), None)
    if unknown is not None:
        raise UserError(f"expected phases as numbers from 0 on or 'last', found {unknown!r}")
    return tuple(int(word) if word.isdecimal() else "last" for word in words)
