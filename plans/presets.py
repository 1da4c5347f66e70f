"""The plan presets: what each fixes, and where its numbers come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.settings_record import nearest_hint

PRESETS_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a preset fixes of an nnU-Net plan; the rest nnU-Net's own planner derives from the dataset.

    Attributes:
        name: also the name of the plans file, ``nnUNetv2_train -p NAME``.
        summary: one line.
        source: where the numbers come from.
        gpu_memory: what training wants, in words.
        planner: nnU-Net's planner class that architecture and rules come from.
        spacing: target voxel size in mm, coarsest axis first; None leaves it to nnU-Net.
        patch_size: in voxels, same axes; None has the planner choose it for ``planning_memory_gb``.
        batch_size: None has the planner choose it.
        n_channels: the number of input channels it is meant for; None accepts any.
        base_num_features: feature maps of the first stage.
        max_num_features: cap of the feature maps.
        featuremap_min_edge_length: an axis is not pooled below this many voxels.
        planning_memory_gb: GPU memory the planner plans for where it chooses the patch size.
        nnunet_fair: settings for the plans' section of that name; None writes none.
    """

    name: str
    summary: str
    source: str
    gpu_memory: str
    planner: str
    spacing: tuple[float, float, float] | None
    patch_size: tuple[int, int, int] | None
    batch_size: int | None
    n_channels: int | None
    base_num_features: int
    max_num_features: int
    featuremap_min_edge_length: int
    planning_memory_gb: float | None
    nnunet_fair: Mapping[str, Any] | None


def list_presets() -> list[Preset]:
    """Every preset, by name."""
    return [_read(path) for path in sorted(PRESETS_FOLDER.glob("*.json"))]


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UserError: there is none; the nearest is named.
    """
    names = sorted(path.stem for path in PRESETS_FOLDER.glob("*.json"))
    if name not in names:
        raise UserError(f"no preset {name!r}{nearest_hint(name, names)}; there are {', '.join(names)}")
    return _read(PRESETS_FOLDER / f"{name}.json")


def _read(path: Path) -> Preset:
    content = json.loads(path.read_text(encoding="utf-8"))
    missing = {field.name for field in fields(Preset)} - {"name"} - content.keys()
    if missing:
        raise ValueError(f"{path.name} lacks {', '.join(sorted(missing))}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return Preset(name=path.stem, **values)
