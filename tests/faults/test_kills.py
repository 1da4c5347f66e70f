"""A command killed at each of its file operations: nothing lost, nothing half, the next run is whole.

Two kills a command and one SIGTERM; before every operation with
``NNUNET_FAIR_ALL_KILLS=1`` in the environment (``-s`` shows how many they were).
"""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.locks import folder_lock
from tests.faults.kills import (
    end_at_every_operation,
    old_or_new,
    replaced_by,
    whole_files,
)

pytestmark = pytest.mark.slow


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


@pytest.fixture
def cohort_to_score(masks):
    """Eight cases with labels, two models' masks and a table."""
    for number in range(8):
        for folder in ("in", "older", "other"):
            write(masks / folder / f"A_{number}.nii.gz", 1, number % (2 + len(folder) % 3))
    (masks / "older" / "GONE.nii.gz").unlink()
    table = pd.DataFrame({"case_id": [f"A_{n}" for n in range(8)], "age": ["old", "young"] * 4})
    table.to_csv(masks / "table.csv", index=False)
    return masks


def test_postprocess_overwrite_swaps_the_folder_whole(masks, commands):
    out = masks / "outputs" / "out"
    made = ["postprocess", "-i", masks / "older", "-o", masks / "first", "--keep", "1", "-np", "1"]
    assert commands.run(made, masks) == 0, commands.output

    def restore():
        shutil.rmtree(out.parent, ignore_errors=True)
        shutil.copytree(masks / "first", out)

    arguments = ["postprocess", "-i", masks / "in", "-o", out, "--keep", "1", "-np", "1", "--overwrite"]
    end_at_every_operation(commands, arguments, out.parent, restore, check=old_or_new)
    assert not (out / "GONE.nii.gz").exists()


def test_evaluate_leaves_whole_files(cohort_to_score, commands):
    out = cohort_to_score / "outputs" / "out"
    arguments = ["evaluate", "-ref", cohort_to_score / "older", "-pred", cohort_to_score / "in", "-o", out]
    arguments += ["-m", cohort_to_score / "table.csv", "--variables", "age", "-np", "1", "--resamples", "20"]
    arguments += ["--overlays", "0"]

    def restore():
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir()

    end_at_every_operation(commands, arguments, out.parent, restore, check=whole_files)
    json.loads((out / "scores.json").read_text())


def test_parts_of_an_evaluation_and_their_merging(cohort_to_score, commands):
    root = cohort_to_score / "outputs"
    pristine = cohort_to_score / "parts"
    arguments = ["evaluate", "-ref", cohort_to_score / "older", "-pred", cohort_to_score / "in", "-o", root / "out"]
    arguments += ["-m", cohort_to_score / "table.csv", "--variables", "age", "--resamples", "20", "--overlays", "0"]
    first, second = ([*arguments, "-num_parts", "2", "-part_id", part, "-np", "1"] for part in "01")
    root.mkdir()
    assert commands.run(first, root) == 0, commands.output
    shutil.copytree(root, pristine)
    end_at_every_operation(commands, second, root, lambda: replaced_by(root, pristine), check=whole_files)
    replaced_by(pristine, root)
    merge = [*arguments, "--merge"]
    end_at_every_operation(commands, merge, root, lambda: replaced_by(root, pristine), check=whole_files)


def test_compare_leaves_whole_files(cohort_to_score, commands):
    root, pristine = cohort_to_score / "outputs", cohort_to_score / "earlier"
    arguments = ["compare", "-ref", cohort_to_score / "older", "-m", cohort_to_score / "table.csv", "-o", root / "out"]
    arguments += ["--variables", "age", "-np", "1", "--resamples", "20", "--overlays", "0"]
    root.mkdir()
    one, other = (cohort_to_score / folder for folder in ("in", "other"))
    assert commands.run([*arguments, "-a", one, "-b", other], root) == 0, commands.output
    shutil.copytree(root, pristine)
    swapped = [*arguments, "-a", other, "-b", one]
    end_at_every_operation(commands, swapped, root, lambda: replaced_by(root, pristine), check=whole_files)


@pytest.fixture
def tabled(heart_dataset):
    """A dataset with a table of its patients, and an earlier ``fair_cases.csv``."""
    root = heart_dataset.parents[1]
    rows = {"ID": [f"pat_{n}" for n in range(1, 11)], "sex": ["m", "w"] * 5, "site": list("AAAAABBBBB")}
    pd.DataFrame(rows).to_csv(root / "table.csv", index=False)
    plans = root / "nnUNet_preprocessed" / heart_dataset.name / "nnUNetPlans.json"
    plans.parent.mkdir()
    plans.write_text(json.dumps({"plans_name": "nnUNetPlans", "nnunet_fair": {"strength": 2.0}}))
    return root


def metadata_of(root: Path, *attributes: str) -> list:
    table = ["--table", root / "table.csv", "--attributes", *attributes]
    return ["metadata", "-d", "27", *table, "--stratify", "--folds", "2", "--overwrite"]


def test_metadata_plans_and_audit(tabled, commands, tmp_path_factory):
    pristine = tmp_path_factory.mktemp("pristine") / "copy"
    assert commands.run(metadata_of(tabled, "sex"), tabled) == 0, commands.output
    assert commands.run(["audit", "-d", "27", "-o", tabled / "audit"], tabled) == 0, commands.output
    shutil.copytree(tabled, pristine)

    def restore():
        replaced_by(tabled, pristine)

    end_at_every_operation(commands, metadata_of(tabled, "site"), tabled, restore, check=whole_files)
    for change in ([], ["--as", "copied"]):
        arguments = ["plans", "set", "-d", "27", "-p", "nnUNetPlans", "strength=4", "--overwrite", *change]
        end_at_every_operation(commands, arguments, tabled, restore)
    assert commands.run(metadata_of(tabled, "site", "sex"), tabled) == 0, commands.output
    replaced_by(pristine, tabled)
    arguments = ["audit", "-d", "27", "-o", tabled / "audit", "--min-group", "2"]
    end_at_every_operation(commands, arguments, tabled, restore, check=whole_files)


def test_locks_of_what_metadata_and_plans_write(tabled, commands):
    dataset = tabled / "nnUNet_raw" / "Dataset027_Heart"
    plans = tabled / "nnUNet_preprocessed" / "Dataset027_Heart" / "nnUNetPlans.json"
    setting = ["plans", "set", "-d", "27", "-p", "nnUNetPlans", "strength=4"]
    for locked, arguments in ((dataset, metadata_of(tabled, "sex")), (plans, setting)):
        with folder_lock(locked):
            assert commands.run(arguments, tabled) == 1
            assert "another run (process" in commands.output


def test_whoever_read_the_output_may_be_gone(tabled, commands):
    audit = ["audit", "-d", "27", "-o", tabled / "audit"]
    for arguments in (["plans", "list"], ["env"], ["doctor"], metadata_of(tabled, "sex"), audit):
        assert commands.run(arguments, tabled, unread=True) == 128 + signal.SIGPIPE, (arguments, commands.output)
        assert "Traceback" not in commands.output
        assert "Error" not in commands.output


COHORT = ("-n", "5", "--size", "16", "24", "24", "--max-phases", "3")


def test_synth_overwrite_swaps_the_cohort_whole(tmp_path, commands):
    root, pristine = tmp_path / "root", tmp_path / "pristine"
    root.mkdir()
    made = ["synth", "-o", root / "cohort", *COHORT]
    assert commands.run(made, root) == 0, commands.output
    shutil.copytree(root, pristine)
    arguments = [*made, "--seed", "1", "--overwrite"]
    end_at_every_operation(commands, arguments, root, lambda: replaced_by(root, pristine))


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
