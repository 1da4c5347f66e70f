"""The table of predicted responses, one row a case, as ``evaluate --task pcr`` takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

COLUMNS = ("case_id", "probability", "prediction", "network", "note")
NO_LESION = "no lesion in the mask"


@dataclass(frozen=True)
class NetworkOutput:
    """What one network says of one case.

    Attributes:
        network: which, such as ``fold_0``.
        probability: of the outcome 1, in (0, 1).
        rate: share of the outcome 1 among the cases the network was trained with.
    """

    network: str
    probability: float
    rate: float


def response_table(cases: Mapping[str, Sequence[NetworkOutput]]) -> pd.DataFrame:
    """Put what networks say of cases into a table.

    Args:
        cases: by case ID what each network says; nothing of a case without a lesion.

    Returns:
        One row a case, in the order of their IDs: ``case_id``; ``probability``, the networks' mean; ``prediction``, 1
        where it is at least the mean share among the training cases (the decision of the best balanced accuracy where
        the probabilities are right), else 0; ``network``; ``note``. Probability and prediction of a case without a
        lesion are missing.
    """
    rows = []
    for case_id, outputs in sorted(cases.items()):
        networks = "+".join(output.network for output in outputs)
        if not outputs:
            rows.append((case_id, float("nan"), pd.NA, networks, NO_LESION))
            continue
        probability, rate = (
            sum(values) / len(outputs) for values in ([o.probability for o in outputs], [o.rate for o in outputs])
        )
        rows.append((case_id, probability, int(probability >= rate), networks, ""))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"prediction": "Int64", "probability": float})
