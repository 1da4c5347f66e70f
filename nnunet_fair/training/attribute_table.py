"""What a training reads of the patients: ``fair_cases.csv``, and of it the attributes the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.fair_cases import read_fair_cases


def chosen_attributes(metadata: pd.DataFrame, attributes: Sequence[str] | None) -> pd.DataFrame:
    """The columns the setting ``attributes`` names; all of them for None.

    Raises:
        UserError: one of them is not there.
    """
    if attributes is None:
        return metadata
    missing = [name for name in attributes if name not in metadata.columns]
    if missing:
        raise UserError(
            f'setting "attributes" names {missing[0]!r}, which fair_cases.csv lacks; its attributes are '
            f"{', '.join(metadata.columns)}"
        )
    return metadata[list(attributes)]


def read_metadata(path: Path) -> pd.DataFrame:
    """The attribute table for training.

    Raises:
        UserError: the file cannot be used, or has no attribute at all.
    """
    metadata = read_fair_cases(path)
    if metadata.columns.empty:
        raise UserError(f"{path} has no attribute column beside the case ID; make it again with nnunet_fair metadata")
    return metadata
