"""The labels of a dataset in the order of nnU-Net's probability channels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json


@dataclass(frozen=True)
class LabelSet:
    """The labels of a dataset as far as its masks and probabilities need them.

    Attributes:
        labels: foreground labels, ascending, without the ignore label.
        regions: for region-based models one tuple of labels a probability channel, in the channels' order, else None.
        regions_class_order: for region-based models the label each region writes, in the same order, else None.
    """

    labels: tuple[int, ...]
    regions: tuple[tuple[int, ...], ...] | None = None
    regions_class_order: tuple[int, ...] | None = None

    @property
    def default_groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups treated as one mask each when none are named."""
        # Nested regions make no sense apart: the rim of a lesion without its core is not a component of its own.
        return ((self.labels),) if self.regions else tuple((label,) for label in self.labels)


def read_label_set(folder: str | os.PathLike) -> LabelSet | None:
    """The labels from the ``dataset.json`` nnU-Net leaves beside its predictions, None where there is none.

    Raises:
        UserError: the file cannot be read.
    """
    path = Path(folder) / "dataset.json"
    return label_set_of(path) if path.is_file() else None


def label_set_of(path: Path) -> LabelSet:
    """The labels a ``dataset.json`` declares.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return label_set_from_dataset(read_json(path))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"the labels in {path} cannot be read ({error!r})") from error


def label_set_from_dataset(dataset: dict[str, Any]) -> LabelSet:
    """The labels of an nnU-Net ``dataset.json``.

    Args:
        dataset: its content; ``labels`` maps names to a label or, for region-based models, to a list of labels.
    """
    entries = [value for name, value in dataset["labels"].items() if name != "ignore"]
    groups = [tuple(int(v) for v in value) if isinstance(value, (list, tuple)) else (int(value),) for value in entries]
    foreground = [group for group in groups if set(group) != {0}]
    labels = tuple(sorted({label for group in foreground for label in group} - {0}))
    if all(len(group) == 1 for group in foreground):
        return LabelSet(labels)
    return LabelSet(labels, tuple(foreground), tuple(int(label) for label in dataset["regions_class_order"]))
