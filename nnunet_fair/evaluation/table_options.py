"""Which table the groups of the evaluated cases come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_fair.evaluation.scores.case_groups import CaseGroups, read_case_groups
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.subgroups.options import MIN_GROUP


@dataclass(frozen=True)
class TableOptions:
    """Where the groups come from.

    Attributes:
        path: ``fair_cases.csv`` or a raw table.
        variables: variables of the fairness score, None for the challenge's.
        attributes: further attributes of the subgroup table.
        reading: how a raw table is to be read, where it does not speak for itself.
        min_group: smaller groups of an attribute with very many are pooled.
    """

    path: Path
    variables: tuple[str, ...] | None = None
    attributes: tuple[str, ...] | None = None
    reading: TableReading = field(default_factory=TableReading)
    min_group: int = MIN_GROUP

    def read(self, case_ids: Sequence[str]) -> CaseGroups:
        """The groups of these cases."""
        return read_case_groups(
            self.path,
            case_ids,
            variables=self.variables,
            attributes=self.attributes,
            reading=self.reading,
            min_group=self.min_group,
        )
