"""``nnunet_fair view``: look at single cases, slice by slice, in a browser on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_fair.evaluation.reports.options import OverlayOptions

HELP = "look at cases slice by slice, image, reference and predictions, in a browser on this machine only"
OPTIONS = {"references": "-ref", "predictions": "-pred", "images": "-i"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("cases", nargs="+", metavar="CASE", help="case IDs, as the label files are named")
    parser.add_argument("-ref", type=Path, required=True, metavar="LABELS", help="folder of the reference labels")
    parser.add_argument(
        "-pred",
        type=Path,
        nargs="+",
        default=[],
        metavar="PREDICTIONS",
        help="folders of predictions, at most 3",
    )
    parser.add_argument("-i", type=Path, metavar="IMAGES", help="folder of the images (CASE_0000.nii.gz …)")
    parser.add_argument(
        "--channel",
        type=int,
        metavar="C",
        help="image channel to show (default: 1, the first post-contrast phase, where there is one)",
    )
    parser.add_argument(
        "--labels",
        type=int,
        nargs="+",
        metavar="LABEL",
        help="labels that together are shown (default: all classes of dataset.json beside the folders, else 1)",
    )
    parser.add_argument("--resample", action="store_true", help="show predictions of another grid on the reference's")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port to answer on (default: a free one); for ssh -L"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 when it was ended with Ctrl-C.
    """
    from nnunet_fair.viewing.cases import viewed_cases
    from nnunet_fair.viewing.server import CaseServer

    cases, scoring = viewed_cases(
        args.cases,
        args.ref,
        args.pred,
        images=OverlayOptions(args.i, args.channel),
        labels=args.labels,
        resample=args.resample,
    )
    with CaseServer(cases, OverlayOptions(args.i, args.channel), scoring, port=args.port) as server:
        print(f"open {server.address} in a browser on this machine; Ctrl-C ends it", flush=True)
        print(
            f"from another machine: ssh -L {server.server_port}:127.0.0.1:{server.server_port} HOST, then the same "
            "address there",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt as signal:
            if type(signal) is not KeyboardInterrupt:  # another signal than Ctrl-C
                raise
    return 0
