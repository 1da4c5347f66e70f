"""Tables of drawn patients on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pcr.drawn_patients import draw_patients, write_tables


@pytest.fixture
def tables(tmp_path) -> tuple[Path, Path]:
    """``patients.csv`` and ``features.csv`` of 96 patients."""
    return write_tables(tmp_path, *draw_patients())
