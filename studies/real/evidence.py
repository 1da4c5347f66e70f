"""How often does the evidence point at chance? The weights on attribute tables dealt out at random.

Trains nothing: the running scores that the stock runs recorded are given to the trainer's finder, once with the real
table and with as many permuted ones as wanted. What the real table's probabilities and weights are worth can be read
from where they stand among those of the permuted tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_fair.files import write_csv
from nnunet_fair.training.chance import MEASURES, dealt_out, find
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import SubgroupFinder
from nnunet_fair.training.method import ON_SAMPLING
from studies.real.dataset import Dataset
from studies.real.methods import STOCK
from studies.real.runs import FOLDS, PERMUTATION, SCORES, WEIGHTS

N_PERMUTATIONS = 20
DEFAULTS = "defaults"
SETTINGS: dict[str, dict[str, float]] = {
    DEFAULTS: {},
    "strength 8": {"strength": 8.0},
    "strength 4": {"strength": 4.0},
    "|t| of 3 or more": {"min_t": 3.0},
    "support of 15 %": {"min_support": 0.15},
    "single attributes": {"max_items": 1},
}
"""What the weights would be with other settings, changed one at a time."""
ENDING = ".evidence.csv"
_EVERY = 5


def record_evidence(dataset: Dataset, results: Path, n_permutations: int = N_PERMUTATIONS) -> int:
    """Write ``RUN.evidence.csv`` for each stock run whose running scores are in the working folder.

    Args:
        dataset: the prepared cohort, with its runs.
        results: folder of the cohort's results.
        n_permutations: permuted tables.

    Returns:
        How many files were written; those that are there are kept.
    """
    found = sorted((dataset.folder / "runs").glob(f"{FOLDS}-{STOCK}-*/{SCORES}"))
    todo = [path.parent for path in found if not (results / f"{path.parent.name}{ENDING}").is_file()]
    cases, patient_of = dataset.cases(), dataset.patient_of()
    for folder in tqdm(todo, desc="evidence", unit="run"):
        scores = pd.read_csv(folder / SCORES).set_index("epoch")
        train = list(pd.read_csv(folder / WEIGHTS, nrows=0).columns[1:])
        dealt = permuted_tables(cases.loc[train], patient_of.loc[train], n_permutations)
        tables = [evidence_table(scores[train], dealt, FairConfig(**changed)) for changed in SETTINGS.values()]
        table = pd.concat(tables, keys=SETTINGS, names=["settings"]).reset_index("settings")
        write_csv(table, results / f"{folder.name}{ENDING}")
    return len(todo)


def permuted_tables(cases: pd.DataFrame, patient_of: pd.Series, n_permutations: int) -> list[pd.DataFrame]:
    """The table itself, and after it as many in which the patients' attributes are dealt out at random.

    Args:
        cases: groups of the training cases.
        patient_of: their patients.
        n_permutations: permuted tables.
    """
    dealt = [dealt_out(cases, patient_of, (number, PERMUTATION)) for number in range(1, n_permutations + 1)]
    return [cases, *dealt]


def evidence_table(scores: pd.DataFrame, tables: Sequence[pd.DataFrame], config: FairConfig) -> pd.DataFrame:
    """The largest probability and the spread of the weights on each table.

    Args:
        scores: running scores, one row an epoch, one column a training case.
        tables: groups of the training cases, from :func:`permuted_tables`.
        config: settings of the finder.

    Returns:
        Table with ``permutation`` (0 is the real table), ``largest_probability`` and ``weight_spread`` (standard
        deviation of the weights before smoothing, whose mean is 1), means over every fifth epoch of the second half.
    """
    late = scores.iloc[len(scores) // 2 :: _EVERY]
    rows = []
    for permutation, table in enumerate(tables):
        finder = SubgroupFinder(table, table, config, ON_SAMPLING)
        found = [find(finder, row) for _, row in late.iterrows()]
        means = {name: np.mean([getattr(finding, name) for finding in found]).round(4) for name in MEASURES}
        rows.append({"permutation": permutation, **means})
    return pd.DataFrame(rows)


def evidence_summary(results: Path) -> pd.DataFrame:
    """The real tables against the permuted ones, over all runs recorded.

    Returns:
        One row for each of ``SETTINGS`` and measure: ``settings``, ``measure``, ``n_runs``, ``real`` (mean), ``chance``
        (mean), ``chance_95`` (95 % quantile), ``share_of_chance_above`` (of the permuted tables, whose value reaches
        the real one of their run).
    """
    tables = [pd.read_csv(path) for path in sorted(results.glob(f"*{ENDING}"))]
    rows = [
        {"settings": settings, "measure": measure, **_against_chance(tables, settings, measure)}
        for settings in (SETTINGS if tables else ())
        for measure in MEASURES
    ]
    return pd.DataFrame(rows)


def _against_chance(tables: Sequence[pd.DataFrame], settings: str, measure: str) -> dict[str, float]:
    values = [table.loc[table["settings"] == settings].set_index("permutation")[measure] for table in tables]
    real = [run.loc[0] for run in values]
    chance = [run.drop(0).to_numpy() for run in values]
    pooled = np.concatenate(chance)
    return {
        "n_runs": len(tables),
        "real": np.mean(real),
        "chance": pooled.mean(),
        "chance_95": np.quantile(pooled, 0.95),
        "share_of_chance_above": np.mean([(dealt >= own).mean() for own, dealt in zip(real, chance, strict=True)]),
    }
