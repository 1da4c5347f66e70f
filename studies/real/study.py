"""Which runs a study consists of, and doing them: resumable, several at a time, here or on another machine."""

from __future__ import annotations

import fcntl
import os
import sys
import traceback
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tqdm import tqdm

from studies.real.dataset import N_FOLDS, Dataset
from studies.real.methods import MAIN, METHODS, STOCK
from studies.real.results import check_settings, has_result
from studies.real.runs import FOLDS, SHIFT, Run, execute
from studies.real.scale import Scale

SEEDS = (0, 1, 2)
PARTS = (FOLDS, SHIFT)
_BUSY = 75


def study_runs(parts: Sequence[str], methods: Sequence[str], seeds: Sequence[int], folds: Sequence[int]) -> list[Run]:
    """Every run, seed by seed and fold by fold, so that a study stopped early has whole comparisons.

    Args:
        parts: of ``PARTS``; the external shift is run with stock and the tested methods only.
        methods: keys of ``METHODS``.
        seeds: seeds.
        folds: folds of the cross-validation.
    """
    runs = []
    for seed in seeds:
        if FOLDS in parts:
            runs += [Run(FOLDS, method, seed, fold) for fold in folds for method in methods]
        if SHIFT in parts:
            shifted = [name for name in methods if name == STOCK or METHODS[name].tested]
            runs += [Run(SHIFT, method, seed, 0) for method in shifted]
    return runs


DEFAULT_METHODS = tuple(method.name for method in MAIN)
ALL_FOLDS = tuple(range(N_FOLDS))


def conduct(runs: Sequence[Run], dataset: Dataset, scale: Scale, results: Path, n_processes: int) -> list[str]:
    """Do every run that has no result yet.

    Args:
        runs: the study.
        dataset: the prepared cohort.
        scale: how long.
        results: folder of the cohort's results.
        n_processes: trainings at a time, one thread each on the CPU.

    Returns:
        A sentence for each run that has no result in the end.

    Raises:
        UserError: the results folder holds results of other settings or other images.
    """
    check_settings(results, scale.settings(), dataset.source())
    todo = [run for run in runs if not has_result(results, run.name)]
    print(f"{dataset.cohort.title}: {len(runs)} runs, {len(runs) - len(todo)} of them done before", flush=True)
    if scale.device == "cpu":
        os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("nnUNet_def_n_proc", "1")
    failed = []
    with ThreadPool(n_processes) as pool, tqdm(total=len(todo), unit="run") as bar:  # each waits for a process
        attempts = pool.imap_unordered(lambda run: _attempt(run, dataset, scale, results), todo)
        for failure in attempts:
            bar.update()
            if failure:
                tqdm.write(failure)
                failed.append(failure)
    return failed


def _attempt(run: Run, dataset: Dataset, scale: Scale, results: Path) -> str:
    """Do one run in a process of its own; returns why it has no result, or nothing."""
    process = get_context("spawn").Process(target=_do, args=(run, dataset, scale, results))
    process.start()
    process.join()
    if process.exitcode == _BUSY:
        return f"{run.name} is being trained by another process"
    if process.exitcode != 0 or not has_result(results, run.name):
        return f"{run.name} failed; the end of {dataset.folder / 'runs' / run.name / 'log.txt'} says why"
    return ""


def _do(run: Run, dataset: Dataset, scale: Scale, results: Path) -> None:
    """Train unless another process does; a lock is gone when its process is, however it ended."""
    folder = dataset.folder / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{run.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(_BUSY)
        if has_result(results, run.name):
            return
        try:
            execute(run, dataset, scale, results)
        except Exception:
            (folder / run.name).mkdir(exist_ok=True)
            with (folder / run.name / "log.txt").open("a") as log:
                traceback.print_exc(file=log)
            sys.exit(1)
