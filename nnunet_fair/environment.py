"""The environment nnU-Net finds this plugin through: the folder of external trainers."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from nnunet_fair.paths import EXT_TRAINER

EXT_TRAINERS_FOLDER = Path(__file__).parent / "ext_trainers"


def ext_trainer_value(current: str | None) -> str:
    """``nnUNet_extTrainer`` with the plugin's folder appended to what is there; unchanged where it is there already.

    Args:
        current: the variable's present value (folders separated by ``os.pathsep``), None when unset.
    """
    folders = [folder for folder in (current or "").split(os.pathsep) if folder.strip()]
    if not any(Path(folder).resolve() == EXT_TRAINERS_FOLDER.resolve() for folder in folders):
        folders.append(str(EXT_TRAINERS_FOLDER))
    return os.pathsep.join(folders)


def make_trainers_findable() -> None:
    """Let nnU-Net, in this process and those it starts, find the plugin's trainers by name."""
    os.environ[EXT_TRAINER] = ext_trainer_value(os.environ.get(EXT_TRAINER))


def ext_trainer_lines() -> str:
    """The shell line to ``eval``."""
    return f"export {EXT_TRAINER}={shlex.quote(ext_trainer_value(os.environ.get(EXT_TRAINER)))}"
