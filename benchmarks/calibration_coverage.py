"""How often the intervals of calibration, of the human ceiling and of Spearman's correlation hold the truth.

Cohorts of n patients are drawn from distributions whose truth is known: probabilities that say too much in every case
by an amount of its own, volumes, two readers and a model, and an uncertainty that goes with the DSC. The intervals are
those that ``evaluate`` writes for all cases. A 95 % interval should hold the truth in 93 to 97 of 100.

Run: ``python -m benchmarks.calibration_coverage`` (some ten minutes of one core); ``--cohorts 100`` for a rough look.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.metrics.calibration import BIN_COLUMNS, N_BINS, SAID, SHARES, TRUE
from nnunet_fair.evaluation.scores.calibration_table import calibration_table
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.readers_table import readers_table
from nnunet_fair.subgroups.options import SubgroupOptions

SIZES = (10, 30, 100)
OFF = np.linspace(-0.04, 0.06, N_BINS)  # said minus true of each bin, in the mean over patients
ECE = float(np.abs(OFF).mean())
BRIER, RATIO, SHORTFALL, LATENT = 0.1, 1.2, 0.1, 0.6
SPEARMAN = 6 / np.pi * np.arcsin(LATENT / 2)  # of a bivariate normal with this correlation


def draw(rng: np.random.Generator, n: int, off: np.ndarray) -> ScoredCohort:
    """A cohort of n patients.

    Args:
        rng: source of randomness.
        n: patients.
        off: float array of shape (15,), by how much the probabilities of each bin are too high.
    """
    cases = pd.DataFrame(0.0, index=[f"C{i}" for i in range(n)], columns=list(BIN_COLUMNS))
    cases[list(SHARES)] = 1 / N_BINS
    middle = (np.arange(N_BINS) + 0.5) / N_BINS
    cases[list(SAID)] = middle / N_BINS
    cases[list(TRUE)] = (middle - off - rng.normal(0, 0.05, (n, N_BINS))) / N_BINS
    # Ranks are what counts: a normal score in place of the DSC keeps the correlation known.
    uncertainty, error = rng.multivariate_normal([0, 0], [[1, LATENT], [LATENT, 1]], n).T
    dsc = 0.7 - 0.1 * error
    true = rng.lognormal(7, 1, n)
    cases = cases.assign(
        dsc=dsc,
        norm_hd=0.1,
        readers_dsc=dsc + SHORTFALL + rng.normal(0, 0.05, n),
        uncertainty=uncertainty,
        brier=rng.beta(2, 18, n),
        ece=np.nan,
        volume_reference_mm3=true,
        volume_expected_mm3=RATIO * true * rng.lognormal(0, 0.3, n),
    )
    groups = pd.DataFrame({"one": "group"}, index=cases.index)
    return ScoredCohort.of(cases, groups, options=SubgroupOptions(n_resamples=1000))


def coverage(n: int, n_cohorts: int, *, off: np.ndarray, ece: float) -> dict[str, float]:
    """How often each interval holds the truth."""
    truth = {"ece": ece, "brier": BRIER, "volume_ratio": RATIO, "knows_when_it_fails": SPEARMAN, "shortfall": SHORTFALL}
    hits = dict.fromkeys(truth, 0)
    rng = np.random.default_rng(n)
    for _ in range(n_cohorts):
        cohort = draw(rng, n, off)
        row = calibration_table(cohort).iloc[0].to_dict() | readers_table(cohort).iloc[0].to_dict()
        for name, value in truth.items():
            hits[name] += bool(row[f"{name}_low"] <= value <= row[f"{name}_high"])
    return {name: hit / n_cohorts for name, hit in hits.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=1000)
    n_cohorts = parser.parse_args().cohorts
    found = {n: coverage(n, n_cohorts, off=OFF, ece=ECE) for n in SIZES}
    print(f"{'share of 95 % intervals that hold the truth':48s}" + "".join(f"{f'n = {n}':>10s}" for n in SIZES))
    for name in next(iter(found.values())):
        print(f"{name:48s}" + "".join(f"{found[n][name]:10.3f}" for n in SIZES))
    perfect = {n: coverage(n, n_cohorts, off=np.zeros(N_BINS), ece=0.0)["ece"] for n in SIZES}
    print(f"{'ece of a perfectly calibrated model':48s}" + "".join(f"{perfect[n]:10.3f}" for n in SIZES))


if __name__ == "__main__":
    main()
