"""A command killed at each of its file operations: nothing lost, nothing half, the next run is whole.

About four kills a command, spread over its operations; all of them with ``NNUNET_FAIR_ALL_KILLS=1`` in the environment.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

pytestmark = pytest.mark.slow

KILLER = """
import os, pathlib, shutil, sys
from nnunet_fair import files
count, limit = 0, int(sys.argv[1])
def counted(module, name):
    whole = getattr(module, name)
    def step(*args, **kwargs):
        global count
        count += 1
        if count == limit:
            os.kill(os.getpid(), 9)
        return whole(*args, **kwargs)
    setattr(module, name, step)
for module, name in ((pathlib.Path, "replace"), (pathlib.Path, "rename"), (pathlib.Path, "unlink"),
                     (pathlib.Path, "write_text"), (shutil, "rmtree"), (shutil, "copyfile"), (files, "_exchange")):
    counted(module, name)
from nnunet_fair.cli import main
status = main(sys.argv[2:])
print("operations", count)
sys.exit(status)
"""


def call(arguments, kill_at=0):
    """Run a command in a process of its own, killed before its n-th file operation."""
    return subprocess.run(
        [sys.executable, "-c", KILLER, str(kill_at), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def digest(folder: Path) -> dict[str, str]:
    """What lies in a folder, hidden things too; times in it are no part of a result."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write(path: Path, value: int, spot: int) -> None:
    array = np.zeros((4, 6, 6), np.uint8)
    array[1:3, 1:4, spot : spot + 2] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


@pytest.fixture
def masks(tmp_path):
    for number in range(3):
        write(tmp_path / "in" / f"A_{number}.nii.gz", 1, number)
        write(tmp_path / "older" / f"A_{number}.nii.gz", 1, number + 1)
    write(tmp_path / "older" / "GONE.nii.gz", 1, 0)
    return tmp_path


def kills_of(arguments, folder, restore, *, states):
    """Kill at every operation; what is there after each kill and after the rerun."""
    restore()
    whole = call(arguments)
    assert whole.returncode == 0, whole.stderr
    n_operations = int(whole.stdout.rsplit("operations", 1)[1])
    assert n_operations >= 3
    wanted = digest(folder)
    every = 1 if os.environ.get("NNUNET_FAIR_ALL_KILLS") else max(1, n_operations // 4)
    for number in range(1, n_operations + 1, every):
        restore()
        before = digest(folder)
        assert call(arguments, number).returncode == -9
        states(before, wanted, digest(folder))
        again = call(arguments)
        assert again.returncode == 0, (number, again.stderr)
        assert digest(folder) == wanted, number
        hidden = [path.name for path in folder.parent.iterdir() if "nnunet_fair" in path.name]
        assert hidden == [], number
    return n_operations


def test_postprocess_overwrite_swaps_the_folder_whole(masks):
    import shutil

    out = masks / "outputs" / "out"
    made = call(["postprocess", "-i", masks / "older", "-o", masks / "first", "--keep", "1", "-np", "1"])
    assert made.returncode == 0, made.stderr

    def restore():
        shutil.rmtree(out.parent, ignore_errors=True)
        shutil.copytree(masks / "first", out)

    def states(before, wanted, found):
        assert found in (before, wanted)  # never a mixture

    arguments = ["postprocess", "-i", masks / "in", "-o", out, "--keep", "1", "-np", "1", "--overwrite"]
    kills_of(arguments, out, restore, states=states)
    assert not (out / "GONE.nii.gz").exists()


def test_evaluate_leaves_whole_files(masks):
    import shutil

    for number in range(3, 8):
        for folder in ("in", "older"):
            write(masks / folder / f"A_{number}.nii.gz", 1, number % 3)
    (masks / "older" / "GONE.nii.gz").unlink()
    table = pd.DataFrame({"case_id": [f"A_{n}" for n in range(8)], "age": ["old", "young"] * 4})
    table.to_csv(masks / "table.csv", index=False)
    out = masks / "outputs" / "out"
    arguments = ["evaluate", "-ref", masks / "older", "-pred", masks / "in", "-m", masks / "table.csv", "-o", out]
    arguments += ["--variables", "age", "-np", "1", "--resamples", "20", "--overlays", "0"]

    def states(before, wanted, found):
        visible = {name: content for name, content in found.items() if not name.startswith(".")}
        assert visible.items() <= wanted.items()  # each file whole or not there

    kills_of(arguments, out, lambda: shutil.rmtree(out.parent, ignore_errors=True), states=states)
    json.loads((out / "scores.json").read_text())


def test_an_interrupted_run_leaves_nothing_hidden(masks):
    """SIGTERM while workers run: no process and no folder with images stays."""
    for number in range(3, 60):
        write(masks / "in" / f"A_{number}.nii.gz", 1, number % 4)
    out = masks / "outputs" / "out"
    script = "import sys; from nnunet_fair.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["postprocess", "-i", masks / "in", "-o", out, "--keep", "1", "-np", "2"]
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stderr=subprocess.PIPE, text=True)
    while not (out.parent.is_dir() and any(out.parent.glob("*nnunet_fair-new*"))):
        assert process.poll() is None
    process.terminate()
    message = process.communicate(timeout=30)[1]
    assert process.returncode == 143
    assert "ended by SIGTERM" in message
    assert list(out.parent.iterdir()) == []
