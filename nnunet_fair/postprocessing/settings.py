"""The settings of post-processing: one frozen record, kept as ``postprocessing.json`` with the masks or the model."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.settings_record import (
    check_bool,
    check_choice,
    check_integer,
    check_left_alone,
    check_number,
    is_integer,
    read_record,
    wrong_setting,
)

SETTINGS_FILE = "postprocessing.json"
ON_EMPTY = ("keep", "unboxed", "lower-threshold")
CONNECTIVITIES = (6, 18, 26)
Connectivity = Literal[6, 18, 26]


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
    connectivity: Connectivity = 26
    min_volume_mm3: float = 0.0
    on_empty: str = "keep"
    min_probability: float = 0.1
    labels: tuple[tuple[int, ...], ...] | None = None
    uncrop: bool = False

    def __post_init__(self) -> None:
        check_choice(self, "connectivity", CONNECTIVITIES)
        check_choice(self, "on_empty", ON_EMPTY)
        check_integer(self, "keep", low=1, others=(None,))
        check_number(self, "margin_mm", low=0)
        check_number(self, "min_volume_mm3", low=0)
        check_number(self, "min_probability", low=0, high=0.5, low_open=True)
        for name in ("box", "require_boxes", "uncrop"):
            check_bool(self, name)
        if not self.box:
            check_left_alone(self, "require_boxes", "only with boxes")
        if self.labels is not None:
            _check_groups(self.labels)


def _check_groups(groups: Any) -> None:
    """Labels are positive whole numbers and each belongs to one group, else two groups would undo each other."""
    if not isinstance(groups, tuple) or not all(isinstance(group, tuple) for group in groups):
        raise wrong_setting("labels", "a list of lists of labels", groups)
    if not groups or not all(groups):
        raise wrong_setting("labels", "at least one label in each of at least one group", groups)
    seen: set[int] = set()
    for label in (label for group in groups for label in group):
        if not is_integer(label) or label < 1:
            raise wrong_setting("labels", "whole numbers of 1 or more", label)
        if label in seen:
            raise wrong_setting("labels", f"every label in one group only (label {label} is in two)", groups)
        seen.add(label)


def parse_labels(texts: list[str]) -> tuple[tuple[int, ...], ...]:
    """Label groups from the command line: ``["1", "2,3"]`` is label 1 by itself and labels 2 and 3 as one region."""
    try:
        return tuple(tuple(int(label) for label in text.split(",")) for text in texts)
    except ValueError as error:
        raise UserError(
            f"`labels` takes whole numbers, several joined by commas for one region, found {texts}"
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
    return read_record(PostprocessingSettings, section, where=str(source))


def read_settings(path: str | os.PathLike) -> PostprocessingSettings:
    """Read ``postprocessing.json``.

    Raises:
        UserError: no such file, no valid JSON or wrong settings.
    """
    path = Path(path)
    try:
        content = read_json(path)
    except OSError as error:
        raise UserError(f"no post-processing settings at {path} ({error.strerror})") from error
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
