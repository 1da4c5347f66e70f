"""The per-case table of one dataset: ``fair_cases.csv``, one row a case, one column an attribute.

It lies beside the data (``nnUNet_preprocessed/DatasetXXX_NAME/``, else ``nnUNet_raw/DatasetXXX_NAME/``), is read while
training and evaluating, and never becomes part of a model.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import with_formula, write_csv
from nnunet_fair.metadata.raw_table import HeaderSearch
from nnunet_fair.metadata.text_table import read_text_table
from nnunet_fair.paths import PREPROCESSED, RAW, dataset_name

FAIR_CASES = "fair_cases.csv"
CASE_ID = "case_id"


def read_fair_cases(path: str | os.PathLike) -> pd.DataFrame:
    """Read ``fair_cases.csv``.

    Args:
        path: the file.

    Returns:
        Table of shape (n_cases, n_attributes) indexed by case ID (``str``); every value is a ``str`` group name or
        missing (NaN). Only an empty cell is missing: a group called ``nan`` or ``NA`` stays a group.

    Raises:
        UserError: no such file, no column ``case_id``, a row without an ID or a case ID that occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no case metadata at {path}; nnunet_fair convert or nnunet_fair metadata writes it")
    table = read_text_table(path, HeaderSearch((CASE_ID,)))
    names = [with_formula(name) for name in table.names]
    if CASE_ID not in names:
        raise UserError(f"{path} has no column {CASE_ID!r}; found {', '.join(map(repr, names))}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: column {twice!r} occurs more than once; give every column its own name")
    columns = {
        name: pd.Series([with_formula(str(cells[k])) or float("nan") for _, cells in table.rows], dtype=object)
        for k, name in enumerate(names)
    }
    ids = columns.pop(CASE_ID)
    if ids.isna().any():
        raise UserError(f"{path}: {int(ids.isna().sum())} rows have no {CASE_ID}; give each row its case's ID")
    duplicated = ids[ids.duplicated()].unique()
    if len(duplicated):
        raise UserError(f"{path}: case ID {duplicated[0]!r} occurs more than once; keep one row a case")
    return pd.DataFrame(columns, dtype=object).set_axis(pd.Index(ids, name=CASE_ID, dtype=object), axis="index")


def write_fair_cases(frame: pd.DataFrame, folder: str | os.PathLike) -> Path:
    """Write ``fair_cases.csv`` into a dataset's folder, atomically.

    Args:
        frame: table of shape (n_cases, n_attributes) indexed by case ID; group names, NaN where unknown.
        folder: an existing folder, the raw or the preprocessed one of the dataset.

    Returns:
        The path written.
    """
    path = Path(folder) / FAIR_CASES
    write_csv(frame.rename_axis(CASE_ID).reset_index(), path)
    return path


def find_fair_cases(dataset: str | int) -> Path:
    """The ``fair_cases.csv`` of a dataset: the preprocessed folder's first, else the raw folder's.

    Raises:
        UserError: neither has one; the message says where it was looked for and how to make it.
    """
    name = dataset_name(dataset)
    candidates = [Path(os.environ[root]) / name / FAIR_CASES for root in (PREPROCESSED, RAW) if os.environ.get(root)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(
        f"no case metadata for {name}: looked for {' and '.join(map(str, candidates))}; make it with nnunet_fair "
        f"metadata -d {name} --table FILE --id-column COLUMN --attributes … (or nnunet_fair convert for MAMA-MIA)"
    )
