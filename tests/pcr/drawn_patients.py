"""Drawn patients: a table with the outcome, and features of which the first tells something of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def draw_patients(n: int = 96, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patient table and features of n patients of two centres."""
    rng = np.random.default_rng(seed)
    case_ids = [f"P{number:03d}" for number in range(n)]
    pcr = (rng.random(n) < 0.4).astype(int)
    patients = pd.DataFrame(
        {
            "case_id": case_ids,
            "pcr": pcr,
            "dataset": np.where(np.arange(n) % 2 == 0, "east", "west"),
            "age": rng.integers(30, 75, n),
            "subtype": rng.choice(["luminal", "basal", "her2"], n),
        }
    )
    features = pd.DataFrame(
        {
            "case_id": case_ids,
            "masks": "out-of-fold",
            "empty_mask": 0,
            "signal": rng.normal(size=n) + 1.5 * pcr,
            "noise": rng.normal(size=n),
            "gappy": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "gappy_too": np.nan,
        }
    )
    features["gappy_too"] = features["gappy"] * 2 + rng.normal(size=n)
    return patients, features


def write_tables(folder: Path, patients: pd.DataFrame, features: pd.DataFrame) -> tuple[Path, Path]:
    """Write both tables."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "patients.csv", folder / "features.csv"
    for frame, path in zip((patients, features), paths, strict=True):
        frame.to_csv(path, index=False)
    return paths
