"""``nnunet_fair postprocess``: predicted masks to the masks that are handed on."""

from __future__ import annotations

import argparse

from nnunet_fair.postprocessing.settings import CONNECTIVITIES, ON_EMPTY, PostprocessingSettings

OPTIONS = {"source": "-i", "target": "-o", "crops": "--uncrop", "n_processes": "-np"}
DEFAULTS = PostprocessingSettings()
HELP = "breast box, connected components and empty masks of predicted masks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``nnunet_fair postprocess``."""
    parser.add_argument("-i", required=True, metavar="PRED", help="folder of predicted masks (nnUNetv2_predict -o)")
    parser.add_argument("-o", required=True, metavar="OUT", help="folder for the post-processed masks")
    parser.add_argument("--boxes", metavar="FILE_OR_FOLDER", help="breast_boxes.json or MAMA-MIA's patient_info_files")
    parser.add_argument("--require-boxes", action="store_true", default=None, help="skip cases without a box")
    parser.add_argument(
        "--margin-mm", type=float, metavar="MM", help=f"grow the box by this margin (default {DEFAULTS.margin_mm:g})"
    )
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--largest", action="store_const", const=1, dest="keep", help="keep the largest component")
    kept.add_argument("--keep", type=int, metavar="N", help="keep the N largest components (multifocal disease)")
    parser.add_argument(
        "--connectivity",
        type=int,
        choices=CONNECTIVITIES,
        help=f"neighbours that connect (default {DEFAULTS.connectivity})",
    )
    parser.add_argument(
        "--min-volume-mm3",
        type=float,
        metavar="MM3",
        help=f"remove smaller components (default {DEFAULTS.min_volume_mm3:g})",
    )
    parser.add_argument(
        "--on-empty",
        choices=ON_EMPTY,
        help="what an empty mask becomes: kept empty and listed (default), the mask before the box where the box "
        "emptied it, or the most likely lesion at a lower threshold (needs --probabilities)",
    )
    parser.add_argument("--probabilities", metavar="FOLDER", help="folder of the .npz files of --save_probabilities")
    parser.add_argument(
        "--min-probability",
        type=float,
        metavar="P",
        help=f"lowest threshold allowed (default {DEFAULTS.min_probability:g})",
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="L",
        help="labels to work on, each by itself; joined by commas they are one region (default: every label)",
    )
    parser.add_argument(
        "--uncrop", metavar="FILE", help="breast_crops.json: paste masks of breast crops back into the original images"
    )
    parser.add_argument("--settings", metavar="FILE", help="repeat a postprocessing.json; other options override it")
    parser.add_argument("-np", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--overwrite", action="store_true", help="replace masks in the output folder")


def run(args: argparse.Namespace) -> int:
    """Post-process a folder and say what was done; 1 where a case was skipped."""
    from nnunet_fair.masks.breast_boxes import read_boxes
    from nnunet_fair.outputs import refuse_inputs
    from nnunet_fair.postprocessing.postprocess_folder import OWN_FILES, postprocess_folder
    from nnunet_fair.postprocessing.report import summary_lines
    from nnunet_fair.postprocessing.settings import merge_settings, parse_labels, read_settings
    from nnunet_fair.postprocessing.uncrop import read_crops

    refuse_inputs(
        args.o, (args.settings, args.boxes, args.uncrop), names=OWN_FILES, remedy="give another `target` folder"
    )
    settings = merge_settings(
        read_settings(args.settings) if args.settings else None,
        box=True if args.boxes else None,
        require_boxes=args.require_boxes,
        margin_mm=args.margin_mm,
        keep=args.keep,
        connectivity=args.connectivity,
        min_volume_mm3=args.min_volume_mm3,
        on_empty=args.on_empty,
        min_probability=args.min_probability,
        labels=parse_labels(args.labels) if args.labels else None,
        uncrop=True if args.uncrop else None,
    )
    summary = postprocess_folder(
        args.i,
        args.o,
        settings,
        boxes=read_boxes(args.boxes) if args.boxes else None,
        probabilities=args.probabilities,
        crops=read_crops(args.uncrop) if args.uncrop else None,
        n_processes=args.np,
        overwrite=args.overwrite,
    )
    for line in summary_lines(summary, args.o):
        print(line)
    return 1 if summary.errors else 0
