"""``nnunet_fair plans``: list the plan presets, install one for a dataset, set the training's settings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

HELP = "list the plan presets, install one for a dataset, or set the training's settings in a plans file"
OPTIONS = {"new_name": "--as"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions ``list``, ``install`` and ``set``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="name every preset, where its numbers come from and the GPU memory it wants")
    install = actions.add_parser("install", help="write a preset's plans for a dataset (docs/plans.md)")
    install.add_argument("preset", metavar="PRESET", help="a name that 'plans list' shows")
    change = actions.add_parser("set", help="change settings of the training in a plans file, or show them")
    change.add_argument(
        "settings",
        metavar="NAME=VALUE",
        nargs="*",
        help="such as strength=8 attributes=age,site; NAME=default resets; none shows what is set",
    )
    change.add_argument("-p", "--plans", required=True, metavar="PLANS", help="their name, as for nnUNetv2_train")
    change.add_argument(
        "--as", dest="new_name", metavar="NEWNAME", help="leave these plans and write a copy of them under this name"
    )
    for action in (install, change):
        action.add_argument("-d", "--dataset", required=True, metavar="ID", help="number or name of the dataset")
        action.add_argument("--overwrite", action="store_true", help="replace other plans of that name")


def run(args: argparse.Namespace) -> int:
    """List, install or set, and say how to go on."""
    {"list": _list, "install": _install, "set": _set}[args.action](args)
    return 0


def _list(args: argparse.Namespace) -> None:
    from nnunet_fair.plans.presets import list_presets

    for preset in list_presets():
        print(f"{preset.name}: {preset.summary}\n    from: {preset.source}\n    GPU memory: {preset.gpu_memory}")


def _install(args: argparse.Namespace) -> None:
    from nnunet_fair.plans.install import install_preset
    from nnunet_fair.plans.presets import get_preset

    preset = get_preset(args.preset)
    installed = install_preset(args.dataset, preset, overwrite=args.overwrite)
    configuration = installed.configuration
    stages = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    for label, value in (
        ("patch", "x".join(map(str, configuration["patch_size"]))),
        ("batch", configuration["batch_size"]),
        ("spacing", "x".join(f"{size:.4g}" for size in configuration["spacing"]) + " mm"),
        ("stages", f"{len(stages)} of {', '.join(map(str, stages))} features"),
        ("normalisation", ", ".join(configuration["normalization_schemes"])),
        ("GPU memory", f"{preset.gpu_memory} (nnU-Net's estimate for this dataset: {installed.estimated_gb:.2g} GB)"),
    ):
        print(f"  {label}: {value}")
    for note in installed.notes:
        print(f"  {note}")
    print(f"Wrote {installed.path}; go on with")
    print(f"  nnUNetv2_preprocess -d {args.dataset} -plans_name {preset.name} -c 3d_fullres")
    print(f"  nnUNetv2_train {args.dataset} 3d_fullres 0 -p {preset.name} -tr nnUNetTrainerFairDiv")


def _set(args: argparse.Namespace) -> None:
    from nnunet_fair.plans.change import change_settings, parse_changes

    changes = parse_changes(args.settings)
    changed = change_settings(args.dataset, args.plans, changes, new_name=args.new_name, overwrite=args.overwrite)
    if not changes and args.new_name is None:
        print(f"{changed.path}: {_shown(changed.after)}")
        return
    print(f"before: {_shown(changed.before)}\nafter:  {_shown(changed.after)}")
    name = args.new_name or args.plans
    print(f"Wrote {changed.path}; trainings with -p {name} use it from now on")
    if args.new_name is not None:
        print(f"  the preprocessed data are those of {args.plans}: nothing is to be preprocessed again")


def _shown(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings) if settings else "{} (all defaults)"
