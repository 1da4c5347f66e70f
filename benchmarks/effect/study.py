"""Which runs a study consists of, and doing them: resumable, several at a time."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from benchmarks.effect.cohorts import START, Cohort, prepare
from benchmarks.effect.kept import keep
from benchmarks.effect.methods import CHAPTERS, METHODS, STOCK
from benchmarks.effect.runs import CASES, Run, execute, train_start
from benchmarks.effect.scale import Scale

CONTROLS = ("balanced", "noise")


@dataclass(frozen=True)
class Part:
    """A block of runs: every combination.

    Attributes:
        kinds: cohorts.
        missing: how metadata goes missing.
        methods: keys of ``METHODS``.
        n_seeds: seeds 0 to n_seeds − 1.
    """

    kinds: tuple[str, ...]
    missing: tuple[str, ...]
    methods: tuple[str, ...]
    n_seeds: int

    def runs(self) -> Iterator[Run]:
        """The block's runs, seed by seed."""
        for seed in range(self.n_seeds):
            for kind in self.kinds:
                for missing in self.missing:
                    for method in self.methods:
                        yield Run(kind, missing, method, seed)


LEARNABLE = ("distinct", "intersection")
_COMPLETE = ("none",)
_INCOMPLETE = ("random", "not-at-random")
QUICK = (Part(LEARNABLE, _COMPLETE, (STOCK, "sampling", "oracle"), 5),)
STUDY = (
    *QUICK,
    Part(CONTROLS, _COMPLETE, (STOCK, "sampling", "sampling_t0", "loss", "loss_t0"), 10),
    Part(LEARNABLE, _COMPLETE, CHAPTERS["methods"], 5),
    Part(LEARNABLE, _INCOMPLETE, ("sampling", "sampling_t0"), 5),
    Part(("small",), _COMPLETE, (STOCK, "sampling", "sampling_t0", "oracle"), 5),
    Part(("intersection_fresh",), _COMPLETE, (STOCK, "sampling", "sampling_t0", "loss", "loss_t0"), 5),
    Part(LEARNABLE, _COMPLETE, CHAPTERS["loss"], 5),
    Part(LEARNABLE, _COMPLETE, CHAPTERS["settings"], 5),
    Part(("distinct",), _COMPLETE, ("stock_long", *CHAPTERS["long"]), 3),
    Part(("distinct",), _COMPLETE, ("stock_accumulated", *CHAPTERS["accumulated"]), 5),
)
SCRATCH = (
    Part(LEARNABLE, _COMPLETE, (STOCK, "sampling", "loss_and_sampling", "loss", "oracle"), 10),
    Part(("distinct",), _COMPLETE, CHAPTERS["steadiness"], 10),
    Part(LEARNABLE, _COMPLETE, ("stock_momentum", *CHAPTERS["momentum"]), 5),
)
SMALL_LESIONS = (
    Part(("small",), _COMPLETE, (STOCK, *CHAPTERS["small_lesions"]), 5),
    Part(("small",), _COMPLETE, ("stock_momentum", *CHAPTERS["small_lesions_momentum"]), 5),
)
FULL = (
    Part(LEARNABLE, _COMPLETE, (STOCK, "sampling", "oracle", "loss"), 5),
    Part(CONTROLS, _COMPLETE, (STOCK, "sampling"), 5),
)


def all_runs(parts: Sequence[Part]) -> list[Run]:
    """Every run of a study once, in order; what does not use the metadata runs with it complete only."""
    runs = dict.fromkeys(run for part in parts for run in part.runs())
    return [run for run in runs if run.missing == "none" or METHODS[run.method].uses_metadata]


def conduct(parts: Sequence[Part], scale: Scale, work: Path, n_processes: int, kept: Path | None = None) -> list[str]:
    """Prepare the cohorts and do every run that is not done yet.

    Args:
        parts: the study.
        scale: its size.
        work: the study's folder; what is complete in it is kept.
        n_processes: trainings at a time, one thread each on the CPU.
        kept: folder where finished runs are put in small.

    Returns:
        A sentence for each run that failed; the others are done.
    """
    work.mkdir(parents=True, exist_ok=True)
    runs = all_runs(parts)
    cohorts: dict[str, Cohort] = {}
    for kind in dict.fromkeys([*[START] * (scale.start_epochs > 0), *(run.kind for run in runs)]):
        print(f"cohort {kind}", flush=True)
        cohorts[kind] = prepare(work, kind, scale, max(2, n_processes))
    os.environ["OMP_NUM_THREADS"] = "1" if scale.device == "cpu" else "8"
    processes = get_context("spawn")
    if scale.start_epochs > 0:
        print("the network every training starts from", flush=True)
        with processes.Pool(1) as pool:  # a training changes its process's environment
            pool.apply(train_start, (cohorts[START], scale, work))
    todo = [(run, cohorts[run.kind], scale, work, kept) for run in runs if not (run.folder(work) / CASES).is_file()]
    print(f"{len(runs)} runs, {len(runs) - len(todo)} of them done before", flush=True)
    failed = []
    with processes.Pool(n_processes) as pool, tqdm(total=len(todo), unit="run") as bar:
        for failure in pool.imap_unordered(_attempt, todo):
            bar.update()
            if failure:
                tqdm.write(failure)
                failed.append(failure)
    return failed


def _attempt(arguments: tuple[Run, Cohort, Scale, Path, Path | None]) -> str:
    """Do one run; returns why it failed, or nothing, so that one failure does not end the study."""
    run, cohort, scale, work, kept = arguments
    try:
        execute(run, cohort, scale, work)
        if kept is not None:
            keep(run, work, kept)
    except Exception:
        return f"{run} failed:\n{traceback.format_exc()}"
    return ""


def finished(work: Path, parts: Sequence[Part]) -> list[Run]:
    """The study's runs that have scores."""
    return [run for run in all_runs(parts) if (run.folder(work) / CASES).is_file()]
