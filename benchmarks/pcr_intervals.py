"""How often the intervals of Task 2 hold the truth: AUC, its difference, balanced accuracy, calibration, Brier score.

Patients are drawn whose scores with and without pCR are normal (AUC = Φ(d / √2)), and whose probabilities are right
or, for the slope, too extreme; of each cohort the interval is computed as ``evaluate`` and ``compare`` do, and counted
where it holds the truth. A 95 % interval should in 93 to 97 of 100. Cohorts in which it cannot be estimated are left
out, and the share of the others is shown.

Run: ``python -m benchmarks.pcr_intervals`` (two minutes of one core); ``--cohorts 200`` for a rough look.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from scipy import special, stats

from nnunet_fair.evaluation.scores.pcr_calibration import (
    balanced_accuracy_interval,
    brier_terms,
    rate_interval,
    recalibration,
)
from nnunet_fair.evaluation.scores.pcr_discrimination import auc, auc_interval, paired_auc
from nnunet_fair.subgroups.group_means import group_mean_intervals

SIZES = (10, 15, 30, 100, 400)
RATE = 0.3
SHOWN = 0.95
AREAS = (0.65, 0.8, 0.95)
Ends = tuple[float, float]


def outcomes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Who of n patients has pCR."""
    return rng.random(n) < RATE


def auc_of_one_model(area: float) -> tuple[float, Callable[[np.random.Generator, int], Ends]]:
    """Newcombe's interval of an AUC."""
    shift = np.sqrt(2) * stats.norm.ppf(area)

    def interval(rng: np.random.Generator, n: int) -> Ends:
        truth = outcomes(rng, n)
        found = auc(truth, rng.normal(size=n) + shift * truth)
        return auc_interval(found, int(truth.sum()), int((~truth).sum()), confidence=SHOWN)

    return area, interval


def difference_of_two(area_a: float, area_b: float) -> tuple[float, Callable[[np.random.Generator, int], Ends]]:
    """DeLong's interval of the difference of two models that share half of their noise."""
    shifts = [np.sqrt(2) * stats.norm.ppf(area) for area in (area_a, area_b)]

    def interval(rng: np.random.Generator, n: int) -> Ends:
        truth, shared = outcomes(rng, n), rng.normal(size=n)
        a, b = ((shared + rng.normal(size=n)) / np.sqrt(2) + shift * truth for shift in shifts)
        found = paired_auc(truth, a, b, confidence=SHOWN)
        return found.low, found.high

    return area_b - area_a, interval


def balanced_accuracy(sensitivity: float, specificity: float) -> tuple[float, Callable[..., Ends]]:
    """The square-and-add interval of a balanced accuracy."""

    def interval(rng: np.random.Generator, n: int) -> Ends:
        truth = outcomes(rng, n)
        n_with, n_without = int(truth.sum()), int((~truth).sum())
        hits, right = rng.binomial(n_with, sensitivity), rng.binomial(n_without, specificity)
        if not n_with or not n_without:
            return float("nan"), float("nan")
        ends = rate_interval(hits, n_with, confidence=SHOWN), rate_interval(right, n_without, confidence=SHOWN)
        return balanced_accuracy_interval(hits / n_with, right / n_without, ends)

    return (sensitivity + specificity) / 2, interval


def drawn(rng: np.random.Generator, n: int, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and probabilities whose calibration slope is this."""
    logits = rng.normal(-0.85, 1.0, n)
    return rng.random(n) < special.expit(slope * logits), special.expit(logits)


def calibration_slope(slope: float) -> tuple[float, Callable[[np.random.Generator, int], Ends]]:
    """Wald's interval of a calibration slope."""

    def interval(rng: np.random.Generator, n: int) -> Ends:
        found = recalibration(*drawn(rng, n, slope), confidence=SHOWN).slope
        return found.low, found.high

    return slope, interval


def mean_of(terms: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> tuple[float, Callable[..., Ends]]:
    """The bootstrap interval of the Brier score or of observed minus predicted."""
    truth, value = drawn(np.random.default_rng(1), 2_000_000, 1.0)
    expected = float(terms(truth, value).mean())

    def interval(rng: np.random.Generator, n: int) -> Ends:
        sample = terms(*drawn(rng, n, 1.0))
        found = group_mean_intervals(sample, np.ones((n, 1), bool), n_resamples=1000, seed=int(rng.integers(2**31)))
        return float(found.low[0]), float(found.high[0])

    return expected, interval


def statistics() -> Iterator[tuple[str, float, Callable[[np.random.Generator, int], Ends]]]:
    """The name, the truth and the interval of everything that is simulated."""
    for area in AREAS:
        yield (f"AUC {area:g}", *auc_of_one_model(area))
    for pair in ((0.65, 0.65), (0.65, 0.75), (0.8, 0.9)):
        yield (f"AUC {pair[0]:g} → {pair[1]:g}, difference", *difference_of_two(*pair))
    for rates in ((0.6, 0.6), (0.9, 0.8)):
        yield (f"balanced accuracy of {rates[0]:g} and {rates[1]:g}", *balanced_accuracy(*rates))
    for slope in (0.5, 1.0):
        yield (f"calibration slope {slope:g}", *calibration_slope(slope))
    yield ("Brier score", *mean_of(brier_terms))
    yield ("observed − predicted", *mean_of(lambda truth, value: truth - value))


def main() -> None:
    """Print the coverage of every interval by the number of patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=2000, help="cohorts of each kind (default: %(default)s)")
    args = parser.parse_args()
    print(f"| interval | {' | '.join(f'n = {n}' for n in SIZES)} |\n|---|{'---|' * len(SIZES)}")
    for name, truth, interval in statistics():
        cells = []
        for n in SIZES:
            rng = np.random.default_rng(n)
            ends = np.array([interval(rng, n) for _ in range(args.cohorts)])
            exists = np.isfinite(ends).all(axis=1)
            held = ((ends[:, 0] <= truth) & (truth <= ends[:, 1]))[exists]
            share = f"{100 * held.mean():.1f} %" if exists.mean() > 0.05 else "–"
            cells.append(share if exists.mean() > 0.995 else f"{share} ({100 * exists.mean():.0f} % exist)")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
