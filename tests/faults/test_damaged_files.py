"""Damaged files of every format end in a sentence or are read; see benchmarks/faults.py for a longer run."""

import json

import pytest

from benchmarks.faults import formats, run
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json


def test_two_thousand_damaged_files(capsys):
    table = run(2200, seed=7, show=True)
    assert table["tried"].sum() >= 2200
    assert table["other"].sum() == 0, capsys.readouterr().out
    # Both happen: the damage is neither harmless nor always fatal.
    assert (table["refused"].sum() > 500) and (table["read"].sum() > 500)


@pytest.mark.parametrize("sound", formats(), ids=lambda sound: sound.name)
def test_the_sound_file_is_read(tmp_path, sound):
    (tmp_path / sound.name).write_text(sound.text)
    assert sound.read(tmp_path) is not None


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
