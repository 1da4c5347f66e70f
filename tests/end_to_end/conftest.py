"""One run of ``nnunet_fair demo`` on a small cohort, on which the real commands are then tried."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnunet_fair import demo


@dataclass(frozen=True)
class Workplace:
    """A folder with the demo's datasets and models, and a way to run commands in it."""

    folder: Path
    output: str

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **demo.demo_environment(self.folder)}

    @property
    def raw(self) -> Path:
        return self.folder / "nnUNet_raw" / demo.DATASET_NAME

    @property
    def preprocessed(self) -> Path:
        return self.folder / "nnUNet_preprocessed" / demo.DATASET_NAME

    def model(self, trainer: str = demo.TRAINER, configuration: str = demo.CONFIGURATION) -> Path:
        return self.folder / "nnUNet_results" / demo.DATASET_NAME / f"{trainer}__{demo.PLANS}__{configuration}"

    def run(self, *command: str | Path, status: int = 0, **environment: str) -> str:
        """Run an installed command; on another status than the one expected its output is shown."""
        program = Path(sys.executable).parent / str(command[0])
        result = subprocess.run(
            [str(program), *map(str, command[1:])],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
        )
        assert result.returncode == status, f"{command} ended with {result.returncode}:\n{result.stdout[-4000:]}"
        return result.stdout


@pytest.fixture(scope="session")
def workplace(tmp_path_factory) -> Workplace:
    """The demo with 20 cases and two folds."""
    folder = tmp_path_factory.mktemp("end_to_end") / "demo"
    result = subprocess.run(
        [Path(sys.executable).parent / "nnunet_fair", "demo", "-o", folder, "-n", "20", "--folds", "0", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    assert result.returncode == 0, result.stdout[-6000:]
    return Workplace(folder, result.stdout)
