"""How well probabilities tell outcomes apart, within centres too: what a centre's rate explains is no response."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nnunet_fair.evaluation.scores.pcr_discrimination import auc, auc_interval
from nnunet_fair.subgroups.bootstrap import bootstrap_intervals
from nnunet_fair.subgroups.options import CONFIDENCE

CHANCE = 0.5


@dataclass(frozen=True)
class Auc:
    """An area under the ROC curve.

    Attributes:
        estimate: the area; NaN where no pair of cases with and without pCR can be compared.
        low: lower end of its interval.
        high: upper end.
        n_cases: cases that were compared.
    """

    estimate: float
    low: float
    high: float
    n_cases: int

    @property
    def is_chance(self) -> bool:
        """Whether the interval holds 0.5."""
        return not (self.low > CHANCE or self.high < CHANCE)

    def text(self) -> str:
        """``0.712 (0.683 to 0.740)``; ``none`` where there is none."""
        if np.isnan(self.estimate):
            return "none"
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def within_auc(weights: np.ndarray, truth: np.ndarray, scores: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """The share of pairs, one with and one without pCR, of which the one with pCR has the higher score.

    Only cases of one stratum are paired (a tie counts half), so that what tells strata apart counts nothing; with one
    stratum it is the area under the ROC curve.

    Args:
        weights: float array of shape (n_replicates, n_cases).
        truth: bool array of shape (n_cases,).
        scores: float array of shape (n_cases,).
        strata: array of shape (n_cases,).

    Returns:
        Float array of shape (n_replicates,); NaN where there is no pair.
    """
    concordant, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for stratum in np.unique(strata):
        inside = strata == stratum
        with_pcr, without = inside & truth, inside & ~truth
        order = np.flatnonzero(without)[np.argsort(scores[without], kind="stable")]
        below = np.concatenate([np.zeros((len(weights), 1)), weights[:, order].cumsum(axis=1)], axis=1)
        ends = [np.searchsorted(scores[order], scores[with_pcr], side) for side in ("left", "right")]
        lower = (below[:, ends[0]] + below[:, ends[1]]) / 2
        concordant += (weights[:, with_pcr] * lower).sum(axis=1)
        pairs += weights[:, with_pcr].sum(axis=1) * below[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, concordant / pairs, np.nan)


def auc_with_interval(truth: np.ndarray, scores: np.ndarray) -> Auc:
    """The area over all cases, with the interval it has in ``evaluate`` (95 %).

    Args:
        truth: bool array of shape (n_cases,).
        scores: float array of shape (n_cases,).
    """
    area, n_with = auc(truth, scores), int(truth.sum())
    low, high = auc_interval(area, n_with, len(truth) - n_with, confidence=CONFIDENCE)
    return Auc(area, low, high, len(truth))


def within_auc_with_interval(truth: np.ndarray, scores: np.ndarray, strata: np.ndarray) -> Auc:
    """The area within strata (:func:`within_auc`) with its bootstrap interval (95 %).

    Args:
        truth: bool array of shape (n_cases,).
        scores: float array of shape (n_cases,).
        strata: array of shape (n_cases,).
    """
    found = bootstrap_intervals(lambda weights: within_auc(weights, truth, scores, strata)[:, None], len(truth))
    low, high = found.ends()[0]
    return Auc(float(found.estimate[0]), float(low), float(high), len(truth))


def centre_sentence(pooled: Auc, left_out: Auc | None) -> str:
    """What the two areas together say, in one sentence.

    Args:
        pooled: over all cases, each predicted by the fold that left it out.
        left_out: within centres, each predicted without its centre; None where no centre could be left out.
    """
    if left_out is None or np.isnan(left_out.estimate):
        return (
            "Whether the model holds in another centre cannot be said: there are no two centres with both outcomes to "
            "leave out."
        )
    if pooled.low <= CHANCE:
        return "No response is predicted: the interval of the AUC holds 0.5."
    if left_out.low <= CHANCE:
        return (
            "The centre alone predicts: the AUC over all cases comes from centres that differ in their rate of pCR, "
            "and nothing of it can be shown where a centre is left out."
        )
    return "The prediction holds where a centre is left out."
