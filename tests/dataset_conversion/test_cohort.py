from __future__ import annotations

import pandas as pd
import pytest

from nnunet_fair.dataset_conversion.cohort import read_cohort
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import TableReading


@pytest.fixture
def hospital_table(cohort, tmp_path):
    """The cohort's table as a hospital may send it: a title, decimal commas, semicolons, its own name for the ID."""
    frame = pd.read_csv(cohort.table).rename(columns={"patient_id": "Nummer"})
    frame["age"] += 0.5
    path = tmp_path / "patients.csv"
    path.write_text("Registry;2024\n" + frame.to_csv(index=False, sep=";", decimal=","), encoding="utf-16")
    return path


def test_how_the_table_is_read_reaches_the_cohort(cohort, hospital_table):
    usual = read_cohort(cohort.root)
    found = read_cohort(cohort.root, table=hospital_table, reading=TableReading("Nummer"))
    assert found.splits == usual.splits
    assert (found.table["age"] - 0.5).to_dict() == usual.table["age"].to_dict()
    notes = " ".join(found.table_notes(["age"]))
    for told in ("stand in row 2", "separated by semicolons", "UTF-16", "'30,5' is read as 30.5"):
        assert told in notes
    with pytest.raises(UserError, match="no row names an ID column: name it with `id_column`"):
        read_cohort(cohort.root, table=hospital_table)


def test_a_row_that_lost_a_field_is_refused(cohort, hospital_table):
    lines = hospital_table.read_text(encoding="utf-16").splitlines()
    lines[4] = lines[4].rpartition(";")[0]
    hospital_table.write_text("\n".join(lines), encoding="utf-16")
    with pytest.raises(UserError, match=r"row 5 \(it begins 'DUKE_003'\) has 4 of 5 fields"):
        read_cohort(cohort.root, table=hospital_table, reading=TableReading("Nummer"))
