"""Whether acting on the probabilities does more good than treating everybody or nobody alike.

Net benefit = TP / n − FP / n · t / (1 − t) at the threshold t from which one would act: Vickers and Elkin, "Decision
curve analysis: a novel method for evaluating prediction models", Medical Decision Making 26 (2006).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

THRESHOLDS = tuple(round(step / 100, 2) for step in range(1, 100))


def decision_curve(truth: np.ndarray, value: np.ndarray, thresholds: tuple[float, ...] = THRESHOLDS) -> pd.DataFrame:
    """Net benefit of acting by the model, for everybody and for nobody.

    Args:
        truth: bool array of shape (n_cases,).
        value: float array of shape (n_cases,), probabilities.
        thresholds: probabilities from which one would act, in (0, 1).

    Returns:
        One row a threshold: threshold, model, everybody, nobody (0).
    """
    n, rate = len(truth), truth.mean()
    rows = []
    for threshold in thresholds:
        acted, odds = value >= threshold, threshold / (1 - threshold)
        model = (acted & truth).sum() / n - (acted & ~truth).sum() / n * odds
        rows.append((threshold, model, rate - (1 - rate) * odds, 0.0))
    return pd.DataFrame(rows, columns=["threshold", "model", "everybody", "nobody"])
