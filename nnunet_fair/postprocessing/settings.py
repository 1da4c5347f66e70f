"""The settings of post-processing: one frozen record, kept as ``postprocessing.json`` with the masks or the model."""

from __future__ import annotations

import difflib
import json
import math
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError

SETTINGS_FILE = "postprocessing.json"
ON_EMPTY = ("keep", "unboxed", "lower-threshold")
CONNECTIVITIES = (6, 18, 26)


@dataclass(frozen=True, kw_only=True)
class PostprocessingSettings:
    """What is done to every predicted mask, in this order: box, components, empty masks.

    Attributes:
        box: remove voxels outside the breast box.
        require_boxes: a case without a box is skipped instead of left whole.
        margin_mm: the box is grown by this margin in mm first.
        keep: keep at most this many connected components, largest first; None keeps all.
        connectivity: 6, 18 or 26 neighbours connect two voxels.
        min_volume_mm3: smaller components are removed; volume in mm³.
        on_empty: what to do with an empty mask: ``keep`` it empty, take the ``unboxed`` mask where the box emptied it,
            or ``lower-threshold`` of the foreground probability.
        min_probability: lowest threshold ``lower-threshold`` may use, in (0, 0.5].
        labels: groups of labels treated as one mask each; None treats every label by itself (region-based models: all
            foreground labels together).
        uncrop: the masks are those of breast crops and are pasted back into the original images.
    """

    box: bool = False
    require_boxes: bool = False
    margin_mm: float = 0.0
    keep: int | None = None
    connectivity: int = 26
    min_volume_mm3: float = 0.0
    on_empty: str = "keep"
    min_probability: float = 0.1
    labels: tuple[tuple[int, ...], ...] | None = None
    uncrop: bool = False

    def __post_init__(self) -> None:
        _check(self.connectivity in CONNECTIVITIES, "connectivity", "6, 18 or 26", self.connectivity)
        _check(self.on_empty in ON_EMPTY, "on_empty", " or ".join(ON_EMPTY), self.on_empty)
        _check(self.keep is None or (_is_whole(self.keep) and self.keep >= 1), "keep", "1 or more", self.keep)
        for name in ("margin_mm", "min_volume_mm3"):
            value = getattr(self, name)
            _check(_is_number(value) and value >= 0, name, "0 or more", value)
        value = self.min_probability
        _check(_is_number(value) and 0 < value <= 0.5, "min_probability", "above 0 and at most 0.5", value)
        for name in ("box", "require_boxes", "uncrop"):
            _check(isinstance(getattr(self, name), bool), name, "true or false", getattr(self, name))
        _check(not (self.require_boxes and not self.box), "require_boxes", "only with boxes (--boxes)", True)
        if self.labels is not None:
            _check_groups(self.labels)


def _check(right: bool, name: str, expected: str, found: Any) -> None:
    if not right:
        raise UserError(f"post-processing setting {name}: expected {expected}, found {found!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_groups(groups: Any) -> None:
    """Labels are positive whole numbers and each belongs to one group, else two groups would undo each other."""
    seen: set[int] = set()
    _check(bool(groups), "labels", "at least one label", groups)
    for group in groups:
        _check(bool(group), "labels", "at least one label in a group", groups)
        for label in group:
            _check(_is_whole(label) and label >= 1, "labels", "whole numbers of 1 or more", label)
            _check(label not in seen, "labels", f"every label in one group only (label {label} is in two)", groups)
            seen.add(label)


def parse_labels(texts: list[str]) -> tuple[tuple[int, ...], ...]:
    """Label groups from the command line: ``["1", "2,3"]`` is label 1 by itself and labels 2 and 3 as one region."""
    try:
        return tuple(tuple(int(label) for label in text.split(",")) for text in texts)
    except ValueError as error:
        raise UserError(
            f"--labels takes whole numbers, several joined by commas for one region, found {texts}"
        ) from error


def settings_from_dict(content: Any, source: str | os.PathLike) -> PostprocessingSettings:
    """Settings from the content of ``postprocessing.json`` (its section ``settings``).

    Args:
        content: the parsed JSON.
        source: the file, for messages.

    Raises:
        UserError: not a settings file, an unknown key (the nearest known one is named) or a value out of range.
    """
    section = content.get("settings") if isinstance(content, dict) else None
    if not isinstance(section, dict):
        raise UserError(f"{source} is not a postprocessing.json of nnunet_fair postprocess")
    known = [entry.name for entry in fields(PostprocessingSettings)]
    for key in section:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise UserError(f"{source}: unknown post-processing setting {key!r}{hint}")
    values = dict(section)
    if values.get("labels") is not None:
        try:
            values["labels"] = tuple(tuple(group) for group in values["labels"])
        except TypeError as error:
            raise UserError(f"{source}: labels must be a list of lists of labels") from error
    try:
        return PostprocessingSettings(**values)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


def read_settings(path: str | os.PathLike) -> PostprocessingSettings:
    """Read ``postprocessing.json``.

    Raises:
        UserError: no such file, no valid JSON or wrong settings.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"no post-processing settings at {path} ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error})") from error
    return settings_from_dict(content, path)


def settings_to_dict(settings: PostprocessingSettings) -> dict[str, Any]:
    """The settings as JSON-ready values."""
    content = asdict(settings)
    if settings.labels is not None:
        content["labels"] = [list(group) for group in settings.labels]
    return content


def merge_settings(base: PostprocessingSettings | None, **given: Any) -> PostprocessingSettings:
    """Settings from a file with those given on the command line put over them.

    Args:
        base: the file's settings, None for the defaults.
        given: values by setting; None means not given.
    """
    return replace(base or PostprocessingSettings(), **{name: v for name, v in given.items() if v is not None})
