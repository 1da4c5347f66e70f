"""The results of a cohort: one table and one note a run, without anything that names or describes a patient.

A run whose result is there is not run again, on whatever machine: the folder can be committed and continued elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.effect.kept import check_same_study
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.training.records import HISTORY_FILE

COLUMNS = ("patient", "image", "dsc", "norm_hd")


def patient_numbers(patients: Sequence[str]) -> pd.Series:
    """A number from 1 on for each patient, in an order that has nothing to do with the patient.

    The order is that of a hash of the ID: the same wherever the data are, and it tells neither centre nor date.

    Args:
        patients: IDs, repeated or not.

    Returns:
        Numbers indexed by ID.
    """
    order = sorted(set(patients), key=lambda name: hashlib.sha256(f"nnunet-fair study {name}".encode()).hexdigest())
    return pd.Series(range(1, len(order) + 1), index=order)


def numbered(cases: pd.DataFrame, patient_of: pd.Series) -> pd.DataFrame:
    """A run's scores by number.

    Args:
        cases: table indexed by case ID with ``dsc`` and ``norm_hd``.
        patient_of: the patient of each case of the whole cohort.

    Returns:
        Table with ``patient``, ``image`` (from 1, the patient's images in the order of their IDs), ``dsc`` and
        ``norm_hd``, in this order of numbers.
    """
    numbers = patient_numbers(list(patient_of))
    ordered = patient_of.sort_index()
    image = ordered.groupby(ordered).cumcount() + 1
    frame = pd.DataFrame(
        {
            "patient": patient_of.loc[cases.index].map(numbers),
            "image": image.loc[cases.index],
            "dsc": cases["dsc"].astype(float).round(4),
            "norm_hd": cases["norm_hd"].astype(float).round(4),
        }
    )
    return frame.sort_values(["patient", "image"]).reset_index(drop=True)


def write_result(results: Path, name: str, cases: pd.DataFrame, noted: Mapping[str, object]) -> None:
    """Write ``NAME.json`` and then ``NAME.csv``, whose presence says that the run is done."""
    results.mkdir(parents=True, exist_ok=True)
    write_json(dict(noted), results / f"{name}.json")
    write_csv(cases[list(COLUMNS)], results / f"{name}.csv")


def has_result(results: Path, name: str) -> bool:
    """Whether a run is done."""
    return (results / f"{name}.csv").is_file()


def check_settings(results: Path, settings: Mapping[str, object], source: str) -> None:
    """Refuse results of other settings or other images.

    Raises:
        UserError: the folder holds such a result; the message says what differs.
    """
    wanted = json.loads(json.dumps({**settings, "source": source}))
    for path in sorted(results.glob("*-fold*.json")):
        noted = json.loads(path.read_text())
        check_same_study({**noted["settings"], "source": noted["source"]}, wanted, path)


def patient_scores(results: Path, names: Sequence[str]) -> pd.DataFrame:
    """The patients' scores over the runs of one seed: the mean of a patient's images.

    Args:
        results: the cohort's results.
        names: the runs; no patient is in two of them.

    Returns:
        Table indexed by patient number, as text, with ``dsc`` and ``norm_hd``.
    """
    frame = pd.concat([pd.read_csv(results / f"{name}.csv") for name in names])
    if frame.duplicated(["patient", "image"]).any():
        raise UserError(f"an image is scored by two of the runs {', '.join(names)}; they are of different folds")
    means = frame.groupby("patient")[["dsc", "norm_hd"]].mean()
    return means.set_axis(means.index.map(str)).rename_axis("case_id")


def late_evidence(fold: Path, weights: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """What the second half of a training says of its subgroups and weights.

    Args:
        fold: the training's folder, with ``fair_history.csv`` where it looked for subgroups.
        weights: each training case's weight, by epoch.

    Returns:
        The mean probability of the most probable subgroup, its commonest name and in which share of the refreshes that
        is on top; the mean standard deviation and the mean largest of the weights.
    """
    late = pd.DataFrame(weights).to_numpy()[len(weights) // 2 :]
    found: dict[str, object] = {"weight_spread": None, "weight_largest": None}
    if late.size:
        found = {"weight_spread": round(float(late.std(axis=1).mean()), 4)}
        found["weight_largest"] = round(float(late.max(axis=1).mean()), 3)
    path = fold / HISTORY_FILE
    history = pd.read_csv(path) if path.is_file() else pd.DataFrame({"epoch": [], "probability": []})
    rows = history[history["epoch"] >= history["epoch"].median()].dropna(subset=["probability"])
    if rows.empty:
        return {**found, "top_subgroup": None, "top_probability": None, "top_share": None}
    top = rows.loc[rows.groupby("epoch")["probability"].idxmax()]
    commonest = top["subgroup"].value_counts(normalize=True)
    return {
        **found,
        "top_subgroup": str(commonest.index[0]),
        "top_probability": round(float(np.mean(top["probability"])), 4),
        "top_share": round(float(commonest.iloc[0]), 3),
    }
