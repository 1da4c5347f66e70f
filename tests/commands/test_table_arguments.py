"""Wherever a patient table is read, the same options say how."""

from __future__ import annotations

import pytest

from nnunet_fair.cli import build_parser, main
from nnunet_fair.commands.table_arguments import table_reading
from nnunet_fair.metadata.case_table import TableReading

COMMANDS = {
    "metadata": ["-d", "1", "--table", "t.xlsx", "--attributes", "sex"],
    "convert": ["-i", "root", "-d", "1"],
    "evaluate": ["-ref", "a", "-pred", "b", "-m", "t.xlsx", "-o", "out"],
    "compare": ["-ref", "a", "-a", "b", "-b", "c", "-m", "t.xlsx", "-o", "out"],
    "audit": ["-d", "1"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_with_a_table_takes_them(command):
    words = ["--id-column", "patient_id", "study_id", "--id-join", "-", "--sheet", "2", "--header-row", "3"]
    words += ["--fill-merged", "--missing-values", "NA", "99"]
    args = build_parser().parse_args([command, *COMMANDS[command], *words])
    assert table_reading(args) == TableReading(("patient_id", "study_id"), "-", "2", 3, True, ("NA", "99"))
    assert table_reading(build_parser().parse_args([command, *COMMANDS[command]])) == TableReading()


def test_messages_name_the_options(heart_dataset, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("name,age\nA,1\n")
    assert main(["metadata", "-d", "27", "--table", str(tmp_path / "t.csv"), "--attributes", "age"]) == 1
    assert "name the ID column with --id-column" in capsys.readouterr().err
