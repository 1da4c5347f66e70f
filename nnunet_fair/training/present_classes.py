"""The classes of a dataset: their names, and which the whole reference of a case contains, as nnU-Net found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from batchgenerators.utilities.file_and_folder_operations import join, load_pickle

from nnunet_fair.errors import UserError

Key = int | tuple[int, ...]
"""A label, or the labels of a region, as nnU-Net's properties name it."""


def foreground_names(labels: Mapping[str, Any], label_manager: Any) -> list[str]:
    """The names of the foreground labels or regions in nnU-Net's order.

    Args:
        labels: of ``dataset.json``, label or labels by name.
        label_manager: nnU-Net's.
    """
    names = {_key(value): name for name, value in labels.items()}
    return [names[key] for key in _foreground(label_manager)]


def _foreground(label_manager: Any) -> list[Key]:
    manager = label_manager
    return [_key(entry) for entry in (manager.foreground_regions if manager.has_regions else manager.foreground_labels)]


def _key(entry: Any) -> Key:
    return tuple(map(int, entry)) if isinstance(entry, (tuple, list)) else int(entry)


def present_classes(datasets: Sequence[Any], label_manager: Any) -> pd.DataFrame:
    """Read from the preprocessed properties which foreground labels or regions each case has.

    Args:
        datasets: nnU-Net's datasets of preprocessed cases; a case may be in several.
        label_manager: nnU-Net's.

    Returns:
        Bool table indexed by case ID, one column a foreground label or region, numbered from 0 in nnU-Net's order.

    Raises:
        UserError: a case's properties do not say it.
    """
    keys = _foreground(label_manager)
    rows: dict[str, list[bool]] = {}
    for dataset in datasets:
        for case_id in map(str, dataset.identifiers):
            if case_id in rows:
                continue
            path = join(dataset.source_folder, f"{case_id}.pkl")
            locations = load_pickle(path).get("class_locations") or {}
            missing = [key for key in keys if key not in locations]
            if missing:
                raise UserError(
                    f"{path} does not say where label or region {missing[0]} is; preprocess the dataset again "
                    "(nnUNetv2_preprocess)"
                )
            rows[case_id] = [len(locations[key]) > 0 for key in keys]
    return pd.DataFrame.from_dict(rows, orient="index", columns=range(len(keys)), dtype=bool)
