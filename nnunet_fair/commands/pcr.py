"""``nnunet_fair pcr``: lesion features, response models and their predictions (the challenge's Task 2)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nnunet_fair.commands import pcr_classify, pcr_deep_features, pcr_features, pcr_predict, pcr_train
from nnunet_fair.commands.model_arguments import MODEL_OPTIONS

if TYPE_CHECKING:
    from types import ModuleType

HELP = "predict treatment response (pCR): lesion features, a model of them, predictions for unseen patients"
OPTIONS = {
    "n_processes": "-np",
    "features": "-x",
    "table": "-m",
    **MODEL_OPTIONS,
    "device": "-device",
    "images": "-i",
}
ACTIONS: dict[str, ModuleType] = {
    "features": pcr_features,
    "deep-features": pcr_deep_features,
    "train": pcr_train,
    "predict": pcr_predict,
    "classify": pcr_classify,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-parser an action (``commands/pcr_<action>.py``)."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, module in ACTIONS.items():
        action = actions.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(action)


def run(args: argparse.Namespace) -> int:
    """Run the action; its exit status."""
    return ACTIONS[args.action].run(args)
