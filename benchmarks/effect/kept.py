"""Finished runs in small, to be committed: a study stopped on one machine goes on on another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.effect.runs import CASES, RUN, Run
from benchmarks.effect.scale import Scale
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_json

SCALE = "scale.json"
COLUMNS = ("case_id", "group", "dsc", "norm_hd")
"""What the study's tables and comparisons are made of."""


def keep(run: Run, work: Path, kept: Path) -> None:
    """Write a finished run's scores and notes.

    Args:
        run: a finished run.
        work: the study's folder.
        kept: folder of the runs in small.
    """
    folder = run.folder(kept)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run.folder(work) / RUN, folder / RUN)
    cases = pd.read_csv(run.folder(work) / CASES)[list(COLUMNS)]
    write_csv(cases.round({"dsc": 4, "norm_hd": 4}), folder / CASES)


def check_same_study(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Refuse results of other settings: they are never put together.

    Args:
        found: settings of the results that are there, as JSON types.
        wanted: settings of this study.
        path: where the results' settings are noted, for the message.

    Raises:
        UserError: a setting differs.
    """
    for name, value in wanted.items():
        if found.get(name) != value:
            raise UserError(
                f"{path} is of another study: {name} is {found.get(name)!r} there and {value!r} here; "
                "name another folder"
            )


def restore(kept: Path, work: Path, scale: Scale) -> int:
    """Put the runs in small into a study's folder, where it does not have them.

    Args:
        kept: folder of the runs in small; it need not exist.
        work: the study's folder.
        scale: the study's size; written beside the runs.

    Returns:
        How many were put there.

    Raises:
        UserError: the runs are those of a study of another size.
    """
    kept.mkdir(parents=True, exist_ok=True)
    settings = json.loads(json.dumps(asdict(scale)))
    if not (kept / SCALE).is_file():
        write_json(settings, kept / SCALE)
    check_same_study(json.loads((kept / SCALE).read_text()), settings, kept / SCALE)
    restored = 0
    for path in sorted(kept.glob(f"runs/*/*/*/{CASES}")):
        folder = work / path.parent.relative_to(kept)
        if not (folder / CASES).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path.with_name(RUN), folder / RUN)
            shutil.copyfile(path, folder / CASES)
            restored += 1
    return restored
