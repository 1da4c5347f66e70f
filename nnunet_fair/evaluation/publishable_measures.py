"""The measures of an anonymised evaluation: nothing about fewer than five patients, by subtraction neither."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.anonymise import DIGITS, publishable_rows
from nnunet_fair.evaluation.scores.analysis import Analysis
from nnunet_fair.evaluation.scores.lesion_table import ALL_SIZES
from nnunet_fair.evaluation.scores.measures import Measures
from nnunet_fair.evaluation.scores.tails import WORST_SHARE
from nnunet_fair.subgroups.disclosure import MIN_CASES

LEAST_WORST_CASES = 2 * MIN_CASES
"""The mean of fewer worst cases could be traced back to them: there are few as bad in the table of cases."""

_OF_SINGLE_PATIENTS = ("median_dsc", "worst_decile_dsc", "median_hd95_mm")


def publishable_measures(analysis: Analysis) -> Analysis:
    """An analysis whose measures may be published; its table of subgroups may be already.

    Only the attributes that the table of subgroups shows are in the measures. The worst tenth of a group of fewer than
    100 patients is the score of a few, and is left out, and so are a group's medians and lowest decile, which are
    scores of single patients, and everything by lesion size, where a third of a group may be one patient. Numbers have
    three digits behind the point, volumes three digits: exact means would tell which of the cases are in a group.

    Args:
        analysis: with the tables of :func:`nnunet_fair.evaluation.anonymise.publishable_tables`.
    """
    subgroups = analysis.subgroups.copy()
    few = WORST_SHARE * subgroups["n"] < LEAST_WORST_CASES - 1e-9
    subgroups.loc[few, ["worst_tenth_dsc", "worst_tenth_dsc_low", "worst_tenth_dsc_high"]] = np.nan
    subgroups.loc[subgroups["kind"] != "all", list(_OF_SINGLE_PATIENTS)] = np.nan
    return dataclasses.replace(
        analysis,
        subgroups=subgroups,
        beyond=analysis.beyond.assign(size_stratified_gap=np.nan, n_size_strata=0),
        measures=_publishable(analysis.measures, set(subgroups["attributes"])),
    )


def _publishable(measures: Measures, shown: set[str]) -> Measures:
    """The measures of the attributes that are shown."""

    def of_shown(table: pd.DataFrame) -> pd.DataFrame:
        own = table[table["attributes"].isin(shown)].reset_index(drop=True)
        volumes = {name: own[name].map(_three_digits) for name in own.columns if "_mm3" in name}
        return own.assign(**volumes).round(DIGITS)

    size_neutral = of_shown(measures.size_neutral)
    equal_size = [name for name in size_neutral if "equal_size" in name]
    lesions = measures.lesions[measures.lesions["size"] == ALL_SIZES]
    return dataclasses.replace(
        measures,
        equity=of_shown(measures.equity),
        equivalence=of_shown(measures.equivalence),
        size_neutral=size_neutral.assign(**dict.fromkeys(equal_size, np.nan), n_size_strata=0, note=""),
        volume=publishable_rows(of_shown(measures.volume)),
        lesions=publishable_rows(of_shown(lesions)),
    )


def _three_digits(value: float) -> float:
    """A number with three significant digits."""
    return float(f"{value:.3g}")
