"""The saved state and its belonging to a checkpoint."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from nnunet_fair.training.state import FairState, drop_old_states, load_state, metadata_hash, save_state


def state(epoch: int) -> FairState:
    return FairState(
        epoch=epoch,
        metadata_sha256="abc",
        counts={"c1": [[1.5, 0.1], [3.0, 0.2], 4.0]},
        weights={"c1": 1.25, "c2": 1 / 3},
        weight_range=[[1, 0.5, 1.5]],
        former_norms=[0.1, 1 / 3],
        acts_on="loss and sampling",
    )


def test_a_state_comes_back_exactly(tmp_path):
    save_state(state(7), tmp_path, "checkpoint_latest.pth")
    assert load_state(tmp_path, 7) == state(7)
    assert load_state(tmp_path, 8) is None


def test_the_former_state_stays_until_its_checkpoint_is_replaced(tmp_path):
    save_state(state(3), tmp_path, "checkpoint_best.pth")
    save_state(state(5), tmp_path, "checkpoint_best.pth")
    assert load_state(tmp_path, 3).epoch == 3
    drop_old_states(tmp_path, "checkpoint_best.pth", 5)
    assert load_state(tmp_path, 3) is None
    assert load_state(tmp_path, 5).epoch == 5


def test_checkpoints_do_not_touch_each_others_states(tmp_path):
    save_state(state(3), tmp_path, "checkpoint_best.pth")
    save_state(state(5), tmp_path, "checkpoint_latest.pth")
    drop_old_states(tmp_path, "checkpoint_latest.pth", None)
    assert load_state(tmp_path, 5) is None
    assert load_state(tmp_path, 3).epoch == 3


def test_a_state_of_a_former_version_is_read(tmp_path):
    save_state(state(2), tmp_path, "checkpoint_latest.pth")
    (path,) = tmp_path.glob("fair_state_*")
    content = json.loads(path.read_text())
    del content["acts_on"]
    path.write_text(json.dumps(content))
    assert load_state(tmp_path, 2) == replace(state(2), acts_on=None)


@pytest.mark.parametrize("content", ["", '{"version": 1, "epo', '{"version": 0, "epoch": 2}'])
def test_what_cannot_be_read_is_no_state(tmp_path, content):
    (tmp_path / "fair_state_checkpoint_best_2.json").write_text(content)
    assert load_state(tmp_path, 2) is None
    save_state(state(2), tmp_path, "checkpoint_latest.pth")
    assert load_state(tmp_path, 2) == state(2)


def test_the_state_holds_no_attribute(tmp_path):
    save_state(state(2), tmp_path, "checkpoint_best.pth")
    text = next(tmp_path.iterdir()).read_text()
    assert set(pd.read_json(tmp_path / "fair_state_checkpoint_best_2.json", typ="series").index) == {
        "version",
        "epoch",
        "metadata_sha256",
        "counts",
        "weights",
        "weight_range",
        "former_norms",
        "acts_on",
    }
    assert "subgroup" not in text


def test_the_hash_sees_content_and_nothing_else():
    table = pd.DataFrame({"sex": ["f", None], "age": ["old", "young"]}, index=["a", "b"], dtype=object)
    same = table.loc[["b", "a"], ["age", "sex"]]
    assert metadata_hash(table) == metadata_hash(same)
    for case_id, attribute, value in (("a", "sex", "m"), ("b", "sex", "f"), ("a", "age", None)):
        other = table.copy()
        other.loc[case_id, attribute] = value
        assert metadata_hash(other) != metadata_hash(table)
    assert metadata_hash(table.iloc[:1]) != metadata_hash(table)
    assert metadata_hash(table[["age"]]) != metadata_hash(table)


@pytest.mark.parametrize(
    "damage",
    [
        {"weights": {"c": -50.0}},
        {"weights": {"c": 1e30}},
        {"weights": {"c": 0.0}},
        {"weights": {"c": "1"}},
        {"weights": {"c": True}},
        {"weights": [1.0]},
        {"counts": {"c": [[-1.0], [2.0], 3]}},
        {"counts": {"c": 3}},
        {"counts": {"c": [[None], [2.0], 3]}},
        {"weight_range": [[1, 2]]},
        {"weight_range": 7},
        {"former_norms": ["x"]},
        {"acts_on": "x"},
        {"acts_on": ["loss"]},
        {"metadata_sha256": None},
        {"unknown": 1},
        {"version": 99},
    ],
    ids=str,
)
def test_numbers_no_training_writes_are_no_state(tmp_path, damage):
    save_state(state(2), tmp_path, "checkpoint_latest.pth")
    (path,) = tmp_path.glob("fair_state_*")
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert load_state(tmp_path, 2) is None


@pytest.mark.parametrize("content", ["", "[]", "7", "null", "[" * 100_000, '{"epoch": 2', "\x00", "NaN"])
def test_a_damaged_file_is_no_state(tmp_path, content):
    save_state(state(2), tmp_path, "checkpoint_latest.pth")
    (path,) = tmp_path.glob("fair_state_*")
    path.write_text(content)
    assert load_state(tmp_path, 2) is None
