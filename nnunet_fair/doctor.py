"""``nnunet_fair doctor``: can training work here, and with this dataset? One line a check, each with its remedy."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from nnunet_fair.environment import EXT_TRAINERS_FOLDER
from nnunet_fair.errors import UserError
from nnunet_fair.paths import EXT_TRAINER, PREPROCESSED, RAW, RESULTS

if TYPE_CHECKING:
    import pandas as pd

_T = TypeVar("_T")

OK, WARNING, FAILED = "ok", "warning", "FAILED"
MIN_PYTHON = (3, 10)
DISTRIBUTION = "nnunet-fair"
TRAINER = "nnUNetTrainerFairDiv"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Attributes:
        status: ``ok``, ``warning`` (training works) or ``FAILED`` (training could not work).
        subject: what was checked.
        message: what was found, and what to do about it.
    """

    status: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.status:<8} {self.subject}: {self.message}"


def examine(dataset: str | None = None) -> Iterator[Finding]:
    """Check the installation, the environment and, if named, a dataset.

    Args:
        dataset: number or name of an nnU-Net dataset.

    Yields:
        The findings, one a check; every check runs whatever the others found.
    """
    yield _python()
    yield from _requirements()
    yield from _torch()
    for variable in (RAW, PREPROCESSED, RESULTS):
        yield _folder(variable)
    yield _ext_trainer()
    yield _trainer()
    if dataset is not None:
        yield from _dataset(dataset)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        return Finding(FAILED, "Python", f"{version}; nnunet-fair needs 3.10 or newer, make an environment with it")
    return Finding(OK, "Python", version)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements() -> Iterator[Finding]:
    """Every package the plugin declares that it needs, in the version it declares."""
    try:
        declared = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(FAILED, DISTRIBUTION, "not installed; pip install . in a clone of the repository")
        return
    for text in declared:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _requirement(requirement)


def _requirement(requirement: Requirement) -> Finding:
    name, wanted = requirement.name, requirement.specifier
    remedy = f"pip install '{name}{wanted}'"
    found = _version(name)
    if found is None:
        return Finding(FAILED, name, f"not installed; {remedy}")
    try:
        version = Version(found)
    except InvalidVersion:
        return Finding(FAILED, name, f"its version {found!r} is no version number; {remedy}")
    if not wanted.contains(version, prereleases=True):
        return Finding(FAILED, name, f"{found}, but {wanted} is needed; {remedy}")
    return Finding(OK, name, found)


def _torch() -> Iterator[Finding]:
    if _version("torch") is None:
        return  # named among the requirements
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding(FAILED, "torch", f"cannot be imported ({error}); pip install torch torchvision, both together")
        return
    yield _torchvision(torch.__version__)
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        yield Finding(OK, "CUDA", f"{torch.version.cuda}, {names}")
    else:
        yield Finding(
            WARNING, "CUDA", "no GPU found; training works on the CPU (nnUNetv2_train … -device cpu) but takes weeks"
        )


def _torchvision(torch_version: str) -> Finding:
    """nnU-Net's look-up of trainers imports timm and so torchvision, which a torch of another build breaks."""
    version = _version("torchvision")
    remedy = (
        "nnU-Net's look-up of trainers needs the pair: uninstall both (pip uninstall torch torchvision), then install "
        "them in one command from one source (pip install torch torchvision)"
    )
    if version is None:
        return Finding(FAILED, "torchvision", f"not installed; {remedy}")
    try:
        import torchvision
    except (RuntimeError, ImportError, OSError, AttributeError) as error:
        first_line = str(error).splitlines()[0]
        return Finding(
            FAILED,
            "torchvision",
            f"{version} does not match the build of torch {torch_version} ({first_line}); {remedy}",
        )
    return Finding(OK, "torchvision", f"{torchvision.__version__}, matches torch")


def _folder(variable: str) -> Finding:
    value = os.environ.get(variable)
    if not value:
        return Finding(FAILED, variable, f"not set; export {variable}=/a/folder")
    folder = Path(value)
    if not folder.is_dir():
        return Finding(FAILED, variable, f"{folder} is no folder; make it (mkdir -p) or correct the variable")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding(OK, variable, f"{folder}, writable")
    except OSError as error:
        # a read-only raw folder is enough for training
        status = WARNING if variable == RAW else FAILED
        return Finding(status, variable, f"{folder} is not writable ({error.strerror}); correct its permissions")


def _ext_trainer() -> Finding:
    value = os.environ.get(EXT_TRAINER, "")
    folders = [Path(folder) for folder in value.split(os.pathsep) if folder.strip()]
    remedy = 'eval "$(nnunet_fair env)"'
    if EXT_TRAINERS_FOLDER.resolve() in [folder.resolve() for folder in folders]:
        return Finding(OK, EXT_TRAINER, value)
    package = EXT_TRAINERS_FOLDER.parent
    for folder in folders:
        if folder.resolve() in (package.resolve(), *package.resolve().parents):
            return Finding(
                FAILED,
                EXT_TRAINER,
                f"{folder} holds the whole package, and nnU-Net imports every module below the folder; take it out of "
                f"the variable, then {remedy}",
            )
    found = f"{value}, without the plugin's folder" if value else "not set"
    return Finding(FAILED, EXT_TRAINER, f"{found}; {remedy}")


def _trainer() -> Finding:
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

            found = recursive_find_trainer_class_by_name(TRAINER)
    except Exception as error:  # whatever any module on the search path raises ends nnU-Net's search
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "Could not find requested" in reason:
            reason = f"nnU-Net does not find {TRAINER}"
        return Finding(FAILED, "trainer", f"{reason}; mend the lines above, then run nnunet_fair doctor again")
    return Finding(OK, "trainer", f"nnU-Net finds {found.__name__}")


def _dataset(dataset: str) -> Iterator[Finding]:
    """Whether the dataset's metadata covers its cases, and whether its plans' settings are valid."""
    from nnunet_fair.metadata.dataset_cases import find_cases
    from nnunet_fair.metadata.fair_cases import find_fair_cases, read_fair_cases
    from nnunet_fair.paths import dataset_name, preprocessed_folder

    name = _try(lambda: dataset_name(dataset))
    if isinstance(name, UserError):
        yield Finding(FAILED, "dataset", str(name))
        return
    cases = _try(lambda: find_cases(name).training)
    metadata = _try(lambda: (path := find_fair_cases(name), read_fair_cases(path)))
    if isinstance(cases, UserError):
        yield Finding(FAILED, name, str(cases))
    elif isinstance(metadata, UserError):
        yield Finding(FAILED, f"{name} metadata", str(metadata))
    else:
        yield _coverage(name, cases, *metadata)
    folder = _try(lambda: preprocessed_folder(name))
    plans = [] if isinstance(folder, UserError) else sorted(folder.glob("*.json"))
    yield from (finding for file in plans if (finding := _plans_settings(file)) is not None)


def _try(call: Callable[[], _T]) -> _T | UserError:
    try:
        return call()
    except UserError as error:
        return error


def _coverage(name: str, cases: Sequence[str], path: Path, table: pd.DataFrame) -> Finding:
    without = [case for case in cases if case not in table.index]
    attributes = ", ".join(f"{column} ({int(table[column].notna().sum())} known)" for column in table.columns)
    covered = f"{len(cases) - len(without)} of {len(cases)} training cases have a row in {path}"
    subject = f"{name} metadata"
    if len(without) == len(cases) or table.columns.empty:
        return Finding(FAILED, subject, f"{covered}; attributes: {attributes or 'none'}; run nnunet_fair metadata")
    if without:
        return Finding(
            WARNING, subject, f"{covered}; the others get the neutral weight, the first is {without[0]}; {attributes}"
        )
    return Finding(OK, subject, f"{covered}; {attributes}")


def _plans_settings(file: Path) -> Finding | None:
    from nnunet_fair.training.config import PLANS_SECTION, FairConfig

    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        return Finding(FAILED, file.name, f"is no valid JSON ({error}); write it again")
    if not isinstance(content, dict) or PLANS_SECTION not in content:
        return None
    config = _try(lambda: FairConfig.from_plans(content))
    if isinstance(config, UserError):
        return Finding(FAILED, file.name, str(config))
    return Finding(OK, file.name, f'settings in "{PLANS_SECTION}" are valid')
