"""Damaged files of every format end in a sentence or are read as they were meant; benchmarks/faults counts more."""

import json

import pandas as pd
import pytest

from benchmarks.faults import tables
from benchmarks.faults.formats import DATASET, dataset_folders, formats, outcome, try_formats
from benchmarks.faults.images import KINDS, try_images
from benchmarks.faults.tables import try_tables
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.metadata.case_table import CaseTable


@pytest.mark.slow
def test_two_thousand_damaged_files(capsys):
    table = try_formats(formats(), 2000, seed=7, show=True)
    assert table["tried"].sum() >= 2000
    assert table["tracebacks"].sum() == 0, capsys.readouterr().out
    # Both happen: the damage is neither harmless nor always fatal.
    assert (table["refused"].sum() > 500) and (table["read"].sum() > 300)


@pytest.mark.parametrize("sound", formats(), ids=lambda sound: sound.name)
def test_the_sound_file_is_read(tmp_path, sound):
    folder = tmp_path / DATASET
    folder.mkdir()
    (folder / sound.name).write_bytes(sound.content)
    with dataset_folders(str(tmp_path)):
        assert outcome(lambda: sound.read(folder)) == "read"


@pytest.mark.slow
def test_no_patient_gets_another_ones_value_from_a_damaged_table(capsys):
    table = try_tables(2000, seed=7, show=True).set_index("damage")
    assert table["tried"].sum() >= 2000
    assert table["wrong"].sum() == table["traceback"].sum() == 0, capsys.readouterr().out
    # A separator or a cell that is lost is always seen; a file that is cut never moves a value.
    structure = ["separator_lost", "cell_lost", "cell_doubled", "cell_moved", "line_end_lost"]
    assert (table.loc[structure, "refused"] == table.loc[structure, "tried"]).all()
    assert table.loc["cut_short", ["odd value", "rows joined"]].sum() == 0


def test_the_fuzz_sees_what_a_lenient_reader_does(monkeypatch):
    """What is counted can happen: pandas' own reader puts patients into the groups of others."""

    def lenient(path):
        separator = {".csv": None, ".tsv": "\t", ".txt": "|"}[path.suffix]
        frame = pd.read_csv(path, sep=separator, engine="python", on_bad_lines="skip", index_col=0, dtype=str)
        return CaseTable(frame[~frame.index.duplicated()], 0, "case_id")

    monkeypatch.setattr("nnunet_fair.metadata.case_table.read_case_table", lenient)
    monkeypatch.setattr(tables, "DAMAGES", (tables.cell_lost,))
    assert try_tables(40, seed=7)["wrong"].sum() > 20


@pytest.mark.slow
def test_damaged_images(capfd):
    table = try_images(60 * len(KINDS), seed=7, show=True).set_index("format")
    assert table["tried"].sum() >= 600
    assert table["wrong"].sum() == table["tracebacks"].sum() == 0, capfd.readouterr().out
    assert (table["refused"] > 10).all() and (table["same"].sum() > 50)


@pytest.mark.parametrize("content", ["", "{", "[1]", "7", '"x"', "[" * 100_000, "\x00", '{"a": ' + "9" * 5000 + "}"])
def test_json_that_is_none(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=r"a\.json .*; restore it or make it again"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(UserError, match="is not valid JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps({"a": 1}))
    assert read_json(tmp_path / "a.json") == {"a": 1}
