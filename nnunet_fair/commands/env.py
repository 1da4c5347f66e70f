"""``nnunet_fair env``: the shell line that lets nnU-Net find the plugin's trainers."""

from __future__ import annotations

import argparse

HELP = 'print the shell lines that let nnU-Net find the trainers: eval "$(nnunet_fair env)"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the export line."""
    from nnunet_fair.environment import ext_trainer_lines

    print(ext_trainer_lines())
    return 0
