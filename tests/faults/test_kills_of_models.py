"""Kills of what makes, trains, uses and shares models; see ``test_kills.py``."""

import errno
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from nnunet_fair.locks import folder_lock
from nnunet_fair.metadata.fair_cases import write_fair_cases
from nnunet_fair.training.state import load_state
from tests.faults.kills import (
    end_at_every_operation,
    hidden,
    old_or_new,
    replaced_by,
    says_what_is_wrong,
    whole_files,
)
from tests.faults.stand_in_training import Training

pytestmark = pytest.mark.slow

COHORT = ("-n", "5", "--size", "16", "24", "24", "--max-phases", "3")
JOURNAL = "conversion_journal.jsonl"  # keeps a line of each attempt


@pytest.fixture
def small_cohort(tmp_path, commands, monkeypatch):
    """A cohort of five cases, and nnU-Net's folders below one root."""
    assert commands.run(["synth", "-o", tmp_path / "cohort", *COHORT], tmp_path) == 0, commands.output
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / "root" / name).mkdir(parents=True)
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / "root" / name))
    return tmp_path


def only_unfinished(before, wanted, found):
    """Nothing at the dataset's place before it is whole."""
    visible = {n: content for n, content in found.items() if not any(part.startswith(".") for part in Path(n).parts)}
    assert {name for name in visible if name.startswith("raw/")} in (
        {name for name in before if name.startswith("raw/")},
        {name for name in wanted if name.startswith("raw/")},
    )
    assert visible.items() <= {**before, **wanted}.items() or visible.items() <= {**wanted, **before}.items()


def test_convert_anew_with_overwrite_and_topped_up(small_cohort, commands):
    root, pristine = small_cohort / "root", small_cohort / "pristine"
    arguments = ["convert", "-i", small_cohort / "cohort", "-d", "950", "--folds", "2", "-np", "1"]

    def restore():
        replaced_by(root, pristine)

    shutil.copytree(root, pristine)
    one = [*arguments, "--link", "copy", "--allow-skips"]
    end_at_every_operation(commands, one, root, restore, check=only_unfinished, without=(JOURNAL,))
    replaced_by(pristine, root)
    again = [*arguments, "--recipe", "subtraction", "--overwrite"]
    end_at_every_operation(commands, again, root, restore, check=only_unfinished, without=(JOURNAL,))

    table = small_cohort / "cohort" / "clinical_and_imaging_info.xlsx"
    rows = pd.read_excel(table)
    shutil.rmtree(root / "raw" / "Dataset950_MAMAMIA")
    rows.iloc[:4].to_excel(table, index=False)
    assert commands.run(one, root) == 0, commands.output
    rows.to_excel(table, index=False)
    replaced_by(pristine, root)
    end_at_every_operation(commands, one, root, restore, check=whole_files, without=(JOURNAL,))


def test_a_dataset_folder_that_is_a_link_stays_one(small_cohort, commands):
    link = small_cohort / "root" / "raw" / "Dataset950_MAMAMIA"
    link.symlink_to(small_cohort / "another_disk", target_is_directory=True)
    arguments = ["convert", "-i", small_cohort / "cohort", "-d", "950", "--folds", "2", "-np", "1", "--overwrite"]
    for recipe in ("zscore-all", "subtraction"):
        assert commands.run([*arguments, "--recipe", recipe], small_cohort) == 0, commands.output
        assert link.is_symlink()
        assert json.loads((link / "dataset.json").read_text())["nnunet_fair_recipe"]["recipe"] == recipe
        assert sorted(path.name for path in small_cohort.iterdir() if path.name.startswith(".")) == []


def test_two_conversions_at_once_are_refused(small_cohort, commands):
    raw = small_cohort / "root" / "raw"
    arguments = ["convert", "-i", small_cohort / "cohort", "-d", "950", "--folds", "2", "-np", "1"]
    with folder_lock(raw / "Dataset950_MAMAMIA"):
        assert commands.run(arguments, raw) == 1
    assert "another run (process" in commands.output
    assert list(raw.iterdir()) == []


def test_a_training_goes_on_from_every_kill_as_if_there_had_been_none(tmp_path, commands):
    fold = tmp_path / "root" / "fold_0"
    call = f"{Path(__file__).with_name('stand_in_training.py')}:train"

    def restore():
        shutil.rmtree(fold.parent, ignore_errors=True)
        fold.mkdir(parents=True)

    def checkpoint_with_its_state(before, wanted, found):
        for name in ("checkpoint_latest.pth", "checkpoint_final.pth"):
            if (fold / name).is_file():
                epoch = torch.load(fold / name, weights_only=True)["current_epoch"]
                assert load_state(fold, epoch) is not None

    end_at_every_operation(
        commands,
        [fold],
        fold.parent,
        restore,
        check=checkpoint_with_its_state,
        call=call,
    )
    assert len(pd.read_csv(fold / "fair_history.csv")["epoch"].unique()) == 2
    assert pd.read_csv(fold / "fair_weights.csv")["weight"].nunique() > 1
    with folder_lock(fold):
        assert commands.run([fold], fold.parent, call=call) == 1
    assert commands.output.strip().splitlines()[-1].startswith("nnunet-fair: another run (process")


CHANNELS = {"channel_names": {"0": "phase_1_minus_phase_0"}, "labels": {"background": 0, "tumor": 1}}
RECIPE = {"recipe": "subtraction", "phases": [0, 1], "percentiles": [0.1, 99.9], "crop_margin_mm": None}
DATASET = {**CHANNELS, "numTraining": 6, "file_ending": ".nii.gz", "nnunet_fair_recipe": RECIPE}
CASES = [f"DUKE_{number:03d}" for number in range(1, 7)]


@pytest.fixture
def trained(train_tiny_model, nnunet_folders):
    """A model of two folds, with the names and groups of its training cases."""
    train_tiny_model(DATASET)
    raw, preprocessed = (nnunet_folders[name] / "Dataset950_TINY" for name in ("nnUNet_raw", "nnUNet_preprocessed"))
    (raw / "labelsTr").mkdir(parents=True)
    for case in CASES:
        (raw / "labelsTr" / f"{case}.nii.gz").touch()
    write_fair_cases(pd.DataFrame({"age": ["young"] * 6}, index=CASES), raw)
    folds = [{"train": CASES[3 * (1 - fold) :][:3], "val": CASES[3 * fold :][:3]} for fold in (0, 1)]
    (preprocessed / "splits_final.json").write_text(json.dumps(folds))
    return nnunet_folders["nnUNet_raw"].parent


def test_export_leaves_a_whole_zip_and_a_whole_card(trained, commands, tmp_path):
    root, pristine = tmp_path / "shared", tmp_path / "earlier"
    root.mkdir()
    arguments = ["export", "-d", "950", "-o", root / "model.zip", "--overwrite", "-f"]
    assert commands.run([*arguments, "0"], root) == 0, commands.output
    shutil.copytree(root, pristine)
    both = [*arguments, "0", "1"]
    end_at_every_operation(commands, both, root, lambda: replaced_by(root, pristine), check=whole_files)
    with folder_lock(root / "MODEL_CARD.md"):
        assert commands.run(both, root) == 1
    assert "another run (process" in commands.output


def test_predict_swaps_masks_and_records_as_one(trained, commands, tmp_path):
    cohort, root, pristine = tmp_path / "cohort", tmp_path / "outputs", tmp_path / "earlier"
    made = ["synth", "-o", cohort, "-n", "2", "--size", "16", "16", "16", "--max-phases", "3", "--test-fraction", "0.5"]
    assert commands.run(made, tmp_path) == 0, commands.output
    root.mkdir()
    arguments = ["predict", "-i", cohort, "-o", root / "out", "-d", "950", "-device", "cpu", "-npp", "0", "-nps", "0"]
    arguments += ["--disable_tta", "--overwrite", "-f"]
    assert commands.run([*arguments, "0"], root) == 0, commands.output
    (root / "out" / "prediction_report.csv").write_text("case_id,status,reason\nGONE,predicted,\n")
    shutil.copytree(root, pristine)
    end_at_every_operation(commands, [*arguments, "1"], root, lambda: replaced_by(root, pristine), check=old_or_new)


def test_on_a_disk_that_is_full_in_the_middle_of_a_file(small_disk, commands, trained, tmp_path, monkeypatch):
    """Images are written by ITK, checkpoints by torch, in code of their own."""
    disk = small_disk.folder
    assert commands.run(["synth", "-o", tmp_path / "cohort", *COHORT], tmp_path) == 0, commands.output

    (disk / "model.zip").write_bytes(b"")
    (disk / "filler").write_bytes(bytes(240_000))
    arguments = ["export", "-d", "950", "-o", disk / "other.zip", "-f", "0", "1"]
    assert commands.run(arguments, disk) == 1
    says_what_is_wrong(commands.output, errno.ENOSPC)
    assert sorted(path.name for path in disk.iterdir()) == ["filler", "model.zip"]

    training = Training(disk)
    training.fair_session = SimpleNamespace(before_checkpoint=print, after_checkpoint=print)
    training.save_checkpoint(str(disk / "checkpoint_latest.pth"))
    former = (disk / "checkpoint_latest.pth").read_bytes()
    training.weights = torch.zeros(100_000)
    with pytest.raises(OSError, match="No space left") as caught:
        training.save_checkpoint(str(disk / "checkpoint_latest.pth"))
    assert caught.value.filename == str(disk / "checkpoint_latest.pth")
    assert (disk / "checkpoint_latest.pth").read_bytes() == former
    assert not list(disk.glob("*.tmp"))

    for name in ("raw", "preprocessed", "results"):
        (disk / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(disk / name))
    arguments = [
        "convert",
        "-i",
        tmp_path / "cohort",
        "-d",
        "951",
        "--folds",
        "2",
        "-np",
        "1",
        "--recipe",
        "zscore-all",
    ]
    assert commands.run(arguments, disk) == 1
    says_what_is_wrong(commands.output, errno.ENOSPC)
    small_disk.resize("16m")
    assert commands.run(arguments, disk) == 0, commands.output
    assert not hidden(disk)
