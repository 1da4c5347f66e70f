"""From scores to the frequent subgroups of the scored cases and the weights of the training cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnunet_fair.subgroups.divergence import subgroup_divergence
from nnunet_fair.subgroups.evidence import MISSING
from nnunet_fair.subgroups.itemsets import Subgroups, mine_subgroups
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.method import FairMethod
from nnunet_fair.training.search import Search


@dataclass(frozen=True, repr=False)
class Refresh:
    """What one refresh found.

    Attributes:
        weights: float array of shape (n_train,), one a training case in the order given; mean 1 except under the
            published rule.
        subgroup: each training case's S*, by name, of length n_train; "" for a case in no disadvantaged subgroup.
        divergence: the table of ``subgroup_divergence`` over the scored cases, the most negative first, with a further
            column ``probability``: that the subgroup is the disadvantaged one; NaN where the search is for the lowest.
        note: why the weights are neutral, in one sentence; "" where they are not.
        without_structure: the same table of the cases that have none of the scored classes, over the shares of their
            patches without a false voxel; None where they are not weighed.
    """

    weights: np.ndarray
    subgroup: tuple[str, ...]
    divergence: pd.DataFrame
    note: str = ""
    without_structure: pd.DataFrame | None = None

    def __repr__(self) -> str:
        return f"Refresh(n_train={len(self.weights)}, n_subgroups={len(self.divergence)})"


@dataclass(frozen=True, repr=False)
class _Mined:
    """The frequent subgroups of one set of scored cases, and the search fitted to them."""

    scored: tuple[str, ...]
    subgroups: Subgroups
    search: Search


class SubgroupFinder:
    """Finds the frequent subgroups of the scored cases and turns scores into weights of the training cases.

    Subgroups are frequent among the *scored* cases, so they are mined again when that set changes, which it stops
    doing once every case has been seen; after that a refresh is two matrix products.

    Args:
        cases: attribute table of shape (n_scorable, n_attributes), indexed by case ID: every case that may be scored
            and has metadata.
        train_cases: attribute table of the training cases, of shape (n_train, n_attributes); a case without metadata
            has a row of missing values.
        config: the settings.
        method: how to search and to weigh.
    """

    def __init__(self, cases: pd.DataFrame, train_cases: pd.DataFrame, config: FairConfig, method: FairMethod) -> None:
        self._cases = cases
        self.train_cases = train_cases
        self._config = config
        self._method = method
        self._mined: _Mined | None = None

    def __repr__(self) -> str:
        return f"SubgroupFinder(n_scorable={len(self._cases)}, n_train={len(self.train_cases)})"

    def refresh(self, scores: pd.Series) -> Refresh:
        """Weigh the training cases by what is known now.

        Args:
            scores: one score in [0, 1] a case, indexed by case ID, NaN where a case has none yet; cases without
                metadata count towards the average of all but are in no subgroup.

        Returns:
            The weights and where they come from; neutral weights, with the reason, where nothing can be said.
        """
        scores = scores[np.isfinite(scores.to_numpy(dtype=float))]
        if len(scores) == 0:
            return self._neutral("no case has been scored yet")
        mined = self._mine(scores.index)
        divergence = subgroup_divergence(mined.subgroups, scores.to_numpy(dtype=float))
        if len(divergence) == 0:
            return self._neutral(f"no subgroup is frequent among the {len(scores)} scored cases", divergence)
        spread = float(scores.std(ddof=0))
        if not spread > 0:
            return self._neutral(f"all {len(scores)} scored cases have the same score", divergence)
        found = mined.search.shortfalls(scores, divergence, self._config.min_t)
        divergence = divergence.assign(probability=found.probability)
        names = mined.subgroups.names
        return Refresh(
            weights=self._method.weigh(found.amount, spread, self._config),
            subgroup=tuple(names[index] if index >= 0 else "" for index in found.subgroup),
            divergence=divergence.sort_values("divergence", kind="stable", ignore_index=True),
            note="" if (found.subgroup >= 0).any() else "no training case is in a subgroup below average",
        )

    def _mine(self, scored: pd.Index) -> _Mined:
        if self._mined is None or self._mined.scored != tuple(scored):
            known = self._cases.reindex(scored)
            subgroups = mine_subgroups(
                self._filled(known),
                min_support=self._config.min_support,
                min_cases=self._method.min_cases,
                max_items=self._config.max_items,
            )
            search = self._method.search(subgroups, known, self.train_cases, self._filled(self.train_cases))
            self._mined = _Mined(tuple(scored), subgroups, search)
        return self._mined

    def _filled(self, cases: pd.DataFrame) -> pd.DataFrame:
        """The table with missing values as a group of their own, where the method asks for it.

        A case without any metadata stays in no group.
        """
        if not self._method.missing_as_group:
            return cases
        return cases.where(cases.notna() | cases.isna().all(axis=1).to_numpy()[:, None], MISSING)

    def _neutral(self, note: str, divergence: pd.DataFrame | None = None) -> Refresh:
        n_train = len(self.train_cases)
        empty = subgroup_divergence(Subgroups((), (), np.zeros((0, 0), dtype=bool)), np.zeros(0))
        table = (empty if divergence is None else divergence).assign(probability=np.nan)
        return Refresh(np.ones(n_train), ("",) * n_train, table, note)
