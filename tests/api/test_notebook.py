"""The notebook of the documentation runs, and what it shows of a run names no case and no machine."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def test_its_outputs_are_there_and_name_no_case_and_no_path():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells) and sum(bool(cell.outputs) for cell in cells) == len(cells) - 1
    shown = str([cell.outputs for cell in cells])
    assert not re.search(r"(duke|nact|ispy\d)_\w*\d|/tmp|/home|/root|site-packages|Traceback", shown, re.IGNORECASE)
    assert NOTEBOOK.stat().st_size < 100_000


@pytest.mark.slow
def test_it_runs(tmp_path):
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    last = notebook.cells[-1].outputs[0]["data"]["text/plain"]
    assert "figures" in last
