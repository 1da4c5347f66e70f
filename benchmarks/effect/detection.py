"""Does a search find the planted group? Every setting of it on the scores that stock trainings recorded.

    python -m benchmarks.effect.detection [-o effect_study] [--seeds 3]

Trains nothing: the running scores of the study's stock runs are given to the trainer's ``SubgroupFinder`` with each
setting, and the weights it would have given are told. ``ratio`` is the planted group's mean weight over the others'
(the oracle of the study has 4), ``spread`` the standard deviation of the others' weights over their mean: attention
that goes astray. In the cohort ``balanced`` nobody is disadvantaged, and they should be near 1 and 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.effect.cohorts import cohort_at
from benchmarks.effect.runs import SCORES, TRACE, Run
from benchmarks.effect.variants import exponential_weights, shrunk_lowest
from nnunet_fair.files import write_csv
from nnunet_fair.metadata.fair_cases import read_fair_cases
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import SubgroupFinder
from nnunet_fair.training.method import ON_LOSS, FairMethod

BASE: dict[str, Any] = {"min_t": 0.0}
IMPUTED = replace(ON_LOSS, missing_as_group=False)


def _lowest(shrinkage: float) -> FairMethod:
    return replace(IMPUTED, search=shrunk_lowest(shrinkage))


SETTINGS: dict[str, tuple[dict[str, Any], FairMethod]] = {
    "averaged (default)": ({}, ON_LOSS),
    "averaged, |t| ≥ 0": (BASE, ON_LOSS),
    "averaged, missing values imputed only": (BASE, IMPUTED),
    "averaged, strength 4": ({**BASE, "strength": 4.0}, ON_LOSS),
    "averaged, exponential rule, strength 8": (
        {**BASE, "strength": 8.0},
        replace(ON_LOSS, weigh=exponential_weights),
    ),
    "averaged, min_support 0.1": ({**BASE, "min_support": 0.1}, ON_LOSS),
    "averaged, min_support 0.02": ({**BASE, "min_support": 0.02}, replace(ON_LOSS, min_cases=3)),
    "averaged, max_items 2": ({**BASE, "max_items": 2}, ON_LOSS),
    "lowest": (BASE, _lowest(5.0)),
    "lowest, strength 4": ({**BASE, "strength": 4.0}, _lowest(5.0)),
    "lowest, shrinkage 0": (BASE, _lowest(0.0)),
    "lowest, shrinkage 20": (BASE, _lowest(20.0)),
    "lowest, |t| ≥ 2": ({"min_t": 2.0}, _lowest(5.0)),
}
"""All but the default, and the last, are varied from |t| ≥ 0."""
SOURCES = ("train", "val", "both")


def stock_runs(work: Path, n_seeds: int) -> Iterator[Run]:
    """The finished stock runs of a study's folder with the first seeds."""
    for path in sorted(work.glob(f"runs/*-none/stock/seed_*/{SCORES}")):
        run = Run(path.parents[2].name.removesuffix("-none"), "none", "stock", int(path.parent.name.split("_")[1]))
        if run.seed < n_seeds:
            yield run


def weights_of(run: Run, work: Path, missing: str, source: str, setting: str) -> Iterator[pd.Series]:
    """The weights of the training cases a setting gives at each epoch of the second half of a training."""
    scores = pd.read_csv(run.folder(work) / SCORES).set_index("epoch")
    train = list(pd.read_csv(run.folder(work) / TRACE, nrows=0).columns[1:])
    scorable = {"train": train, "val": [c for c in scores if c not in set(train)], "both": list(scores)}[source]
    table = read_fair_cases(cohort_at(work, run.kind).metadata(missing))
    settings, method = SETTINGS[setting]
    finder = SubgroupFinder(table.reindex(scorable), table.reindex(train), FairConfig(**settings), method)
    for _, row in scores.iloc[len(scores) // 2 :: 3].iterrows():
        yield pd.Series(finder.refresh(row[scorable]).weights, index=train)


def detection_table(work: Path, n_seeds: int) -> pd.DataFrame:
    """One row a cohort, way of missing, source of scores and setting, averaged over seeds and epochs."""
    found = []
    for run in stock_runs(work, n_seeds):
        group = cohort_at(work, run.kind).group()
        for missing in ("none", "random", "not-at-random"):
            for source in SOURCES:
                for name in SETTINGS:
                    if source != "train" and name not in ("averaged, |t| ≥ 0", "lowest"):
                        continue
                    for weights in weights_of(run, work, missing, source, name):
                        inside = weights.index.isin(group)
                        ratio = weights[inside].mean() / weights[~inside].mean()
                        spread = weights[~inside].std(ddof=0) / weights[~inside].mean()
                        found.append((run.kind, missing, source, name, run.seed, ratio, spread))
    frame = pd.DataFrame(found, columns=["kind", "missing", "scores", "setting", "seed", "ratio", "spread"])
    keys = ["kind", "missing", "scores", "setting"]
    table = frame.groupby(keys, sort=False).agg(
        n_seeds=("seed", "nunique"), ratio=("ratio", "mean"), spread=("spread", "mean")
    )
    return table.reset_index().round({"ratio": 3, "spread": 3})


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", type=Path, default=Path("effect_study"), metavar="FOLDER", help="default: effect_study")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N − 1 (default 3)")
    args = parser.parse_args()
    work = args.o.absolute() / "small"
    table = detection_table(work, args.seeds)
    if table.empty:
        raise SystemExit(f"{work} has no stock run; start python -m benchmarks.effect first")
    (work / "report").mkdir(exist_ok=True)
    write_csv(table, work / "report" / "detection.csv")
    table["cell"] = [
        f"{ratio:.2f} ({spread:.2f})" for ratio, spread in zip(table["ratio"], table["spread"], strict=True)
    ]
    wide = table.pivot_table(
        index=["scores", "setting"], columns=["kind", "missing"], values="cell", aggfunc="first", sort=False
    )
    print("ratio (spread)")
    for column in wide.columns:
        print(f"\n{column[0]}, missing: {column[1]}")
        print(wide[column].dropna().to_string(header=False))


if __name__ == "__main__":
    main()
