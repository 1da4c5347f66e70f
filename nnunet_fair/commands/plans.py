"""``nnunet_fair plans``: list the plan presets and install one for a dataset."""

from __future__ import annotations

import argparse

HELP = "list the plan presets, or install one for a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions ``list`` and ``install``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="name every preset, where its numbers come from and the GPU memory it wants")
    install = actions.add_parser("install", help="write a preset's plans for a dataset (docs/plans.md)")
    install.add_argument("preset", metavar="PRESET", help="a name that 'plans list' shows")
    install.add_argument("-d", "--dataset", required=True, metavar="ID", help="number or name of the nnU-Net dataset")
    install.add_argument("--overwrite", action="store_true", help="replace other plans of that name")


def run(args: argparse.Namespace) -> int:
    """List, or install and say how to go on."""
    from nnunet_fair.plans.presets import get_preset, list_presets

    if args.action == "list":
        for preset in list_presets():
            print(f"{preset.name}: {preset.summary}\n    from: {preset.source}\n    GPU memory: {preset.gpu_memory}")
        return 0
    from nnunet_fair.plans.install import install_preset

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
    return 0
