"""What a wheel of the project installs."""

import ast
import itertools
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


@pytest.mark.slow
def test_nothing_but_the_package_lands_in_site_packages(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nnunet_fair"}


@pytest.mark.slow
def test_every_module_and_data_file_is_in_the_wheel(wheel):
    places = {"nnunet_fair": "nnunet_fair", "dataset_conversion": "nnunet_fair/dataset_conversion"}
    expected = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in {**places, "plans": "nnunet_fair/plans"}.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".json", ".html", ".css", ".js", ".gz", ".txt") and "__pycache__" not in path.parts
    }
    assert expected <= set(wheel)
    assert any(name.endswith("presets.py") for name in expected) and any(name.endswith(".css") for name in expected)


def test_the_root_holds_nothing_nnunet_would_run():
    """nnU-Net's look-up imports every module of a folder that nnUNet_extTrainer names, perhaps this one."""
    assert [path.name for path in ROOT.glob("*.py")] == []


IMPORTED_AS = {
    "PIL": "pillow",
    "SimpleITK": "simpleitk",
    "cc3d": "connected-components-3d",
    "iterstrat": "iterative-stratification",
    "sklearn": "scikit-learn",
}
"""Distributions that are imported under another name than their own."""
NOT_IMPORTED = {
    "acvl-utils": "nnU-Net's own crops and padding; the version nnU-Net 2.8 works with",
    "openpyxl": "pandas reads and writes .xlsx with it",
}
"""Declared although no module of the package imports it, and why."""
NOT_DECLARED = {"torchvision": "the doctor tries it: nnU-Net's look-up of trainers needs the one that matches torch"}
"""Imported although it isn't declared, and why."""

FOR_DEVELOPERS = {"test", "docs", "mutants"}
"""Extras that no module of the package needs."""


def imported_distributions() -> set[str]:
    """The distributions that any module of the package imports, at the top or inside a function."""
    names = set()
    for folder in ("nnunet_fair", "dataset_conversion", "plans"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module.split(".")[0])
    names -= sys.stdlib_module_names | {"nnunet_fair", "_typeshed"}  # the last exists for type checkers only
    return {canonicalize_name(IMPORTED_AS.get(name, name)) for name in names}


def declared_distributions() -> set[str]:
    """What pyproject.toml declares for users: the dependencies, and the extras that are not for developers."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for_users = [extras[name] for name in extras.keys() - FOR_DEVELOPERS]
    texts = [*project["dependencies"], *itertools.chain.from_iterable(for_users)]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def test_every_import_is_declared_and_every_declaration_is_used():
    imported, declared = imported_distributions(), declared_distributions()
    assert imported - NOT_DECLARED.keys() <= declared
    assert declared - NOT_IMPORTED.keys() <= imported
    assert {"torch", "scikit-learn", "packaging"} <= imported
