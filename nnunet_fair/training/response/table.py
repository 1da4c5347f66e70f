"""The table of predicted responses, one row a case, as ``evaluate --task pcr`` takes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy.special import expit

COLUMNS = ("case_id", "probability", "prediction", "network", "note")
NO_LESION = "no lesion in the mask"


@dataclass(frozen=True)
class NetworkOutput:
    """What one network says of one case.

    Attributes:
        network: which, such as ``fold_0``.
        logit: as trained, both outcomes counting the same.
        prevalence: share of the outcome 1 among the cases the network was trained with.
    """

    network: str
    logit: float
    prevalence: float


def mean_log_odds(shares: Sequence[float]) -> float:
    """The mean of the log odds of shares in (0, 1)."""
    return sum(math.log(share / (1 - share)) for share in shares) / len(shares)


def response_probability(logits: Sequence[float], prevalences: Sequence[float]) -> tuple[float, bool]:
    """The probability of the outcome 1 and the decision, of networks trained with both outcomes counting the same.

    Args:
        logits: of the networks that can say something, at least one.
        prevalences: share of the outcome 1 among the training cases of each network.

    Returns:
        The sigmoid of the mean logit and of the prevalences' mean log odds (Elkan, IJCAI 2001), and whether it is at
        least their prevalence.
    """
    logit = sum(logits) / len(logits)
    return float(expit(logit + mean_log_odds(prevalences))), logit >= 0


def response_table(cases: Mapping[str, Sequence[NetworkOutput]]) -> pd.DataFrame:
    """Put what networks say of cases into a table.

    Args:
        cases: by case ID what each network says; nothing of a case without a lesion.

    Returns:
        One row a case, in the order of their IDs: ``case_id``; ``probability``, the sigmoid of the mean of the logits
        and of the prevalences' log odds, as of the joint trainers' heads (Elkan, IJCAI 2001); ``prediction``, 1 where
        it is at least their prevalence, that is where the mean of the logits is not negative, else 0; ``network``;
        ``note``. Probability and prediction of a case without a lesion are missing.
    """
    rows = []
    for case_id, outputs in sorted(cases.items()):
        networks = "+".join(output.network for output in outputs)
        if not outputs:
            rows.append((case_id, float("nan"), pd.NA, networks, NO_LESION))
            continue
        logits, prevalences = [output.logit for output in outputs], [output.prevalence for output in outputs]
        probability, decision = response_probability(logits, prevalences)
        rows.append((case_id, probability, int(decision), networks, ""))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"prediction": "Int64", "probability": float})
