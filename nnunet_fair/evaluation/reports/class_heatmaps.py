"""Heat maps of group and class, one an attribute."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from nnunet_fair.evaluation.reports.figures import class_figure
from nnunet_fair.evaluation.reports.page import Picture, svg
from nnunet_fair.evaluation.scores.classes import stacked


def heatmaps_of_classes(tables: Mapping[str, pd.DataFrame], column: str, meaning: str) -> list[Picture]:
    """A heat map for each attribute that has two groups which may decide.

    Args:
        tables: the table of subgroups of each class; none gives no picture.
        column: what is shown, ``divergence`` or ``difference`` of the mean DSC.
        meaning: what that is, after "mean DSC of".
    """
    if not tables:
        return []
    table = stacked(tables)
    groups = table[table["kind"] == "group"]
    pictures = []
    for attribute in groups["attributes"].unique():
        of_attribute = groups[groups["attributes"] == attribute]
        if of_attribute.loc[of_attribute["decides"], "subgroup"].nunique() > 1:
            pictures.append(
                svg(
                    class_figure(of_attribute, list(tables), column=column),
                    f"Heat map of the {column} of the mean DSC by class and {attribute}; the numbers are in the tables "
                    "of the classes.",
                    f"{attribute}: mean DSC of {meaning}, of each class. In brackets: few cases.",
                )
            )
    return pictures
