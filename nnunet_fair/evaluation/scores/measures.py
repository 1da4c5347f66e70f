"""The measures beside the challenge's score and the table of subgroups, all of one cohort."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from nnunet_fair.evaluation.metrics.ndsc import reference_share
from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.equity import equity_table
from nnunet_fair.evaluation.scores.equivalence import EQUIVALENCE_COLUMNS, equivalence_table
from nnunet_fair.evaluation.scores.lesion_table import LESION_GROUP_COLUMNS, lesion_table
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.scores.size_neutral import size_neutral_table
from nnunet_fair.evaluation.scores.volume import volume_table


@dataclass(frozen=True)
class Measures:
    """The tables of the measures, by subgroup or by attribute and combination; those without a row have columns only.

    Attributes:
        equity: group-fairness measures of the literature, see :mod:`nnunet_fair.evaluation.scores.equity`.
        equivalence: which differences are smaller than the margin; no row without one.
        size_neutral: the gap of the DSC beside gaps without lesion size.
        volume: volume errors.
        lesions: lesions found, missed and invented; no row where the lesions are not known.
        reference_share: r of the nDSC.
    """

    equity: pd.DataFrame
    equivalence: pd.DataFrame
    size_neutral: pd.DataFrame
    volume: pd.DataFrame
    lesions: pd.DataFrame
    reference_share: float


def measures_of(present: ScoredCohort, options: AnalysisOptions, lesions: pd.DataFrame | None = None) -> Measures:
    """Every measure.

    Args:
        present: the cases that hold the structure.
        options: the margin, the rule for lesions and the reference share.
        lesions: one row a lesion of any case; None where they are not known.

    Returns:
        The tables.
    """
    no_margin = pd.DataFrame(columns=list(EQUIVALENCE_COLUMNS))
    unknown = pd.DataFrame(columns=list(LESION_GROUP_COLUMNS))
    share = options.reference_share
    return Measures(
        equity=equity_table(present),
        equivalence=no_margin if options.margin is None else equivalence_table(present, options.margin),
        size_neutral=size_neutral_table(present),
        volume=volume_table(present),
        lesions=unknown if lesions is None else lesion_table(present, lesions, matching=options.lesion_matching),
        reference_share=reference_share(present.cases) if share is None else share,
    )
