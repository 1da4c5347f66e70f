"""Every method against its baseline, patient by patient and seed by seed, with the package's own evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from nnunet_fair.evaluation.comparison.levelling import levelling_audit
from nnunet_fair.evaluation.comparison.paired_differences import Comparison, compare_scores, pair_scores
from nnunet_fair.evaluation.scores.analysis import AnalysisOptions
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.metadata.audit.detectable_gap import LEVEL, POWER
from nnunet_fair.subgroups.search import SubgroupOptions, false_discovery_rate
from studies.real.cohorts import LEAST_PATIENTS, SITE, SIZE, Cohort
from studies.real.methods import METHODS, STOCK
from studies.real.results import has_result, patient_numbers, patient_scores
from studies.real.runs import FOLDS, SHIFT, Run

PRIMARY = "worst_group_dsc"
STATISTICS = (PRIMARY, "mean_dsc", "mean_best_group_dsc", "mean_deciding_gap_dsc", "ranking")
CONFIDENCE = 0.95
N_TESTED = sum(method.tested for method in METHODS.values())
LEAST_SEEDS = 2
LEAST_SHOWN = 5
"""Smaller groups are not even shown: their mean would be that of single patients."""

LARGEST_LOSS = 0.005
"""What the mean may lose: half a Dice point."""

N_RESAMPLES = 10_000


@dataclass(frozen=True)
class Tables:
    """What comes out of a cohort's comparisons.

    Attributes:
        methods: one row a part and method.
        groups: one row a part, method and group.
        levelling: one row a part, method and attribute.
    """

    methods: pd.DataFrame
    groups: pd.DataFrame
    levelling: pd.DataFrame


def compare_all(
    cohort: Cohort, patients: pd.DataFrame, results: Path, folds: Sequence[int], n_resamples: int = N_RESAMPLES
) -> Tables:
    """Compare every method with its baseline, mostly stock nnU-Net, on the seeds both have finished.

    Args:
        cohort: which.
        patients: the groups of each patient, indexed by patient ID, with ``lesion_size`` and ``site``.
        results: folder of the cohort's results.
        folds: the folds a seed needs to count.
        n_resamples: bootstrap replicates.
    """
    numbers = patient_numbers(list(patients.index))
    groups = patients.set_axis(patients.index.map(numbers).map(str))
    methods, group_rows, audits = [], [], []
    for part, used in ((FOLDS, tuple(folds)), (SHIFT, (0,))):
        for name, method in METHODS.items():
            compared = (method.baseline, name)
            seeds = seeds_done(results, part, compared, used)
            if name == STOCK or not seeds:
                continue
            stock, own = (
                [patient_scores(results, [Run(part, which, seed, fold).name for fold in used]) for seed in seeds]
                for which in compared
            )
            variables = (SITE,) if part == SHIFT else cohort.attributes
            comparison = compare(stock, own, groups, variables, CONFIDENCE, n_resamples)
            stricter = compare(stock, own, groups, variables, 1 - (1 - CONFIDENCE) / N_TESTED, n_resamples)
            key = {"part": part, "method": name, "n_seeds": len(seeds), "n_patients": len(stock[0])}
            methods.append(key | method_row(comparison, stricter))
            group_rows.append(group_table(comparison).assign(part=part, method=name))
            audits.append(levelling_audit(comparison).query("metric == 'dsc'").assign(part=part, method=name))
    return Tables(*(_together(rows) for rows in (pd.DataFrame(methods), group_rows, audits)))


def seeds_done(results: Path, part: str, methods: Sequence[str], folds: Sequence[int]) -> list[int]:
    """The seeds of which every method has a result for every fold."""
    name = methods[0]
    found = {int(path.stem.split("-seed")[1].split("-")[0]) for path in results.glob(f"{part}-{name}-seed*-fold*.csv")}
    return [
        seed
        for seed in sorted(found)
        if all(has_result(results, Run(part, method, seed, fold).name) for method in methods for fold in folds)
    ]


def compare(
    stock: list[pd.DataFrame],
    own: list[pd.DataFrame],
    groups: pd.DataFrame,
    variables: Sequence[str],
    confidence: float,
    n_resamples: int,
) -> Comparison:
    """Two methods on the same patients, folds and seeds.

    Args:
        stock: scores of stock nnU-Net, one table a seed, indexed by patient.
        own: the method's, same seeds.
        groups: the patients' groups.
        variables: the attributes whose groups of at least ``LEAST_PATIENTS`` patients may be the worst.
        confidence: coverage of the intervals.
        n_resamples: bootstrap replicates.
    """
    options = SubgroupOptions(
        min_group=LEAST_PATIENTS, min_support=1.0, max_items=1, n_resamples=n_resamples, confidence=confidence
    )
    ordered = groups[[*variables, *(name for name in (SIZE, SITE) if name not in variables)]]
    frame = ordered[ordered.index.isin(stock[0].index)]
    chosen = CaseGroups(frame, tuple(variables), official=False, notes=())
    return compare_scores(pair_scores(stock, own), chosen, AnalysisOptions(subgroups=options), paired_seeds=True)


def method_row(comparison: Comparison, stricter: Comparison) -> dict[str, float]:
    """Stock's value, the difference and its interval for every statistic; the primary's simultaneous one as well.

    ``patient_sd`` is the standard deviation over the patients of a patient's difference, the mean over the seeds, and
    ``seed_correlation`` how alike the patients' differences are in two seeds.
    """
    row: dict[str, float] = {}
    for name in STATISTICS:
        difference, low, high = comparison.difference.row(name)
        row |= {f"{name}_stock": comparison.a.row(name)[0], name: difference}
        row |= {f"{name}_low": low, f"{name}_high": high}
    _, low, high = stricter.difference.row(PRIMARY)
    differences = comparison.scores.dsc_b - comparison.scores.dsc_a
    row |= {f"{PRIMARY}_low_of_{N_TESTED}": low, f"{PRIMARY}_high_of_{N_TESTED}": high}
    row |= {
        "patient_sd": float(differences.mean(axis=0).std(ddof=1)),
        "seed_correlation": seed_correlation(differences),
    }
    return row | _spread(differences.mean(axis=1))


def _spread(by_seed: np.ndarray) -> dict[str, float]:
    return {"mean_dsc_least_seed": float(by_seed.min()), "mean_dsc_most_seed": float(by_seed.max())}


def seed_correlation(differences: np.ndarray) -> float:
    """How alike the patients' differences are in two seeds.

    Args:
        differences: float array of shape (n_seeds, n_patients).

    Returns:
        Mean correlation of all pairs of seeds: 0 where what happens to a patient is chance of the training; NaN with
        one seed or where nothing differs.
    """
    n_seeds = len(differences)
    if n_seeds < LEAST_SEEDS or not differences.std(axis=1).all():
        return float("nan")
    return float(np.corrcoef(differences)[np.triu_indices(n_seeds, 1)].mean())


def patients_needed(sd: float, change: float) -> int:
    """How many patients a group needs to show a change of its mean: (z₀.₉₇₅ + z₀.₈)² σ²/δ², that is 5 % and power 0.8.

    Args:
        sd: standard deviation σ of a patient's difference between two methods.
        change: of the mean, δ, in the same unit.
    """
    z = stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER)
    return math.ceil((z * sd / change) ** 2)


def group_table(comparison: Comparison) -> pd.DataFrame:
    """The differences in every group of at least ``LEAST_SHOWN`` patients."""
    rows = comparison.subgroups
    columns = ["subgroup", "n", "mean_dsc_a", "mean_dsc_b", "difference", "difference_low", "difference_high", "p"]
    return rows.loc[rows["n"] >= LEAST_SHOWN, [*columns, "decides"]]


def _together(rows: pd.DataFrame | list[pd.DataFrame]) -> pd.DataFrame:
    """One table, numbers to four digits, with q over all its tests where it has any."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    if "p" in frame:
        tested = frame["method"].map(lambda name: METHODS[name].tested) & frame["decides"]
        q = pd.Series(np.nan, index=frame.index)
        q[tested] = false_discovery_rate(frame.loc[tested, "p"].to_numpy())
        frame = frame.assign(q=q)
    first = [name for name in ("part", "method") if name in frame]
    return frame[[*first, *(name for name in frame if name not in first)]].round(4)


def chosen_method(methods: pd.DataFrame) -> str | None:
    """The tested method that lifts the worst group most, of those that cost the mean no more than half a point.

    Args:
        methods: the deciding cohort's table.

    Returns:
        The method's name; None where none qualifies.
    """
    if methods.empty:
        return None
    tested = methods[(methods["part"] == FOLDS) & methods["method"].map(lambda name: METHODS[name].tested)]
    able = tested[(tested["mean_dsc"] >= -LARGEST_LOSS) & tested[PRIMARY].notna()]
    return None if able.empty else str(able.loc[able[PRIMARY].idxmax(), "method"])


def verdict(row: Mapping[str, float], *, decides: bool) -> str:
    """What the aim says of a tested method in one cohort.

    Args:
        row: its row of the table.
        decides: whether all tested methods were looked at there, so that the interval is the simultaneous one.
    """
    if np.isnan(row[PRIMARY]):
        return f"no group of {LEAST_PATIENTS} patients"
    low = row[f"{PRIMARY}_low_of_{N_TESTED}" if decides else f"{PRIMARY}_low"]
    if row["mean_dsc"] < -LARGEST_LOSS:
        return "costs the mean more than half a point"
    return "lifts the worst group" if low > 0 else "no effect shown"
