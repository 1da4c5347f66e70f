"""``nnunet_fair doctor``: check the installation, the environment and a dataset."""

from __future__ import annotations

import argparse

HELP = "check packages, environment variables and trainer look-up, and with -d a dataset's metadata"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-d", metavar="ID", dest="dataset", help="number or name of an nnU-Net dataset to check too")


def run(args: argparse.Namespace) -> int:
    """Print one line a check."""
    from nnunet_fair.doctor import FAILED, examine

    failed = 0
    for finding in examine(args.dataset):
        print(finding, flush=True)
        failed += finding.status == FAILED
    print(f"{failed} checks failed: training could not work" if failed else "training can work")
    return 1 if failed else 0
