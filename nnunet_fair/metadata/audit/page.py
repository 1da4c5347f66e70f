"""The audit as one page and one table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.files import remove_leftovers, write_csv, write_text
from nnunet_fair.locks import folder_lock
from nnunet_fair.metadata.audit.audit import Audit
from nnunet_fair.metadata.audit.group_tables import MISSING
from nnunet_fair.metadata.group_order import ordered_groups
from nnunet_fair.outputs import begins_with, is_page, refuse_foreign, refuse_inputs
from nnunet_fair.pages.page import Templates

MIN_PATIENTS = 5
_SHOWN = 3
PAGE, TABLE = "audit.html", "audit.csv"
TABLE_COLUMNS = ("section", "attribute", "group", "other", "other_group", "measure", "value")


def write_audit(audit: Audit, output: Path, inputs: Iterable[Path | None] = ()) -> tuple[Path, Path]:
    """Write ``audit.html`` and ``audit.csv``.

    Args:
        audit: what was found.
        output: the folder; made where it does not exist, the files of an earlier audit are replaced.
        inputs: what was read for it; None for a file that was not given.

    Returns:
        The two files.

    Raises:
        UserError: an input or somebody else's file would be overwritten, or another run is writing there.
    """
    page, table = output / PAGE, output / TABLE
    refuse_inputs(output, inputs, names=(PAGE, TABLE))
    refuse_foreign(page, is_page(page))
    refuse_foreign(table, begins_with(table, ",".join(TABLE_COLUMNS)))
    with folder_lock(output):
        output.mkdir(parents=True, exist_ok=True)
        remove_leftovers(output)
        write_csv(audit_table(audit), table)
        write_text(audit_page(audit), page)
    return page, table


def audit_table(audit: Audit) -> pd.DataFrame:
    """Every number of the audit, one a row: section, attribute, group, other, other_group, measure, value."""
    sections = [
        _long(
            "groups",
            audit.groups.assign(group=audit.groups["group"].fillna(MISSING)),
            ("n", "share", "patients", "patients_labelled"),
        ),
        _long("intersections", audit.pairs, ("n",)),
        _long("patients of intersections", audit.pairs, ("patients",)),
        _long("intersections of three", audit.triples, ("n", "patients")),
        _long("missing", audit.missingness, ("n", "n_missing", "share")),
        _long("sizes", audit.sizes, tuple(audit.sizes.columns.drop(["attribute", "group"]))),
        _long("association", audit.association, ("n", "v", "v_corrected")),
        _long("smallest gaps", audit.gaps, ("gap_largest", "gap_smallest", "gap_one_to_others")),
    ]
    if not audit.classes.empty:
        measures = tuple(audit.classes.columns.drop(["attribute", "group", "class"]))
        sections.append(_long("classes", audit.classes.rename(columns={"class": "other"}), measures))
        gaps = audit.class_gaps.rename(columns={"class": "other"})
        sections.append(_long("smallest gaps", gaps, ("gap_largest", "gap_smallest", "gap_one_to_others")))
    if audit.folds is not None:
        sections.append(_long("folds", audit.folds.reset_index(), tuple(audit.folds.columns)))
    return pd.concat(sections, ignore_index=True)[list(TABLE_COLUMNS)]


def audit_page(audit: Audit) -> str:
    """The page, complete in itself."""
    return TEMPLATES.page(
        "audit.html",
        {
            "title": f"Audit of {audit.dataset}",
            "audit": audit,
            "crosstabs": _crosstabs(audit),
            "triples": _triples(audit.triples),
            "matrix": _matrix(audit.association),
            "missing": MISSING,
            "min_patients": MIN_PATIENTS,
        },
    )


def _long(section: str, table: pd.DataFrame, measures: tuple[str, ...]) -> pd.DataFrame:
    """A section's table with one row a number."""
    names = [name for name in ("attribute", "group", "other", "other_group") if name in table.columns]
    long = table.melt(id_vars=names, value_vars=list(measures), var_name="measure", value_name="value")
    return long.assign(section=section).reindex(columns=list(TABLE_COLUMNS)).astype({"value": float})


def _crosstabs(audit: Audit) -> list[dict[str, Any]]:
    """A table of counts for every pair of attributes, those with a scanner first."""
    tables = []
    for (first, second), rows in audit.pairs.groupby(["attribute", "other"], sort=False):
        if second in audit.scanners and first not in audit.scanners:
            names = {"attribute": "other", "group": "other_group", "other": "attribute", "other_group": "group"}
            first, second, rows = second, first, rows.rename(columns=names)
        counts = rows.pivot(index="group", columns="other_group", values="patients")
        counts = counts.loc[ordered_groups(counts.index), ordered_groups(counts.columns)]
        is_scanner = first in audit.scanners or second in audit.scanners
        tables.append({"first": first, "second": second, "counts": counts, "is_scanner": is_scanner})
    return sorted(tables, key=lambda table: not table["is_scanner"])


def _triples(triples: pd.DataFrame) -> list[dict[str, Any]]:
    """Of each three attributes how many intersections occur, how many of them are small, and the smallest ones."""
    return [
        {
            "attribute": attribute,
            "n": len(rows),
            "n_small": int((rows["patients"] < MIN_PATIENTS).sum()),
            "smallest": [f"{row.group} ({row.patients})" for row in rows[::-1][:_SHOWN].itertuples()],
        }
        for attribute, rows in triples.groupby("attribute", sort=False)
    ]


def _matrix(association: pd.DataFrame) -> dict[tuple[str, str], float]:
    values = {}
    for row in association.itertuples():
        values[row.attribute, row.other] = values[row.other, row.attribute] = row.v_corrected
    return values


def _short(value: float, digits: int = 3) -> str:
    """A number for people; an empty dash where there is none."""
    return "–" if pd.isna(value) else f"{value:,.{digits}f}"


TEMPLATES = Templates(
    Path(__file__).parent, filters={"short": _short, "percent": lambda share: f"{100 * share:.0f} %"}, names={}
)
