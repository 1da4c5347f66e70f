"""``nnunet_fair synth``: a synthetic cohort in the layout of MAMA-MIA."""

from __future__ import annotations

import argparse

OPTIONS = {"root": "-o"}
HELP = "write a synthetic cohort in the layout of MAMA-MIA, with a planted, documented disparity"

_DISPARITIES = ("distinct", "small", "noise", "balanced", "intersection")
_RESPONSES = ("none", "enhancement", "centre")
_MISSING = ("real", "none", "random", "not-at-random")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-o", metavar="ROOT", required=True, help="folder to make")
    parser.add_argument("-n", type=int, default=40, metavar="N", help="number of cases (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same cohort (default 0)")
    parser.add_argument(
        "--size", type=int, nargs=3, default=[24, 64, 64], metavar=("SLICES", "ROWS", "COLUMNS"), help="array shape"
    )
    parser.add_argument("--max-phases", type=int, default=5, metavar="N", help="most phases a case gets (default 5)")
    parser.add_argument(
        "--disparity",
        choices=_DISPARITIES,
        default="distinct",
        help="what is planted: lesions that look different, are small, images that are noisier, nothing, or only a "
        "conjunction of two attributes is disadvantaged (default distinct)",
    )
    parser.add_argument("--strength", type=float, default=1.0, help="of the disparity, 0 to 1.5 (default 1)")
    parser.add_argument(
        "--group-fraction", type=float, default=0.2, help="share of the disadvantaged group (default 0.2)"
    )
    parser.add_argument("--test-fraction", type=float, default=0.2, help="share of test cases (default 0.2)")
    parser.add_argument(
        "--healthy",
        type=float,
        default=0.0,
        help="share of patients without a lesion, whose masks are empty (default 0; convert --allow-empty-labels)",
    )
    parser.add_argument(
        "--response",
        choices=_RESPONSES,
        default="none",
        help="what pCR has to do with: nothing, how much the lesion enhances, or the centre alone (default none)",
    )
    parser.add_argument(
        "--missing",
        choices=_MISSING,
        default="real",
        help="how age, menopause and breast density go missing: as in the real table (density in 96 %% of cases), not "
        "at all, at random, or more often in the disadvantaged group (default real)",
    )
    parser.add_argument("--missing-rate", type=float, default=0.25, help="mean rate for random and not-at-random")
    parser.add_argument("--file-names", choices=("mixed", "lower", "upper"), default="mixed", help="case of file names")
    parser.add_argument("-np", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing synthetic cohort at ROOT")


def run(args: argparse.Namespace) -> int:
    """Write the cohort and say what is in it."""
    from nnunet_fair.synthetic.cohort import DISPARITY_FILE, write_cohort

    settings = write_cohort(
        args.o,
        n_cases=args.n,
        seed=args.seed,
        overwrite=args.overwrite,
        n_processes=args.np,
        size=tuple(args.size),
        max_phases=args.max_phases,
        disparity=args.disparity,
        strength=args.strength,
        group_fraction=args.group_fraction,
        test_fraction=args.test_fraction,
        missing=args.missing,
        missing_rate=args.missing_rate,
        healthy=args.healthy,
        response=args.response,
        file_names=args.file_names,
    )
    print(f"{settings.n_cases} synthetic cases in {args.o}; what was planted is in {args.o}/{DISPARITY_FILE}")
    return 0
