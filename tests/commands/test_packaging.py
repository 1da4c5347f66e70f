"""What a wheel of the project installs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    """The names in a wheel built from a copy of the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".git", ".venv", "demo", "*.egg-info", "__pycache__", "build")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, "."]
    result = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
        return opened.namelist()


def test_nothing_but_the_package_lands_in_site_packages(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nnunet_fair"}


def test_every_module_and_data_file_is_in_the_wheel(wheel):
    places = {"nnunet_fair": "nnunet_fair", "dataset_conversion": "nnunet_fair/dataset_conversion"}
    expected = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in {**places, "plans": "nnunet_fair/plans"}.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".json", ".html", ".css") and "__pycache__" not in path.parts
    }
    assert expected <= set(wheel)
    assert any(name.endswith("presets.py") for name in expected) and any(name.endswith(".css") for name in expected)


def test_the_root_holds_nothing_nnunet_would_run():
    """nnU-Net's look-up imports every module of a folder that nnUNet_extTrainer names, perhaps this one."""
    assert [path.name for path in ROOT.glob("*.py")] == []
