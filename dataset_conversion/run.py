"""Running many cases: over processes, with a journal and a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool

import SimpleITK as sitk
from tqdm import tqdm

from nnunet_fair.dataset_conversion import journal
from nnunet_fair.dataset_conversion.case import CaseResult, CaseTask, case_outputs, convert_case, skipped, sources
from nnunet_fair.dataset_conversion.findings import CaseProblem
from nnunet_fair.errors import UserError
from nnunet_fair.processes import worker_pool


def run_tasks(tasks: Sequence[CaseTask], n_processes: int) -> tuple[list[CaseResult], int]:
    """Convert the cases that an earlier run has not.

    Args:
        tasks: one a case, all into one folder, which keeps the journal.
        n_processes: processes that read and write; 1 works in this one.

    Returns:
        The result of every case, and how many of them an earlier run had.

    Raises:
        UserError: an output cannot be written or a process died; what is done so far is kept.
    """
    if not tasks:
        return [], 0
    folder = tasks[0].folder
    done = journal.read_journal(folder)
    results: list[CaseResult] = []
    keys: dict[str, str] = {}
    waiting: list[CaseTask] = []
    for task in tasks:
        try:
            keys[task.files.case_id] = key = journal.task_key(task, sources(task))
        except CaseProblem as problem:
            results.append(skipped(task.files.case_id, problem.finding, split=task.split))
            continue
        known_key, known = done.get(task.files.case_id, (None, None))
        if known is not None and known_key == key:
            as_it_was = not known.converted or journal.outputs_exist(case_outputs(task))
        else:
            as_it_was = False
        if known is not None and as_it_was:
            results.append(known)
        else:
            waiting.append(task)
    n_resumed = len(keys) - len(waiting)
    with journal.open_journal(folder) as stream:
        bar = tqdm(convert_tasks(waiting, n_processes), total=len(waiting), desc="Converting", unit="case")
        try:
            for result in bar:
                journal.append(stream, keys[result.case_id], result)
                results.append(result)
        except BrokenProcessPool as error:
            raise UserError(
                "a process died, probably for lack of memory; the cases done so far are kept: run the command again "
                "with fewer `n_processes` to continue"
            ) from error
        except OSError as error:
            raise UserError(
                f"a file could not be written ({error}); the cases done so far are kept: mend it and run the command "
                "again to continue"
            ) from error
    return results, n_resumed


def convert_tasks(tasks: Sequence[CaseTask], n_processes: int) -> Iterator[CaseResult]:
    """Convert cases over processes.

    Args:
        tasks: one a case.
        n_processes: processes that read and write; 1 works in this one.

    Yields:
        The results as they come, in any order.

    Raises:
        BrokenProcessPool: a process died.
    """
    if n_processes <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield convert_case(task)
        return
    # Forking a process in which ITK has started threads can hang, hence spawn.
    with worker_pool(min(n_processes, len(tasks)), prepare=_prepare_worker) as pool:
        for future in as_completed([pool.submit(convert_case, task) for task in tasks]):
            yield future.result()


def _prepare_worker() -> None:
    """One ITK thread a process, as the processes are the parallelism."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
