"""The classes of a dataset as its ``dataset.json`` declares them: labels or regions by name, and the ignore label."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError

DATASET_JSON = "dataset.json"
BACKGROUND, IGNORE = "background", "ignore"
_EXPECTED = '"labels": {"background": 0, "NAME": 1, …}'


@dataclass(frozen=True)
class LabelClasses:
    """The classes of a dataset.

    Attributes:
        classes: name and labels of each class but the background; a region has several labels, and regions may share
            some.
        ignore: the label of voxels that nobody annotated; None where there is none.
    """

    classes: tuple[tuple[str, tuple[int, ...]], ...]
    ignore: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the masks are of 0 and 1 only: one class, label 1, nothing ignored."""
        return self.ignore is None and [labels for _, labels in self.classes] == [(1,)]


def read_label_classes(path: Path) -> LabelClasses:
    """Read the classes of a ``dataset.json``.

    Args:
        path: the file; its ``labels`` name each label (``{"background": 0, "liver": 1}``) or region
            (``{"background": 0, "whole tumour": [1, 2]}``), and ``ignore`` is nnU-Net's ignore label.

    Raises:
        UserError: it cannot be read, or declares no labels in this way.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} does not declare labels as nnU-Net reads them ({error!r}); expected {_EXPECTED}"
        ) from error
    return declared_classes(content, path)


def declared_classes(content: Any, where: str | Path) -> LabelClasses:
    """The classes that the content of a ``dataset.json`` declares, see :func:`read_label_classes`.

    Args:
        content: what the file holds.
        where: its name, for messages.

    Raises:
        UserError: it declares no labels in this way.
    """
    try:
        declared = {str(name): _labels(value) for name, value in content["labels"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{where} does not declare labels as nnU-Net reads them ({error!r}); expected {_EXPECTED}"
        ) from error
    ignored = declared.pop(IGNORE, None)
    declared.pop(BACKGROUND, None)
    if ignored is not None and len(ignored) != 1:
        raise UserError(f"{where}: the ignore label is one number, found {list(ignored)}")
    if not declared:
        raise UserError(f"{where} declares no class but the background")
    return LabelClasses(tuple(declared.items()), None if ignored is None else ignored[0])


def _labels(value: object) -> tuple[int, ...]:
    """The labels of one class, a number or a list of numbers."""
    values = value if isinstance(value, list) else [value]
    if not values or any(not isinstance(label, int) or isinstance(label, bool) for label in values):
        raise ValueError(f"{value!r} is no label and no list of labels")
    return tuple(values)


def find_dataset_json(folders: Iterable[Path]) -> Path | None:
    """The first ``dataset.json`` in some folders; None where none holds one."""
    return next((path for folder in folders if (path := folder / DATASET_JSON).is_file()), None)
