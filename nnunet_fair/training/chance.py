"""How strong a training's evidence would be by chance: its scores against attributes dealt out at random.

A search among many subgroups always finds one that does worst. What its probability is worth shows only beside those
that the same search finds where there is nothing to find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.training.finder import SubgroupFinder

MEASURES = ("largest_probability", "weight_spread")


@dataclass(frozen=True, repr=False)
class Finding:
    """What one table of attributes gives.

    Attributes:
        subgroup: the most probably disadvantaged one; "" where none has a probability.
        largest_probability: its probability, 0 where there is none.
        weight_spread: standard deviation of the training cases' weights before smoothing.
    """

    subgroup: str
    largest_probability: float
    weight_spread: float


def find(finder: SubgroupFinder, scores: pd.Series) -> Finding:
    """The subgroup that a training's refresh would call disadvantaged, and how far its weights would spread.

    Args:
        finder: of the training's attribute table, settings and method.
        scores: score in [0, 1] of each training case, indexed by case ID; NaN where there is none.
    """
    refresh = finder.refresh(scores)
    probable = refresh.divergence.dropna(subset=["probability"])
    spread = float(np.std(refresh.weights))
    if probable.empty:
        return Finding("", 0.0, spread)
    top = probable.loc[probable["probability"].idxmax()]
    return Finding(str(top["subgroup"]), float(top["probability"]), spread)


def dealt_out(cases: pd.DataFrame, patient_of: pd.Series, seed: int | tuple[int, ...]) -> pd.DataFrame:
    """An attribute table with the patients' rows dealt out at random: every combination of values keeps its patients.

    Args:
        cases: attribute table indexed by case ID; the cases of a patient count as having the values of the first.
        patient_of: the patient of each case, by case ID.
        seed: of the permutation.
    """
    patient = patient_of.loc[cases.index]
    rows = cases[~patient.duplicated().to_numpy()].set_axis(patient.drop_duplicates()).sort_index()
    dealt = rows.iloc[np.random.default_rng(seed).permutation(len(rows))].set_axis(rows.index)
    return dealt.loc[patient].set_axis(cases.index)


def permutation_p(observed: float, by_chance: np.ndarray) -> float:
    """The p value of a permutation test, the observed table counted among the permuted ones (Phipson and Smyth 2010).

    Args:
        observed: the value on the real table.
        by_chance: float array, the values on the permuted ones.
    """
    return float((1 + np.sum(by_chance >= observed)) / (1 + len(by_chance)))
