"""Patients of every group among some of the cases, and the smallest gaps that they can show."""

from __future__ import annotations

import pandas as pd

from nnunet_fair.metadata.audit.detectable_gap import detectable_gaps


def patients_of_groups(counts: pd.DataFrame, groups: pd.DataFrame, patients: pd.Series) -> list[int]:
    """Patients of every group among some cases.

    Args:
        counts: attribute and group of every group, NaN for the missing values.
        groups: table of shape (n_cases, n_attributes) of these cases, NaN where unknown.
        patients: the patient of each case, indexed by case ID.
    """
    found = []
    for row in counts.itertuples():
        values = groups[row.attribute]
        inside = values.index[values.isna() if pd.isna(row.group) else values == row.group]
        found.append(int(patients.reindex(inside).nunique()))
    return found


def gaps_of_patients(
    counts: pd.DataFrame, groups: pd.DataFrame, patients: pd.Series, sd: float, min_group: int
) -> pd.DataFrame:
    """The smallest gaps that the patients of some cases can show.

    Args:
        counts: attribute and group of every group.
        groups: table of shape (n_cases, n_attributes) of these cases, NaN where unknown.
        patients: the patient of each case, indexed by case ID.
        sd: see :func:`~nnunet_fair.metadata.audit.detectable_gap.detectable_gaps`.
        min_group: see there.
    """
    known = counts.dropna(subset="group")[["attribute", "group"]]
    known = known.assign(n=patients_of_groups(known, groups, patients))
    return detectable_gaps(known, sd, min_group=min_group)


def gaps_of_classes(
    counts: pd.DataFrame,
    groups: pd.DataFrame,
    volumes: pd.DataFrame,
    patients: pd.Series,
    sd: float,
    min_group: int,
) -> pd.DataFrame:
    """The smallest gaps of each class, among the cases that hold it or whose label is not known.

    Args:
        counts: see :func:`gaps_of_patients`.
        groups: see there, of all cases.
        volumes: volume of each class, shape (n_cases, n_classes), NaN without a label.
        patients: see there.
        sd: see there.
        min_group: see there.
    """
    tables = [
        gaps_of_patients(counts, groups[volumes[name] != 0], patients, sd, min_group).assign(**{"class": name})
        for name in volumes.columns
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["class", "attribute"])
