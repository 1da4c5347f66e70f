"""What the finished runs say: means over the seeds with Student's intervals, and the differences decided on before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.effect.differences import t_interval
from benchmarks.joint.runs import ARMS, FEATURES, HEAD
from nnunet_fair.evaluation.scores.pcr_discrimination import auc

METHODS = (HEAD, FEATURES)
DSC = "dsc"
DIFFERENCES = (
    (("joint", DSC), ("stock", DSC)),
    (("joint", HEAD), ("stock", FEATURES)),
    (("joint", FEATURES), ("stock", FEATURES)),
)
"""Decided before the runs: the first of segmentation and the second of the outcome are the study's two questions."""


def run_scores(rows: pd.DataFrame) -> dict[str, float]:
    """The scores of one run.

    Args:
        rows: one row a case, as ``runs.execute`` writes them.

    Returns:
        Mean DSC over all cases (an empty mask counts 0), how many cases have a DSC of 0 (``missed``), and of each
        method the mean of the two folds' AUCs: a fold's cases were all predicted by one model. A case without a
        probability gets its fold's mean one.
    """
    scores = {DSC: float(rows["dsc"].mean()), "missed": float((rows["dsc"] == 0).sum())}
    for method in METHODS:
        if method in rows:
            scores[method] = float(np.mean([_auc(part, method) for _, part in rows.groupby("fold")]))
    if HEAD in rows:
        decided, truth = rows[f"{HEAD} decision"].fillna(0) == 1, rows["pcr"] == 1
        scores["balanced accuracy"] = float((decided[truth].mean() + 1 - decided[~truth].mean()) / 2)
        scores["mean probability"] = float(rows[HEAD].mean())
        scores["without probability"] = float(rows[HEAD].isna().sum())
    return scores


def _auc(rows: pd.DataFrame, method: str) -> float:
    value = rows[method].fillna(rows[method].mean())
    return auc((rows["pcr"] == 1).to_numpy(), value.to_numpy())


def all_scores(results: Path) -> pd.DataFrame:
    """One row a run with its ``arm``, ``seed`` and scores."""
    found = []
    for path in sorted(results.glob("*_*.csv")):
        arm, seed = path.stem.rsplit("_", 1)
        if arm in ARMS:
            found.append({"arm": arm, "seed": int(seed), **run_scores(pd.read_csv(path))})
    return pd.DataFrame(found)


def with_interval(values: pd.Series, *, sign: str = "") -> str:
    """Mean and 95 % interval over the seeds."""
    low, high = t_interval(values)
    return f"{values.mean():{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def summarise(results: Path) -> Iterator[str]:
    """The tables of docs/joint.md.

    Args:
        results: folder of the finished runs' tables.
    """
    scores = all_scores(results)
    if scores.empty:
        yield "no run is done yet"
        return
    yield "| seed | trainer | DSC | lesions missed | " + " | ".join(f"AUC, {method}" for method in METHODS) + " |"
    yield "|" + "---|" * (4 + len(METHODS))
    for _, row in scores.sort_values(["seed", "arm"], ascending=[True, False]).iterrows():
        cells = [f"{row[method]:.3f}" if pd.notna(row.get(method)) else "" for method in METHODS]
        yield (f"| {row['seed']} | {row['arm']} | {row[DSC]:.3f} | {row['missed']:.0f} | " + " | ".join(cells) + " |")
    yield ""
    by_seed = scores.set_index(["arm", "seed"])
    done = set.intersection(*(set(scores.loc[scores["arm"] == arm, "seed"]) for arm in ARMS))
    yield f"mean and 95 % interval over {len(done)} seeds"
    for arm in ARMS:
        for name in (DSC, *METHODS, "balanced accuracy", "mean probability", "without probability"):
            values = by_seed[name].reindex([(arm, seed) for seed in sorted(done)]).dropna()
            if len(values):
                yield f"- {arm}, {name}: {with_interval(values)}"
    yield "differences"
    for (arm, name), (other_arm, other) in DIFFERENCES:
        own, others = (
            by_seed[what].reindex([(which, seed) for seed in sorted(done)]).droplevel("arm")
            for which, what in ((arm, name), (other_arm, other))
        )
        yield f"- {arm}, {name} − {other_arm}, {other}: {with_interval(own - others, sign='+')}"
