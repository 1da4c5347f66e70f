"""Which subgroup is the disadvantaged one? The scores' evidence for each, instead of a single lowest mean.

Of a hundred frequent subgroups some diverge by chance, and the parents of a disadvantaged conjunction diverge because
they contain it. So each subgroup S is a hypothesis, "the cases of S score lower by a constant, the others alike", and
is weighed by how well it explains all scores: with RSS₀ the residual sum of squares of one mean for all and RSS_S that
of one mean for S and one for the others, its log marginal likelihood over the hypothesis of no disadvantage is
n/2 · ln(RSS₀/RSS_S) − ½ ln n (the Bayesian information criterion; Schwarz, Annals of Statistics 1978; Kass and Raftery,
JASA 1995). A conjunction that explains more than its parents takes their evidence, and a parent that explains more than
its parts keeps it. Averages over the hypotheses (Hoeting et al., "Bayesian Model Averaging", Statistical Science 1999)
change little where the evidence is weak and sharpen as it grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from nnunet_fair.subgroups.itemsets import Item, Itemset

MISSING = "(missing)"
"""The value of an item that stands for "not known"."""

PRIOR_OF_NONE = 1 / 6
"""Prior probability that no subgroup is disadvantaged; the rest is shared equally by the itemset sizes, and within a
size by its subgroups."""


@dataclass(frozen=True)
class Evidence:
    """What the scores say of each subgroup; every array is float, of shape (n_subgroups,).

    Attributes:
        posterior: probability that the subgroup is the disadvantaged one; they sum to less than 1, the rest being the
            probability of no disadvantage; 0 for a subgroup that scores higher than the others.
        shortfall: how far its cases are expected to score below the mean of all, ≥ 0.
        inside: expected score of its cases.
        outside: expected score of the others.
        variance: of the scores around these.
    """

    posterior: np.ndarray
    shortfall: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    variance: np.ndarray


def membership_probability(itemsets: tuple[Itemset, ...], cases: pd.DataFrame, reference: pd.DataFrame) -> np.ndarray:
    """How likely each case belongs to each subgroup, given what is known of it.

    A case with a known value that contradicts the itemset has 0, one with all of its values 1. Where some are missing
    and none contradicts, it is the share of the subgroup's cases among those reference cases that have the same known
    values and know the others. The item with the value ``MISSING`` is held by the cases that have none.
    A case of which nothing is known is in no subgroup.

    Args:
        itemsets: the subgroups, of length n_subgroups.
        cases: attribute table of shape (n_cases, n_attributes), missing values NaN.
        reference: attribute table the shares are taken from.

    Returns:
        Float array of shape (n_cases, n_subgroups) with values in [0, 1].
    """
    items = dict.fromkeys(item for itemset in itemsets for item in itemset)
    own, comparable = ({item: _held(item, table) for item in items} for table in (cases, reference))
    probability = np.zeros((len(cases), len(itemsets)))
    for column, itemset in enumerate(itemsets):
        whole = (1 << len(itemset)) - 1
        holds, known = _as_bits(itemset, own)
        reference_holds, reference_known = _as_bits(itemset, comparable)
        probability[holds == whole, column] = 1.0
        for missing in range(1, whole + 1):  # which items are not known, one bit an item
            fits = (known == whole & ~missing) & (holds == known)
            if fits.any():
                alike = (reference_holds | missing == whole) & (reference_known & missing == missing)
                if alike.any():
                    probability[fits, column] = (reference_holds[alike] == whole).mean()
    probability[cases.isna().all(axis=1).to_numpy()] = 0.0
    return probability


def _held(item: Item, cases: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Whether each case has the item's value, and whether that is known, each a bool array of shape (n_cases,)."""
    attribute, value = item
    absent = cases[attribute].isna().to_numpy()
    if value == MISSING:
        return absent, np.ones(len(cases), dtype=bool)
    return (cases[attribute] == value).to_numpy(dtype=bool, na_value=False), ~absent


def _as_bits(itemset: Itemset, held: dict[Item, tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The items each case has, and those it is known of, one bit an item, each of shape (n_cases,)."""
    holds, known = (
        np.sum([held[item][which].astype(int) << bit for bit, item in enumerate(itemset)], axis=0) for which in (0, 1)
    )
    return holds, known


def subgroup_evidence(scores: np.ndarray, membership: np.ndarray, sizes: np.ndarray) -> Evidence:
    """The evidence for each subgroup.

    Args:
        scores: float array of shape (n_cases,), without NaN, higher is better.
        membership: float array of shape (n_cases, n_subgroups), the probability of membership (0 or 1 where known);
            the scores are regressed on it.
        sizes: number of items of each subgroup, int array of shape (n_subgroups,).

    Returns:
        Posterior probabilities, shortfalls and the two score distributions of each subgroup.
    """
    n_cases = len(scores)
    deviation = scores - scores.mean()
    share = membership.mean(axis=0)
    centred = membership - share
    spread = (centred**2).sum(axis=0)
    covariance = deviation @ centred
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(spread > 0, covariance / spread, 0.0)
        total = (deviation**2).sum()
        residual = np.maximum(total - slope * covariance, 1e-12 * total)
        log_factor = n_cases / 2 * np.log(total / residual) - 0.5 * np.log(n_cases)
    # scores that differ by nothing but rounding are no evidence
    lower = (slope < 0) & (spread > 0) & (total > 1e-20 * n_cases)
    # prior: the same for every number of items, so that many conjunctions do not outvote a few single attributes
    _, which, count = np.unique(sizes, return_inverse=True, return_counts=True)
    prior = (1 - PRIOR_OF_NONE) / (len(count) * count[which]) if len(sizes) else np.zeros(0)
    log_joint = np.where(lower, np.log(np.maximum(prior, 1e-300)) + log_factor, -np.inf)
    largest = max(float(log_joint.max(initial=-np.inf)), np.log(PRIOR_OF_NONE))
    joint = np.exp(log_joint - largest)
    return Evidence(
        posterior=joint / (joint.sum() + np.exp(np.log(PRIOR_OF_NONE) - largest)),
        shortfall=np.where(lower, -slope * (1 - share), 0.0),
        inside=scores.mean() + slope * (1 - share),
        outside=scores.mean() - slope * share,
        variance=residual / n_cases,
    )


def informed_membership(probability: np.ndarray, scores: np.ndarray, evidence: Evidence) -> np.ndarray:
    """Membership given a case's own score too, by Bayes' rule.

    Among the cases whose value is missing, those that score as the subgroup does are more likely its members.

    Args:
        probability: of membership by what is known, float array of shape (n_cases, n_subgroups).
        scores: the cases' scores, float array of shape (n_cases,), NaN for a case that has none.
        evidence: of each subgroup.

    Returns:
        Probabilities, float array of the same shape; 0, 1 and those of cases without a score stay as they are.
    """
    score = scores[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = ((score - evidence.outside) ** 2 - (score - evidence.inside) ** 2) / (2 * evidence.variance)
    return expit(logit(probability) + np.nan_to_num(log_ratio))
