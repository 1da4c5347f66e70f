"""Changing the settings of the training in a plans file, or in a copy of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.files import remove_leftovers, write_text
from nnunet_fair.locks import folder_lock
from nnunet_fair.outputs import is_record, refuse_foreign
from nnunet_fair.paths import preprocessed_folder
from nnunet_fair.training.config import PLANS_SECTION, FairConfig

DEFAULT = "default"
"""The value that resets a setting."""
PLANS_KEYS = ("plans_name",)
"""What a plans file of nnU-Net is known by."""
_NULL_IS_A_VALUE = ("max_gradient",)
"""Settings whose null is another choice than their default."""


@dataclass(frozen=True)
class Changed:
    """What was changed.

    Attributes:
        path: the plans file that was written, or that was looked at where nothing was to be changed.
        before: the settings it, or the file it is a copy of, held.
        after: the settings it holds now.
    """

    path: Path
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def parse_changes(words: Sequence[str]) -> dict[str, Any]:
    """Settings as they are typed: ``strength=8``, ``attributes=age,site``, ``max_gradient=auto``, ``min_t=default``.

    Args:
        words: ``NAME=VALUE``, the value as in JSON, or plain text; a list is separated by commas.

    Returns:
        Value by name; :data:`DEFAULT` for one to be reset.

    Raises:
        UserError: a word without a name or value, or a name that comes twice.
    """
    changes: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name or not text:
            raise UserError(f"expected NAME=VALUE, such as strength=8, found {word!r}")
        if name in changes:
            raise UserError(f'the setting "{name}" is given twice')
        changes[name] = _parsed(name, text)
    return changes


def _parsed(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if value is None and name not in _NULL_IS_A_VALUE:
        return DEFAULT
    if name == "attributes" and value != DEFAULT and not isinstance(value, list):
        return [attribute.strip() for attribute in text.split(",")]
    return value


def change_settings(
    dataset: str | int, plans: str, changes: Mapping[str, Any], *, new_name: str | None = None, overwrite: bool = False
) -> Changed:
    """Change settings of the training in a plans file, in one step: a reader finds the old file or the new one.

    Args:
        dataset: number or name of the dataset.
        plans: name of its plans.
        changes: value by name, see :func:`parse_changes`; none to look only.
        new_name: write a copy of the plans under this name instead, so that two settings can be compared. It keeps the
            names of the preprocessed data, which both then share.
        overwrite: replace other plans that have the new name.

    Returns:
        What was changed.

    Raises:
        UserError: the plans are not there, a setting is unknown or its value wrong, or the new name is taken.
    """
    folder = preprocessed_folder(dataset)
    path = folder / f"{plans}.json"
    target = folder / f"{new_name}.json" if new_name is not None else path
    _read_plans(path)  # nothing is made where there are none
    with folder_lock(target) if changes or new_name is not None else nullcontext():
        return _change(path, target, changes, new_name, overwrite)


def _change(path: Path, target: Path, changes: Mapping[str, Any], new_name: str | None, overwrite: bool) -> Changed:
    content = _read_plans(path)
    before = content.get(PLANS_SECTION, {})
    if not isinstance(before, Mapping):
        raise UserError(f'{path}: the section "{PLANS_SECTION}" must be an object of settings, found {before!r}')
    if not changes and new_name is None:
        return Changed(path, before, before)
    known = {*before, *(setting.name for setting in fields(FairConfig))}
    wanted = {**before, **changes}
    after = {name: value for name, value in wanted.items() if value != DEFAULT or name not in known}
    try:
        FairConfig.from_plans({PLANS_SECTION: after})
    except UserError as error:
        raise UserError(f"{path} stays as it is: {error}") from None
    if new_name is not None:
        _check_new_name(new_name, target, overwrite)
        content["plans_name"] = new_name
    content.pop(PLANS_SECTION, None)
    if after:
        content[PLANS_SECTION] = after
    remove_leftovers(target.parent, target.name)
    write_text(json.dumps(content, indent=4) + "\n", target)
    return Changed(target, before, after)


def _check_new_name(name: str, target: Path, overwrite: bool) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise UserError(
            f"`new_name` is part of a file's name and of a trainer's folder: expected letters, digits, _, . and -, "
            f"found {name!r}"
        )
    if target.exists() and not overwrite:
        raise UserError(f"{target} is there already; give `overwrite` to replace it, or another `new_name`")
    refuse_foreign(target, is_record(target, PLANS_KEYS), remedy="give another `new_name`")


def _read_plans(path: Path) -> dict[str, Any]:
    if not path.is_file():
        there = sorted(other.stem for other in path.parent.glob("*.json") if "plans_name" in _content(other))
        have = f"the plans {', '.join(there)}" if there else "none; run nnUNetv2_plan_and_preprocess first"
        raise UserError(f"there are no plans {path.stem} in {path.parent}; it has {have}")
    content = _content(path)
    if "plans_name" not in content:
        raise UserError(f"{path} is no plans file of nnU-Net: it has no plans_name")
    return content


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON ({error}); restore it or plan the dataset again") from None
    return content if isinstance(content, dict) else {}
