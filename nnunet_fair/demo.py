"""``nnunet_fair demo``: the whole way on a synthetic cohort, through the commands a user types."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from nnunet_fair.environment import ext_trainer_value
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_text
from nnunet_fair.paths import EXT_TRAINER, PREPROCESSED, RAW, RESULTS
from nnunet_fair.processes import running_command

DATASET, DATASET_NAME = 900, "Dataset900_FAIRDEMO"
TRAINER, PLANS, CONFIGURATION = "nnUNetTrainerFairDiv_demo", "cpu_demo", "3d_fullres"
TRAINER_EPOCHS = 10
MARKER = ".nnunet_fair_demo"
_SHOWN_ON_FAILURE = 30


@dataclass(frozen=True)
class Stage:
    """One step of the demo.

    Attributes:
        title: what happens, for people.
        commands: the commands, each a tuple of words, run one after the other.
        counts: regular expression of an output line that is one step of progress; None where a stage is short.
        steps: how often that line comes in all.
    """

    title: str
    commands: tuple[tuple[str, ...], ...]
    counts: str | None = None
    steps: int = 0


def stages(folder: Path, folds: Sequence[int], n_cases: int, seed: int) -> list[Stage]:
    """The demo's stages in their order.

    Args:
        folder: the demo's folder, absolute.
        folds: cross-validation folds to train.
        n_cases: cases of the synthetic cohort.
        seed: its seed.
    """
    cohort, dataset = folder / "cohort", folder / "nnUNet_raw" / DATASET_NAME
    number, all_folds = str(DATASET), [str(fold) for fold in folds]
    model = ("-d", number, "-c", CONFIGURATION, "-tr", TRAINER, "-p", PLANS)
    return [
        Stage(
            "A synthetic cohort in the layout of MAMA-MIA, with a planted disparity",
            (
                (
                    *("nnunet_fair", "synth", "-o", str(cohort), "-n", str(n_cases), "--seed", str(seed)),
                    *("--missing", "random", "-np", "2"),
                ),
            ),
        ),
        Stage(
            "Conversion to an nnU-Net dataset, with case metadata, breast boxes and stratified folds",
            (("nnunet_fair", "convert", "-i", str(cohort), "-d", number, "--name", "FAIRDEMO", "-np", "2"),),
        ),
        Stage(
            "nnU-Net's own planning and preprocessing, with a small plan for CPUs",
            (
                ("nnUNetv2_extract_fingerprint", "-d", number, "-np", "2"),
                ("nnUNetv2_plan_experiment", "-d", number),
                ("nnunet_fair", "plans", "install", PLANS, "-d", number),
                ("nnUNetv2_preprocess", "-d", number, "-plans_name", PLANS, "-c", CONFIGURATION, "-np", "2"),
            ),
        ),
        Stage(
            f"Training of {len(folds)} folds that draws the disadvantaged subgroups more often",
            tuple(
                ("nnUNetv2_train", number, CONFIGURATION, fold, "-tr", TRAINER, "-p", PLANS, "-device", "cpu")
                for fold in all_folds
            ),
            counts=r"Epoch time:",
            steps=TRAINER_EPOCHS * len(folds),
        ),
        Stage(
            "Prediction of the test cases with all folds together",
            (
                (
                    *("nnUNetv2_predict", "-i", str(dataset / "imagesTs"), "-o", str(folder / "predicted")),
                    *(*model, "-f", *all_folds, "-device", "cpu", "-npp", "1", "-nps", "1"),
                ),
            ),
        ),
        Stage(
            "Post-processing: nothing outside the breast box, one lesion",
            (
                (
                    *("nnunet_fair", "postprocess", "-i", str(folder / "predicted"), "-o", str(folder / "masks")),
                    *("--boxes", str(dataset / "breast_boxes.json"), "--largest"),
                ),
            ),
        ),
        Stage(
            "Scores and report of the cross-validation",
            (
                (
                    *("nnunet_fair", "evaluate", "--crossval", *model, "-o", str(folder / "crossval"), "-np", "2"),
                    *("-i", str(dataset / "imagesTr"), "--channel", "1"),
                ),
            ),
        ),
        Stage(
            "Scores and report of the test cases",
            (
                (
                    *("nnunet_fair", "evaluate", "-ref", str(dataset / "labelsTs"), "-pred", str(folder / "masks")),
                    *("-m", str(dataset / "fair_cases.csv"), "-o", str(folder / "report"), "-np", "2"),
                    *("-i", str(dataset / "imagesTs"), "--channel", "1", "--model", str(_model_folder(folder))),
                ),
            ),
        ),
    ]


def _model_folder(folder: Path) -> Path:
    return folder / "nnUNet_results" / DATASET_NAME / f"{TRAINER}__{PLANS}__{CONFIGURATION}"


def demo_environment(folder: Path) -> dict[str, str]:
    """The environment variables of the demo's commands, also for someone who goes on by hand."""
    return {
        RAW: str(folder / "nnUNet_raw"),
        PREPROCESSED: str(folder / "nnUNet_preprocessed"),
        RESULTS: str(folder / "nnUNet_results"),
        EXT_TRAINER: ext_trainer_value(os.environ.get(EXT_TRAINER)),
        "nnUNet_n_proc_DA": "1",
        "nnUNet_def_n_proc": "2",  # nnU-Net starts 8 export processes otherwise, which two cores feel
    }


def run_demo(folder: str | os.PathLike, *, folds: Sequence[int], n_cases: int = 40, seed: int = 0) -> Path:
    """Run every stage.

    Args:
        folder: the demo's folder; a former demo in it is replaced, anything else is left alone.
        folds: cross-validation folds to train, of 0 to 4.
        n_cases: cases of the synthetic cohort.
        seed: its seed.

    Returns:
        The report.

    Raises:
        UserError: the folder holds something else, a command is not installed, or a stage failed.
    """
    folder = Path(folder).absolute()
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise UserError(f"{folder} is not empty and holds no former demo; choose another `folder`")
    if folder.exists():
        shutil.rmtree(folder)
    environment = demo_environment(folder)
    for variable in (RAW, PREPROCESSED, RESULTS):
        Path(environment[variable]).mkdir(parents=True)
    (folder / MARKER).touch()
    (folder / "logs").mkdir()
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    write_text("\n".join(lines) + "\n", folder / "environment.sh")
    print(f"Everything goes to {folder}; to run a command below by hand: source {folder / 'environment.sh'}")

    started = time.monotonic()
    todo = stages(folder, folds, n_cases, seed)
    for number, stage in enumerate(todo, start=1):
        print(f"\n[{number}/{len(todo)}] {stage.title}", flush=True)
        _run_stage(stage, folder / "logs" / f"{number}.log", environment)
    report = folder / "report" / "report.html"
    print(f"\nDone in {(time.monotonic() - started) / 60:.1f} minutes. The report: {report}")
    print(f"The cross-validation's report: {folder / 'crossval' / 'report.html'}")
    print(f"Scores, tables and masks: {report.parent}, {folder / 'masks'}; weights over time: {_model_folder(folder)}")
    return report


def _run_stage(stage: Stage, log: Path, environment: dict[str, str]) -> None:
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as file, _progress(stage) as progress:
        for command in stage.commands:
            tqdm.write("  $ " + shlex.join(command), file=sys.stdout)
            sys.stdout.flush()
            status = _run_command(command, file, environment, stage.counts, progress)
            if status != 0:
                last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-_SHOWN_ON_FAILURE:])
                raise UserError(f"the command above ended with status {status}; the end of {log}:\n{last}")
    print(f"  {time.monotonic() - started:.0f} s", flush=True)


def _progress(stage: Stage) -> tqdm:
    return tqdm(total=stage.steps, desc="  epochs", unit="epoch", disable=stage.counts is None, mininterval=5)


def _run_command(
    command: Sequence[str], log: TextIO, environment: dict[str, str], counts: str | None, progress: tqdm
) -> int:
    # the commands of this very installation, whatever PATH says
    program = Path(sys.executable).parent / command[0]
    if not program.exists():
        raise UserError(f"{command[0]} is not beside {sys.executable}; install nnunet-fair and nnunetv2 together")
    with running_command([str(program), *command[1:]], {**os.environ, **environment}) as process:
        for line in process.stdout or ():  # never None, for it is a pipe
            log.write(line)
            log.flush()
            if counts is not None and re.search(counts, line):
                progress.update()
    return process.returncode
