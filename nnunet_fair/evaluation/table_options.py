"""Which table the groups of the evaluated cases come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_fair.evaluation.scores.case_groups import CaseGroups, read_case_groups


@dataclass(frozen=True)
class TableOptions:
    """Where the groups come from.

    Attributes:
        path: ``fair_cases.csv`` or a raw table.
        variables: variables of the fairness score, None for the challenge's.
        attributes: further attributes of the subgroup table.
        id_column: the raw table's ID column.
    """

    path: Path
    variables: tuple[str, ...] | None = None
    attributes: tuple[str, ...] | None = None
    id_column: str | None = None

    def read(self, case_ids: Sequence[str]) -> CaseGroups:
        """The groups of these cases."""
        return read_case_groups(
            self.path, case_ids, variables=self.variables, attributes=self.attributes, id_column=self.id_column
        )
