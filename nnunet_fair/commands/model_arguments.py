"""Arguments by which commands name a trained model; no command of its own."""

from __future__ import annotations

import argparse

MODEL_OPTIONS = {"dataset": "-d", "trainer": "-tr", "plans": "-p", "configuration": "-c", "folds": "-f"}
"""The options behind arguments that the library calls otherwise."""


def add_model_arguments(
    parser: argparse._ActionsContainer,
    *,
    dataset: str = "dataset number or name",
    required: bool = True,
    trainer: str = "the one of this plugin that was trained",
    n_configurations: str | None = None,
) -> None:
    """Declare dataset, trainer, plans and configuration, as in ``nnUNetv2_predict``; folds are each command's own.

    Args:
        parser: parser or group to declare them in.
        dataset: help of ``-d``.
        required: whether ``-d`` must be given.
        trainer: which one is taken where none is named.
        n_configurations: ``nargs`` of ``-c``.
    """
    parser.add_argument("-d", required=required, metavar="ID", help=dataset)
    parser.add_argument("-tr", metavar="TRAINER", help=f"trainer (default: {trainer})")
    parser.add_argument("-p", metavar="PLANS", help="plans (default: those trained; of several nnUNetPlans)")
    parser.add_argument(
        "-c", nargs=n_configurations, metavar="CONFIGURATION", help="(default: the one trained; of several 3d_fullres)"
    )
