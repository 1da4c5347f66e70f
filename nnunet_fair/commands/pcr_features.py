"""``nnunet_fair pcr features``: one row of lesion features a case, from masks and phases."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_fair.commands.model_arguments import add_model_arguments
from nnunet_fair.commands.pcr_problems import tell_problems
from nnunet_fair.errors import UserError

if TYPE_CHECKING:
    from nnunet_fair.pcr.cohort_images import CohortImages

HELP = "measure every case's lesion: size, form and enhancement, in mm and relative units (docs/pcr.md)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-i",
        type=Path,
        metavar="COHORT",
        required=True,
        help="the cohort in the MAMA-MIA layout, or a folder of CASE_0000.nii.gz … with one file a phase",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", required=True, help="the table to write")
    masks = parser.add_argument_group("masks (default: the experts' of the cohort)")
    masks.add_argument("-seg", type=Path, metavar="FOLDER", help="folder of masks, such as predictions of test cases")
    add_model_arguments(
        masks,
        dataset="dataset number or name: each case's mask as predicted by the fold that left it out",
        required=False,
    )
    masks.add_argument("-f", metavar="FOLD", type=int, nargs="+", help="folds to take (default: all there are)")
    masks.add_argument("--labels", type=int, nargs="+", metavar="LABEL", help="labels that together are the lesion")
    parser.add_argument("-np", type=int, default=2, metavar="N", help="processes (default 2)")
    parser.add_argument("--overwrite", action="store_true", help="replace the table if it exists")


def run(args: argparse.Namespace) -> int:
    """Measure, and say what was and was not measured.

    Returns:
        0, or 1 where a case could not be measured.
    """
    from nnunet_fair.pcr.cohort_images import find_images, lesion_files
    from nnunet_fair.pcr.lesion_features import EMPTY, write_features

    images = find_images(args.i)
    masks, whose = chosen_masks(args, images)
    cases = lesion_files(images, masks)
    found = write_features(
        cases,
        args.output,
        masks=whose,
        labels=tuple(args.labels) if args.labels else None,
        n_processes=args.np,
        overwrite=args.overwrite,
    )
    n_empty = int(found.rows[EMPTY].sum())
    print(f"{len(found.rows)} cases measured ({whose} masks, {n_empty} of them empty): wrote {args.output}")
    if len(cases) < len(images.phases):
        print(f"note: {len(images.phases) - len(cases)} cases of {args.i} have no mask and no row")
    return tell_problems(found.problems, "measured")


def chosen_masks(args: argparse.Namespace, images: CohortImages) -> tuple[Mapping[str, Path], str]:
    """The masks asked for by case ID, and whose they are."""
    from nnunet_fair.evaluation.crossval import crossval_pairing
    from nnunet_fair.masks.endings import list_masks
    from nnunet_fair.paths import find_model
    from nnunet_fair.pcr.lesion_features import EXPERTS, GIVEN, OUT_OF_FOLD

    if args.seg is not None and args.d is not None:
        raise UserError("-seg and -d are two places of masks; give one of them")
    if args.seg is not None:
        return list_masks(args.seg), GIVEN
    if args.d is not None:
        pairing = crossval_pairing(args.d, find_model(args.d, args.tr, args.p, args.c), args.f)
        return {pair.case_id: pair.prediction for pair in pairing.pairs if pair.prediction is not None}, OUT_OF_FOLD
    if not images.experts:
        raise UserError(
            f"{args.i} holds no masks of experts (segmentations/expert); give a folder of masks (-seg) or a dataset "
            "whose model was trained (-d)"
        )
    print("note: experts' masks; patients to be predicted have none, so train a model for them on predictions (-d)")
    return images.experts, EXPERTS
