"""Which case trains, which tests, and in which fold."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.case import Split
from nnunet_fair.dataset_conversion.findings import Finding
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import clean_text
from nnunet_fair.metadata.folds import stratified_folds
from nnunet_fair.metadata.mama_mia import build_attributes
from nnunet_fair.metadata.raw_table import HeaderSearch
from nnunet_fair.metadata.text_table import read_text_table

STRATIFY_BY = ("centre", "age", "menopause", "breast_density")
_MAX_DENOMINATOR = 20  # test fractions are drawn as p of q stratified parts

TRAIN_COLUMN = "train_split"
TEST_COLUMN = "test_split"


def read_split_file(path: Path) -> dict[str, set[Split]]:
    """The parts each case is listed in.

    Args:
        path: ``train_test_splits.csv``: columns ``train_split`` and ``test_split`` of case IDs, the shorter one padded
            with empty cells.

    Returns:
        Case ID (upper case) to ``{"Tr"}``, ``{"Ts"}`` or, where the file contradicts itself, both.

    Raises:
        UserError: the file cannot be read or lacks a column.
    """
    table = read_text_table(path, HeaderSearch((TRAIN_COLUMN, TEST_COLUMN)))
    missing = [column for column in (TRAIN_COLUMN, TEST_COLUMN) if table.names.count(column) != 1]
    if missing:
        found = f"{', '.join(map(repr, table.names))}"
        raise UserError(f"{path} has no column {missing[0]!r}, or has it twice; found {found}")
    parts: dict[str, set[Split]] = {}
    columns: tuple[tuple[str, Split], ...] = ((TRAIN_COLUMN, "Tr"), (TEST_COLUMN, "Ts"))
    for column, part in columns:
        position = table.names.index(column)
        for _, cells in table.rows:
            if case_id := clean_text(str(cells[position])):
                parts.setdefault(case_id.upper(), set()).add(part)
    return parts


def split_of_case(case_id: str, parts: dict[str, set[Split]]) -> Split | Finding:
    """The part a case belongs to, or why that is unclear."""
    found = parts.get(case_id, set())
    if len(found) == 1:
        return next(iter(found))
    where = "listed as training and as test case" if found else "not listed"
    return Finding(findings.NOT_IN_SPLIT, f"{where} in train_test_splits.csv")


def strata(frame: pd.DataFrame) -> pd.DataFrame:
    """The groups that folds are stratified by: centre, age group, menopause, density, where the table has them.

    Args:
        frame: the cohort's table, indexed by case ID.
    """
    return build_attributes(frame, STRATIFY_BY)


def draw_test_cases(groups: pd.DataFrame, fraction: float, seed: int) -> set[str]:
    """A stratified test set.

    Args:
        groups: from ``strata``.
        fraction: share of the cases, at least 0 and below 1; rounded to a fraction with a denominator of at most 20.
        seed: the same seed and the same cases give the same test set.

    Raises:
        UserError: the fraction is out of range or there are too few cases for it.
    """
    if not 0 <= fraction < 1:
        raise UserError(f"expected a test fraction of at least 0 and below 1, found {fraction:g}")
    share = Fraction(fraction).limit_denominator(_MAX_DENOMINATOR)
    if share == 0:
        return set()
    if share == 1:
        raise UserError(f"a test fraction of {fraction:g} leaves too few training cases; expected at most 0.95")
    parts = stratified_folds(groups, n_folds=share.denominator, seed=seed)
    return {case_id for part in parts[: share.numerator] for case_id in part["val"]}


def same_cases(folds: Any, case_ids: Collection[str]) -> bool:
    """Whether a ``splits_final.json`` speaks of exactly these training cases in every fold."""
    try:
        return bool(folds) and all({*fold["train"], *fold["val"]} == set(case_ids) for fold in folds)
    except (TypeError, KeyError):
        return False
