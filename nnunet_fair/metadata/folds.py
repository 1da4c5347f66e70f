"""Cross-validation folds in which every attribute's groups are spread evenly, in nnU-Net's format."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.metadata.group_order import ordered_groups


def stratified_folds(
    groups: pd.DataFrame, n_folds: int = 5, seed: int = 0, *, patients: pd.Series | None = None
) -> list[dict[str, list[str]]]:
    """Split cases into folds stratified by all attributes together.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011) on the one-hot groups; a missing value
    counts as a group of its own here, so that unknowns are spread as well. It may leave fold sizes a few cases apart;
    cases are then moved, those that cost the least balance first, until sizes differ by at most one.

    Args:
        groups: table of shape (n_cases, n_attributes) indexed by case ID; NaN where unknown.
        n_folds: number of folds, 2 or more.
        seed: the same seed and the same cases give the same folds, whatever the order of the rows.
        patients: patient of each case, shape (n_cases,), indexed by case ID. All cases of a patient come into the same
            fold, and patients instead of cases are spread evenly; a case whose patient is missing stands for itself.

    Returns:
        ``splits_final.json``'s content: one ``{"train": [...], "val": [...]}`` a fold, IDs sorted; every case is in
        exactly one ``val``.

    Raises:
        UserError: fewer than two folds, or fewer cases (or patients) than folds.
    """
    if n_folds < 2:
        raise UserError(f"expected 2 or more folds, found {n_folds}")
    groups = groups.sort_index()
    unit_of_case, n_units = _units(groups.index, patients)
    if n_units < n_folds:
        units = "cases" if patients is None else "patients"
        raise UserError(f"{n_units} {units} cannot fill {n_folds} folds; ask for fewer folds")
    # A patient belongs to every group that one of the patient's cases belongs to.
    case_one_hot = _one_hot(groups)
    one_hot = np.zeros((n_units, case_one_hot.shape[1]), dtype=bool)
    np.logical_or.at(one_hot, unit_of_case, case_one_hot)
    # The stratifier breaks ties at random, which matters for small cohorts: the best of several draws is kept.
    n_draws = min(20, max(1, 2000 // n_units))
    draws = (
        _even_sizes(_iterative_stratification(one_hot, n_folds, [seed, draw]), one_hot, n_folds)
        for draw in range(n_draws)
    )
    fold_of_unit = min(draws, key=lambda drawn: _imbalance(drawn, one_hot, n_folds))
    fold_of_case = fold_of_unit[unit_of_case]
    case_ids = groups.index.to_numpy()
    return [
        {"train": case_ids[fold_of_case != fold].tolist(), "val": case_ids[fold_of_case == fold].tolist()}
        for fold in range(n_folds)
    ]


def read_folds(path: str | os.PathLike) -> list[list[str]]:
    """The validation cases of each fold.

    Args:
        path: ``splits_final.json``.

    Raises:
        UserError: it holds something else.
    """
    try:
        return [list(map(str, fold["val"])) for fold in read_json(path, kind=list)]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is no list of folds with 'train' and 'val' ({error})") from error


def fold_balance(groups: pd.DataFrame, folds: list[dict[str, list[str]]]) -> pd.DataFrame:
    """Count each group's validation cases in every fold.

    Args:
        groups: table of shape (n_cases, n_attributes) indexed by case ID; NaN where unknown.
        folds: as from ``stratified_folds``.

    Returns:
        Counts indexed by (attribute, group), one column ``fold_0``, ``fold_1``, … a fold; the first row,
        ``("all", "cases")``, has the fold sizes; missing values are the group ``(missing)``.
    """
    filled = groups.astype(object).where(groups.notna(), "(missing)")
    columns = {}
    for fold, split in enumerate(folds):
        held_out = filled.loc[split["val"]]
        counts = {("all", "cases"): len(held_out)}
        for attribute in filled.columns:
            for group in ordered_groups(filled[attribute].astype(str).unique()):
                counts[(attribute, group)] = int((held_out[attribute].astype(str) == group).sum())
        columns[f"fold_{fold}"] = pd.Series(counts)
    balance = pd.DataFrame(columns)
    balance.index = balance.index.set_names(["attribute", "group"])
    return balance


def _units(case_ids: pd.Index, patients: pd.Series | None) -> tuple[np.ndarray, int]:
    """Number of the patient of each case, and how many patients there are; every case is its own without patients."""
    if patients is None:
        return np.arange(len(case_ids)), len(case_ids)
    patients = patients.reindex(case_ids)
    # Tuples keep a case without a patient apart from a patient of the same name.
    names = [("case", case) if pd.isna(name) else ("patient", str(name)) for case, name in patients.items()]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names]), len(numbers)


def _one_hot(groups: pd.DataFrame) -> np.ndarray:
    """Bool (n_cases, n_groups): one column for each group of each attribute, missing included."""
    filled = groups.astype(object).where(groups.notna(), "(missing)")
    encoded = [pd.get_dummies(filled[attribute].astype(str)).to_numpy(dtype=bool) for attribute in groups.columns]
    matrix = np.concatenate(encoded, axis=1) if encoded else np.zeros((len(groups), 0), dtype=bool)
    return matrix[:, matrix.any(axis=0)]


def _iterative_stratification(one_hot: np.ndarray, n_folds: int, seed: list[int]) -> np.ndarray:
    """Fold number of each case, shape (n_cases,)."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    # The stratifier wants at least two label columns; constant ones change nothing.
    labels = np.concatenate([one_hot, np.ones((len(one_hot), 2), dtype=bool)], axis=1).astype(int)
    splitter = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=np.random.RandomState(seed))
    fold_of_case = np.empty(len(labels), dtype=int)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(labels)), labels)):
        fold_of_case[held_out] = fold
    return fold_of_case


def _imbalance(fold_of_case: np.ndarray, one_hot: np.ndarray, n_folds: int) -> float:
    """Squared differences of the groups' counts per fold from an even spread, each relative to the even spread."""
    even = one_hot.sum(axis=0) / n_folds
    counts = np.stack([one_hot[fold_of_case == fold].sum(axis=0) for fold in range(n_folds)])
    return float((((counts - even) ** 2) / np.maximum(even, 1)).sum())


def _even_sizes(fold_of_case: np.ndarray, one_hot: np.ndarray, n_folds: int) -> np.ndarray:
    """Move cases from the largest to the smallest fold, least loss of balance first, until sizes are even."""
    fold_of_case = fold_of_case.copy()
    membership = one_hot.astype(int)
    while True:
        sizes = np.bincount(fold_of_case, minlength=n_folds)
        largest, smallest = int(sizes.argmax()), int(sizes.argmin())
        if sizes[largest] - sizes[smallest] <= 1:
            return fold_of_case
        candidates = np.flatnonzero(fold_of_case == largest)
        surplus = membership[candidates].sum(axis=0) - membership[fold_of_case == smallest].sum(axis=0)
        gain = (membership[candidates] * surplus).sum(axis=1)
        fold_of_case[candidates[int(gain.argmax())]] = smallest
