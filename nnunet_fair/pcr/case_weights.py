"""FairDiv for a response model: cases of subgroups that are predicted worse than average weigh more.

The same search as in training a network (``subgroups.shortfalls``), with the log-loss of the inner folds' predictions
in place of the DSC: a case's score is the logarithm of the probability its outcome was given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.evidence import MISSING
from nnunet_fair.subgroups.itemsets import mine_subgroups
from nnunet_fair.subgroups.options import MAX_ITEMS, MIN_SUPPORT
from nnunet_fair.subgroups.shortfalls import AveragedSearch, capped_weights

STRENGTH, MAX_WEIGHT, MIN_T, MIN_CASES = 16.0, 5.0, 2.0, 5
"""As in the training of a network (docs/training.md)."""
_LEAST = 0.01  # probability: one confident mistake is not to make a subgroup


@dataclass(frozen=True, repr=False)
class FairWeights:
    """The weights of the training cases, and where they come from.

    Attributes:
        values: float array of shape (n_cases,), with mean 1.
        subgroup: the subgroup each weight comes from most, "" for none, of length n_cases.
    """

    values: np.ndarray
    subgroup: tuple[str, ...]


def fair_weights(truth: np.ndarray, probabilities: np.ndarray, attributes: pd.DataFrame) -> FairWeights:
    """Weigh cases by how far their subgroups' predictions fall short.

    Args:
        truth: bool array of shape (n_cases,).
        probabilities: of pCR, by models that did not train on the case, float array of shape (n_cases,).
        attributes: table of shape (n_cases, n_attributes), indexed by case ID; NaN where unknown.

    Returns:
        The weights; all 1 where no subgroup falls short.
    """
    given = np.where(truth, probabilities, 1 - probabilities)
    scores = pd.Series(np.log(np.maximum(given, _LEAST)), index=attributes.index)
    # those whose value is not known are a group too, but for cases of which nothing is known
    nothing = attributes.isna().all(axis=1).to_numpy()[:, None]
    filled = attributes.where(attributes.notna() | nothing, MISSING)
    subgroups = mine_subgroups(filled, min_support=MIN_SUPPORT, min_cases=MIN_CASES, max_items=MAX_ITEMS)
    if not subgroups.itemsets:
        return FairWeights(np.ones(len(truth)), ("",) * len(truth))
    divergence = subgroup_divergence(subgroups, scores.to_numpy())
    found = AveragedSearch(subgroups, attributes, attributes, filled).shortfalls(scores, divergence, MIN_T)
    weights = capped_weights(found.amount, float(scores.std(ddof=0)), strength=STRENGTH, max_weight=MAX_WEIGHT)
    return FairWeights(weights, tuple(subgroups.names[k] if k >= 0 else "" for k in found.subgroup))
