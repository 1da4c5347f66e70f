"""Two models where there is nothing to find: paired differences of their false positives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.comparison.paired_means import paired_differences_of_means
from nnunet_fair.evaluation.scores.cohort import CohortGroups
from nnunet_fair.evaluation.scores.false_positives import FALSE_POSITIVE_METRICS, false_positive_values

FALSE_POSITIVE_DIFFERENCE_COLUMNS = (
    *("subgroup", "attributes", "kind", "n"),
    *(f"{name}{end}" for name in FALSE_POSITIVE_METRICS for end in ("_a", "_b", "_difference", "_low", "_high")),
    *("decides", "reason"),
)


@dataclass(frozen=True, repr=False)
class PairedFalsePositives:
    """What two models predicted in the cases with an empty reference.

    Attributes:
        case_ids: of length n_cases, those measured in every table.
        a: float array of shape (n_seeds_a, n_cases) by metric, see ``FALSE_POSITIVE_METRICS``.
        b: float array of shape (n_seeds_b, n_cases) by metric.
    """

    case_ids: tuple[str, ...]
    a: dict[str, np.ndarray]
    b: dict[str, np.ndarray]


def pair_false_positives(frames_a: Sequence[pd.DataFrame], frames_b: Sequence[pd.DataFrame]) -> PairedFalsePositives:
    """Put the false positives of two models side by side, by case ID.

    Args:
        frames_a: one per-case table a seed of model A.
        frames_b: one per-case table a seed of model B.

    Returns:
        The cases whose reference is empty and whose masks were measured in every table; none where a table has no
        volumes.
    """
    tables = [[false_positive_values(frame) for frame in frames] for frames in (frames_a, frames_b)]
    shared = sorted(set.intersection(*(set(table.index) for table in (*tables[0], *tables[1]))))

    def stack(of_model: list[pd.DataFrame]) -> dict[str, np.ndarray]:
        return {
            name: np.stack([table.loc[shared, name].to_numpy(dtype=float) for table in of_model])
            for name in FALSE_POSITIVE_METRICS
        }

    return PairedFalsePositives(tuple(shared), stack(tables[0]), stack(tables[1]))


def false_positive_differences(
    pairs: PairedFalsePositives, groups: CohortGroups, seeds_a: np.ndarray, seeds_b: np.ndarray
) -> pd.DataFrame:
    """The paired differences in every subgroup.

    Args:
        pairs: the cases.
        groups: the groups of exactly these cases.
        seeds_a: replicate weights of A's seeds, shape (n_resamples, n_seeds_a).
        seeds_b: replicate weights of B's seeds, shape (n_resamples, n_seeds_b).

    Returns:
        Table with one row a subgroup, all cases first, and no row where there is no such case: subgroup, attributes,
        kind, n, then of each of ``FALSE_POSITIVE_METRICS`` the means of A and B, their difference and the ends of its
        interval, decides and reason.
    """
    if not pairs.case_ids:
        return pd.DataFrame(columns=list(FALSE_POSITIVE_DIFFERENCE_COLUMNS))
    options, membership = groups.options, groups.subgroups.membership
    weights = np.random.default_rng(options.seed).standard_exponential((options.n_resamples, len(pairs.case_ids)))
    table, inside = groups.subgroup_columns(), membership / membership.sum(axis=0)
    for name in FALSE_POSITIVE_METRICS:
        a, b = pairs.a[name], pairs.b[name]
        difference, ends = paired_differences_of_means(a, b, membership, weights, seeds_a, seeds_b, options.confidence)
        table[f"{name}_a"], table[f"{name}_b"] = a.mean(axis=0) @ inside, b.mean(axis=0) @ inside
        table[f"{name}_difference"], table[f"{name}_low"], table[f"{name}_high"] = difference, ends[:, 0], ends[:, 1]
    return table[list(FALSE_POSITIVE_DIFFERENCE_COLUMNS)]
