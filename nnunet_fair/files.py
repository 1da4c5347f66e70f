"""Atomic writes: a reader finds the old file or the whole new one, never half of it."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it to ``path`` when the block ends without an exception.

    The temporary file keeps the whole suffix of ``path`` (``.nii.gz``), because image writers choose the format by it.

    Args:
        path: the file to write; its folder must exist.

    Yields:
        The path to write to; it does not exist yet.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


def write_text(text: str, path: str | os.PathLike) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(content: Any, path: str | os.PathLike) -> None:
    """Write ``content`` to ``path`` as indented JSON, atomically; NaN and infinity are refused (not valid JSON)."""
    write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", path)


def write_csv(frame: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write ``frame`` to ``path`` as CSV without its index, atomically; a missing value is an empty cell."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False)


def plain(value: Any) -> Any:
    """The value as JSON can hold it: NumPy scalars as Python's, NaN and infinity as None."""
    import numpy as np

    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
