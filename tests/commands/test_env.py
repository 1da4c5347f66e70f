"""``nnunet_fair env``: the line to eval."""

import os
import subprocess
from pathlib import Path

import pytest

from nnunet_fair.cli import main
from nnunet_fair.environment import EXT_TRAINERS_FOLDER, ext_trainer_value

HERE = str(EXT_TRAINERS_FOLDER)


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (None, HERE),
        ("", HERE),
        ("/my/trainers", os.pathsep.join(["/my/trainers", HERE])),
        (os.pathsep.join(["/a", HERE, "/b"]), os.pathsep.join(["/a", HERE, "/b"])),
        (os.pathsep.join(["/a", ""]), os.pathsep.join(["/a", HERE])),
    ],
    ids=["unset", "empty", "appends", "is there already", "trailing separator"],
)
def test_the_folder_is_appended_once(current, expected):
    assert ext_trainer_value(current) == expected


def test_the_line_can_be_evaluated_by_a_shell(monkeypatch, capsys):
    monkeypatch.setenv("nnUNet_extTrainer", "/with space/and 'quote'")
    assert main(["env"]) == 0
    line = capsys.readouterr().out
    shown = subprocess.run(
        ["sh", "-c", f'{line}\nprintf %s "$nnUNet_extTrainer"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"/with space/and 'quote'{os.pathsep}{HERE}"


def test_the_folder_holds_names_only():
    """nnU-Net imports every module of the folder and forgets it again: nothing may be defined there."""
    modules = sorted(path.name for path in EXT_TRAINERS_FOLDER.glob("*.py"))
    assert modules == ["__init__.py", "nnunet_fair_ext_trainers.py"]
    content = Path(EXT_TRAINERS_FOLDER / "nnunet_fair_ext_trainers.py").read_text()
    assert "class " not in content and "def " not in content


def test_every_trainer_is_handed_on():
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunet_fair.ext_trainers import nnunet_fair_ext_trainers
    from nnunet_fair.training import trainer
    from nnunet_fair.training.joint import trainer as joint_trainer
    from nnunet_fair.training.length import TrainerOfLength
    from nnunet_fair.training.response import trainer as response_trainer
    from nnunet_fair.training.response.classification import ResponseClassification

    known = (nnUNetTrainer, TrainerOfLength, ResponseClassification)  # which they extend
    defined = {
        name
        for module in (trainer, joint_trainer, response_trainer)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, nnUNetTrainer) and value not in known
    }
    assert defined == set(nnunet_fair_ext_trainers.__all__)
