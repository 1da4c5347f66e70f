"""What is installed by ``pip install .`` is what lies in the checkout."""

import configparser
import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PACKAGES = SETUP["options"]["packages"].split()
DATA = {name: patterns.replace(",", " ").split() for name, patterns in SETUP["options.package_data"].items()}


def folders():
    """Every folder with Python files, by the name of its package."""
    found = {"nnunet_fair.dataset_conversion": ROOT / "dataset_conversion", "nnunet_fair.plans": ROOT / "plans"}
    for path in (ROOT / "nnunet_fair").rglob("*.py"):
        found[".".join(path.parent.relative_to(ROOT).parts)] = path.parent
    return found


def test_every_package_is_installed():
    assert sorted(PACKAGES) == sorted(folders())


@pytest.mark.parametrize(("package", "folder"), folders().items())
def test_every_other_file_of_a_package_is_installed(package, folder):
    others = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    inside = {
        path for other in folders().values() if other != folder and folder in other.parents for path in other.rglob("*")
    }
    names = {path.relative_to(folder).as_posix() for path in others - inside}
    assert {n for n in names if not any(fnmatch.fnmatch(n, pattern) for pattern in DATA.get(package, []))} == set()
