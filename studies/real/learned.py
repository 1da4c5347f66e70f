"""Does what a training learns of the worst group reach patients it never saw?

Trains nothing: the running scores at the end of each training, of the cases it trained on, are held against the scores
of its validation fold. Drawing cases more often can lift the first without the second.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nnunet_fair.files import write_csv
from studies.real.cohorts import Cohort
from studies.real.dataset import Dataset
from studies.real.methods import METHODS, PATIENTS, STOCK
from studies.real.results import has_result, patient_numbers, patient_scores
from studies.real.runs import FOLDS, SCORES, WEIGHTS

LEARNED_RUNS = "learned_runs.csv"
COLUMNS = ["run", "group", "others"]


def record_learned(dataset: Dataset, results: Path) -> pd.DataFrame:
    """Note the running scores of each finished run whose folder is there: the worst group's, and the others'.

    Args:
        dataset: the prepared cohort, with its runs.
        results: folder of the cohort's results; ``learned_runs.csv`` there keeps the rows of runs whose folder is gone.

    Returns:
        One row a run: ``run``, ``group`` and ``others``, the mean running score of the last epoch over the training
        cases of the cohort's worst group and over all others.
    """
    attribute, worst = dataset.cohort.worst
    member = dataset.cases()[attribute] == worst
    rows = []
    for path in sorted((dataset.folder / "runs").glob(f"{FOLDS}-*/{SCORES}")):
        if has_result(results, path.parent.name):
            train = list(pd.read_csv(path.parent / WEIGHTS, nrows=0).columns[1:])
            last, inside = pd.read_csv(path)[train].iloc[-1], member.loc[train].to_numpy()
            group, others = (float(last[chosen].mean()) for chosen in (inside, ~inside))
            rows.append({"run": path.parent.name, "group": round(group, 4), "others": round(others, 4)})
    found = pd.DataFrame(rows, columns=COLUMNS)
    noted = results / LEARNED_RUNS
    if noted.is_file():
        kept = pd.read_csv(noted)
        found = pd.concat([kept[~kept["run"].isin(found["run"])], found]).sort_values("run", ignore_index=True)
    if len(found):
        write_csv(found, noted)
    return found


def learned_summary(noted: pd.DataFrame, patients: pd.DataFrame, cohort: Cohort, results: Path) -> pd.DataFrame:
    """Every method against stock nnU-Net, run by run: the same seed and fold, so the same patients.

    Args:
        noted: from :func:`record_learned`.
        patients: the groups of each patient, indexed by patient ID.
        cohort: which.
        results: folder of the cohort's results.

    Returns:
        One row a method with ``n_runs``; of the worst group and of the others, ``trained`` (training cases, running
        score) and ``unseen`` (validation patients, DSC): stock's mean, the mean change, its standard error over runs.
    """
    attribute, worst = cohort.worst
    numbers = patient_numbers(list(patients.index))
    inside = (patients[attribute] == worst).set_axis(patients.index.map(numbers).map(str))
    by_run = noted.set_index("run")
    changes = []
    for run in by_run.index:
        method, rest = run.removeprefix(f"{FOLDS}-").split("-", 1)
        stock = f"{FOLDS}-{STOCK}-{rest}"
        if method == STOCK or METHODS[method].question != PATIENTS or stock not in by_run.index:
            continue
        row = {"method": method}
        for part in ("group", "others"):
            row |= {f"{part}_trained_stock": by_run.loc[stock, part]}
            row |= {f"{part}_trained": by_run.loc[run, part] - by_run.loc[stock, part]}
        before, after = (patient_scores(results, [name])["dsc"] for name in (stock, run))
        member = inside.loc[before.index].to_numpy()
        for part, chosen in (("group", member), ("others", ~member)):
            row |= {f"{part}_unseen_stock": before[chosen].mean()}
            row |= {f"{part}_unseen": (after.loc[before.index] - before)[chosen].mean()}
        changes.append(row)
    if not changes:
        return pd.DataFrame()
    grouped = pd.DataFrame(changes).groupby("method", sort=False)
    errors = grouped.sem(numeric_only=True).filter(regex="(trained|unseen)$").add_suffix("_error")
    return pd.concat([grouped.size().rename("n_runs"), grouped.mean(numeric_only=True), errors], axis=1).reset_index()
