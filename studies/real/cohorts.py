"""The two cohorts: which attributes, which groups may count, what is held out for the shift.

All of this but ``worst`` was decided before the first training; ``docs/effect-real.md`` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from nnunet_fair.metadata.case_table import text_value

SIZE = "lesion_size"
SIZES = ("small", "middle", "large")
"""Attribute of the comparison only: thirds of the labelled area or volume. Training never sees it."""

SITE = "site"
"""Attribute of the external shift's comparison only: ``held out`` or ``trained on``."""

LEAST_PATIENTS = 30
"""Groups with fewer patients are shown and decide nothing."""


@dataclass(frozen=True)
class Cohort:
    """One cohort.

    Attributes:
        key: its name on the command line.
        title: for tables.
        dataset: nnU-Net's name of it.
        folder: name of the prepared folder at ``NNUNET_FAIR_DATA``.
        archive: a file that the public archive has, by which it is known.
        attributes: columns of the table that training and comparison use.
        edges: edges of the groups of a numeric attribute.
        merged: values of an attribute that count as one, ``{attribute: {value: group}}``.
        shift: the attribute whose ``held_out`` values no training of the external shift sees.
        held_out: these values.
        worst: attribute and group that stock nnU-Net's cross-validation served worst, which only the oracle knows.
        decides: whether this cohort chooses the method that the other one confirms.
    """

    key: str
    title: str
    dataset: str
    folder: str
    archive: str
    attributes: tuple[str, ...]
    edges: dict[str, tuple[float, ...]]
    merged: dict[str, dict[str, str]]
    shift: str
    held_out: tuple[str, ...]
    worst: tuple[str, str]
    decides: bool

    @property
    def number(self) -> int:
        """nnU-Net's number of the dataset."""
        return int(self.dataset[7:10])

    def groups(self, table: pd.DataFrame) -> pd.DataFrame:
        """The attributes as groups.

        Args:
            table: the cohort's table indexed by case ID, as ``prepare`` writes it; NaN where unknown.

        Returns:
            Table of the same rows with the columns ``attributes``.
        """
        columns = {}
        for name in self.attributes:
            values = table[name].map(text_value)
            if name in self.edges:
                edges = self.edges[name]
                labels = [f"{low:g}-{high:g}" for low, high in pairwise(edges)]
                number = pd.to_numeric(values)
                values = pd.cut(number, list(edges), right=False, labels=labels).astype(object)
            columns[name] = values.replace(self.merged.get(name, {}))
        return pd.DataFrame(columns, index=table.index, dtype=object)


LGG = Cohort(
    key="lgg",
    title="LGG, brain MRI",
    dataset="Dataset701_LGG",
    folder="Dataset701_LGG110",
    archive="data.csv",
    attributes=("centre", "age", "sex", "race", "histology", "grade", "laterality", "location", "sequences"),
    edges={"age": (0, 40, 55, 120)},
    merged={"sequences": {"FLAIR only": "incomplete", "no post-contrast": "incomplete"}},
    shift="centre",
    held_out=("Case Western St Joseph", "UNC"),
    worst=("age", "40-55"),
    decides=True,
)
BUSBRA = Cohort(
    key="busbra",
    title="BUS-BRA, breast ultrasound",
    dataset="Dataset702_BUSBRA",
    folder="Dataset702_BUSBRA",
    archive="bus_data.csv",
    attributes=("scanner", "pathology", "birads", "view"),
    edges={},
    merged={"view": {"dual left": "dual", "dual right": "dual"}},
    shift="scanner",
    held_out=("Toshiba Aplio 300", "U-Systems"),
    worst=("scanner", "Toshiba Aplio 300"),
    decides=False,
)
COHORTS = {cohort.key: cohort for cohort in (LGG, BUSBRA)}
