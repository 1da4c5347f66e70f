"""How often the intervals hold the truth: every kind of statistic of the report, in simulated cohorts.

Cohorts of DSC-like scores are drawn from distributions whose statistics are known; of each the interval is computed as
``evaluate`` does, and counted where it holds the truth. A 95 % interval should in 93 to 97 of 100. Beside it stand, for
means, the intervals that were considered: BCa without the widening for few cases, the t interval, and the bootstrap-t
(studentised replicates).

Run: ``python -m benchmarks.interval_coverage``; ``--cohorts 1000 --resamples 1000`` takes four minutes of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_fair.evaluation.scores.equity import MEASURES, group_measures
from nnunet_fair.evaluation.scores.tails import worst_share_interval
from nnunet_fair.evaluation.scores.volume import LIMIT
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals, weighted_means

SIZES = (10, 15, 30, 100)
SHOWN = 0.95
Draw = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Scores:
    """A distribution of DSC-like scores: a share of failures with DSC 0, the rest beta-distributed."""

    failures: float
    a: float
    b: float

    def __str__(self) -> str:
        return (
            f"{self.failures:.0%} zeros, beta({self.a:g}, {self.b:g})"
            if self.failures
            else f"beta({self.a:g}, {self.b:g})"
        )

    @property
    def mean(self) -> float:
        """Its mean."""
        return (1 - self.failures) * self.a / (self.a + self.b)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Scores of n cases."""
        return np.where(rng.random(n) < self.failures, 0.0, rng.beta(self.a, self.b, n))

    def worst_tenth(self) -> float:
        """Mean of the lowest tenth of the distribution."""
        if self.failures >= 0.1:
            return 0.0
        cut = (0.1 - self.failures) / (1 - self.failures)
        edge = stats.beta.ppf(cut, self.a, self.b)
        # ∫ x f(x) dx up to the edge is the mean times the distribution function of beta(a + 1, b).
        part = self.a / (self.a + self.b) * stats.beta.cdf(edge, self.a + 1, self.b)
        return (1 - self.failures) * part / 0.1


DISTRIBUTIONS = (
    Scores(0, 8, 2),
    Scores(0, 4, 1),
    Scores(0, 2, 2),
    Scores(0.05, 8, 2),
    Scores(0.1, 8, 2),
    Scores(0.2, 5, 2),
)


def holds(ends: np.ndarray, truth: float) -> bool:
    """Whether an interval exists and holds the truth."""
    return bool(ends[0] <= truth <= ends[1])


def intervals_of_a_mean(values: np.ndarray, seed: int, n_resamples: int) -> dict[str, np.ndarray]:
    """The interval of the report and those it was chosen from; NaN where the scores do not differ."""
    n, everybody = len(values), np.ones((len(values), 1), bool)
    weights = np.random.default_rng(seed).standard_exponential((n_resamples, n))
    found = bootstrap_intervals(lambda w: weighted_means(w, values, everybody), n, weights=weights)
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(n)
    half = stats.t.ppf((1 + SHOWN) / 2, n - 1) * error
    return {
        "this package": found.ends()[0],
        "plain BCa": plain_bca(values, weights),
        "t": np.array([mean - half, mean + half]),
        "bootstrap-t": studentised(values, weights),
    }


def plain_bca(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Efron's BCa interval of a mean with normal quantiles, in closed form."""
    replicates = weights @ values / weights.sum(axis=1)
    share = np.mean(replicates < values.mean())
    deviations = values - values.mean()
    if not 0 < share < 1 or not deviations.any():
        return np.full(2, np.nan)
    bias = stats.norm.ppf(share)
    acceleration = np.sum(deviations**3) / (6 * np.sum(deviations**2) ** 1.5)
    shifted = bias + stats.norm.ppf([(1 - SHOWN) / 2, (1 + SHOWN) / 2])
    return np.quantile(replicates, stats.norm.cdf(bias + shifted / (1 - acceleration * shifted)))


def studentised(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The bootstrap-t interval of a mean: quantiles of (replicate − mean) / replicate's standard error."""
    shares = weights / weights.sum(axis=1, keepdims=True)
    means = shares @ values
    spread = np.sqrt(np.maximum(shares @ values**2 - means**2, 1e-12))
    low, high = np.quantile((means - values.mean()) / spread, [(1 - SHOWN) / 2, (1 + SHOWN) / 2])
    # The replicates' spread is that of n + 1 cases, see the module of the bootstrap.
    wide = values.std(ddof=1) * np.sqrt((len(values) + 1) / len(values))
    return np.array([values.mean() - high * wide, values.mean() - low * wide])


def coverage_of_means(scores: Scores, n: int, n_cohorts: int, n_resamples: int) -> tuple[dict[str, float], float]:
    """How often each interval of a mean holds the truth, and the mean width of the report's."""
    rng = np.random.default_rng(n)
    hits: dict[str, int] = {}
    width = 0.0
    for seed in range(n_cohorts):
        found = intervals_of_a_mean(scores.draw(rng, n), seed, n_resamples)
        for name, ends in found.items():
            hits[name] = hits.get(name, 0) + holds(ends, scores.mean)
        width += float(np.ptp(found["this package"])) / n_cohorts
    return {name: hit / n_cohorts for name, hit in hits.items()}, width


Statistic = Callable[[np.ndarray], np.ndarray]


def gap(rng: np.random.Generator, n: int) -> tuple[Statistic, int, float]:
    """The gap between a group of n and one of 3 n cases that is served worse."""
    worse, better = Scores(0.1, 5, 2), Scores(0.02, 8, 2)
    values = np.concatenate([better.draw(rng, n), worse.draw(rng, 3 * n)])
    membership = np.repeat(np.eye(2, dtype=bool), [n, 3 * n], axis=0)
    return (
        lambda w: np.ptp(weighted_means(w, values, membership), axis=1, keepdims=True),
        4 * n,
        better.mean - worse.mean,
    )


def equity_scaled(rng: np.random.Generator, n: int) -> tuple[Statistic, int, float]:
    """``es_sum`` of three groups of n cases whose means differ."""
    groups = (Scores(0, 8, 2), Scores(0, 6, 2), Scores(0.05, 5, 2))
    values = np.concatenate([group.draw(rng, n) for group in groups])
    membership = np.repeat(np.eye(3, dtype=bool), n, axis=0)
    everybody = np.ones((3 * n, 1), bool)
    means = np.array([[group.mean for group in groups]])
    column = MEASURES.index("es_sum")

    def statistic(weights: np.ndarray) -> np.ndarray:
        overall = weighted_means(weights, values, everybody)[:, 0]
        return group_measures(weighted_means(weights, values, membership), overall, higher_is_better=True)[:, [column]]

    return statistic, 3 * n, float(group_measures(means, means.mean(axis=1), higher_is_better=True)[0, column])


def even_gap(rng: np.random.Generator, n: int) -> tuple[Statistic, int, float]:
    """The gap between two groups of n cases without failures."""
    worse, better = Scores(0, 6, 2.5), Scores(0, 8, 2)
    values = np.concatenate([better.draw(rng, n), worse.draw(rng, n)])
    membership = np.repeat(np.eye(2, dtype=bool), n, axis=0)
    return (
        lambda w: np.ptp(weighted_means(w, values, membership), axis=1, keepdims=True),
        2 * n,
        better.mean - worse.mean,
    )


def sensitivity(rng: np.random.Generator, n: int) -> tuple[Statistic, int, float]:
    """The share of lesions found in n patients of one to several lesions, which are found or missed together."""
    lesions = 1.0 + rng.poisson(1.5, n)
    found = rng.binomial(lesions.astype(int), rng.beta(5, 2, n)).astype(float)
    return lambda w: (w @ found / (w @ lesions))[:, None], n, 5 / 7


def upper_limit(rng: np.random.Generator, n: int) -> tuple[Statistic, int, float]:
    """The upper limit of agreement of a volume difference."""
    values = rng.normal(-1.0, 2.0, n)

    def statistic(weights: np.ndarray) -> np.ndarray:
        mean, square = (weights @ v / weights.sum(axis=1) for v in (values, values**2))
        sd = np.sqrt(np.clip(square - mean**2, 0, None) * n / (n - 1))
        return (mean + LIMIT * sd)[:, None]

    return statistic, n, -1.0 + LIMIT * 2.0


OTHERS: dict[str, Callable[[np.random.Generator, int], tuple[Statistic, int, float]]] = {
    "gap of n and n cases": even_gap,
    "gap of n and 3 n cases, with failures": gap,
    "es_sum of 3 groups of n": equity_scaled,
    "sensitivity of the lesions of n patients": sensitivity,
    "upper limit of agreement of n": upper_limit,
}


def coverage_of(name: str, n: int, n_cohorts: int, n_resamples: int) -> float:
    """How often the interval of a statistic holds the truth."""
    rng = np.random.default_rng(n)
    hits = 0
    for seed in range(n_cohorts):
        statistic, n_cases, truth = OTHERS[name](rng, n)
        hits += holds(bootstrap_intervals(statistic, n_cases, n_resamples=n_resamples, seed=seed).ends()[0], truth)
    return hits / n_cohorts


def coverage_of_the_worst_tenth(scores: Scores, n: int, n_cohorts: int) -> float:
    """How often the interval of the worst tenth's mean holds the truth; NaN where there is none."""
    rng = np.random.default_rng(n)
    found = [worst_share_interval(scores.draw(rng, n)) for _ in range(n_cohorts)]
    if np.isnan(found).all():
        return float("nan")
    return float(np.mean([holds(np.array(ends), scores.worst_tenth()) for ends in found]))


def rows(n_cohorts: int, n_resamples: int) -> Iterator[str]:
    """The lines of both tables."""
    names = ("this package", "plain BCa", "t", "bootstrap-t")
    yield f"{'mean of':26s}{'n':>5s}" + "".join(f"{name:>14s}" for name in names) + f"{'width':>10s}"
    for scores in DISTRIBUTIONS:
        for n in SIZES:
            found, width = coverage_of_means(scores, n, n_cohorts, n_resamples)
            yield f"{scores!s:26s}{n:5d}" + "".join(f"{found[name]:14.3f}" for name in names) + f"{width:10.3f}"
    yield ""
    yield f"{'statistic':44s}" + "".join(f"{f'n = {n}':>10s}" for n in SIZES)
    for name in OTHERS:
        yield f"{name:44s}" + "".join(f"{coverage_of(name, n, n_cohorts, n_resamples):10.3f}" for n in SIZES)
    for scores in DISTRIBUTIONS[:2]:
        found = [coverage_of_the_worst_tenth(scores, n, n_cohorts) for n in SIZES]
        cells = "".join(f"{'none':>10s}" if np.isnan(value) else f"{value:10.3f}" for value in found)
        yield f"{f'worst tenth of n, {scores}':44s}{cells}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=3000, help="simulated cohorts a number (default: %(default)s)")
    parser.add_argument("--resamples", type=int, default=2000, help="replicates of an interval (default: %(default)s)")
    arguments = parser.parse_args()
    print(f"share of {arguments.cohorts} cohorts in which the {SHOWN:.0%} interval holds the truth", flush=True)
    for row in rows(arguments.cohorts, arguments.resamples):
        print(row, flush=True)


if __name__ == "__main__":
    main()
