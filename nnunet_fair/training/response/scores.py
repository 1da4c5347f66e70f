"""How well an epoch's logits tell the validation patients' outcomes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata


def patient_auc(case_ids: Sequence[str], logits: np.ndarray, outcomes: Mapping[str, float]) -> tuple[float, int]:
    """The area under the ROC curve over patients, each with the mean of the logits of its patches.

    Args:
        case_ids: of the patches.
        logits: float array of shape (n_patches,).
        outcomes: 0 or 1 by case ID, at least of these cases.

    Returns:
        The area, equal means counting half, NaN where the patients have one outcome only; and the number of patients.
    """
    patients, number = np.unique(np.asarray(case_ids), return_inverse=True)
    means = np.bincount(number, weights=np.asarray(logits, dtype=float)) / np.bincount(number)
    truth = np.array([outcomes[patient] for patient in patients.tolist()]) == 1
    n_with, n_without = int(truth.sum()), int((~truth).sum())
    if not n_with or not n_without:
        return float("nan"), len(patients)
    rank_sum = rankdata(means)[truth].sum()
    return float((rank_sum - n_with * (n_with + 1) / 2) / (n_with * n_without)), len(patients)
