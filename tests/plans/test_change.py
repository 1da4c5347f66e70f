"""Settings of the training in a plans file: changed as typed, in one step, or refused and nothing written."""

import json
from pathlib import Path

import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.plans.change import change_settings, parse_changes

NAME = "Dataset101_Breast"


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    folder = tmp_path / "nnUNet_preprocessed" / NAME
    folder.mkdir()
    path = folder / "nnUNetPlans.json"
    configurations = {"3d_fullres": {"data_identifier": "nnUNetPlans_3d_fullres", "spacing": [1.5, 0.7, float("nan")]}}
    content = {"dataset_name": NAME, "plans_name": "nnUNetPlans", "configurations": configurations}
    path.write_text(json.dumps({**content, "nnunet_fair": {"min_t": 0, "max_items": 2}}))
    (folder / "dataset.json").write_text("{}")
    return path


def section(path: Path) -> dict | None:
    return json.loads(path.read_text()).get("nnunet_fair")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("strength=8", 8),
        ("strength=0.5", 0.5),
        ("attributes=age,site", ["age", "site"]),
        ("attributes=age", ["age"]),
        ("attributes=7", ["7"]),
        ('attributes=["a,b", "c=d"]', ["a,b", "c=d"]),
        ("attributes=null", "default"),
        ("max_gradient=auto", "auto"),
        ("max_gradient=null", None),
        ("warmup_epochs=null", "default"),
        ("min_t=default", "default"),
    ],
)
def test_values_as_they_are_typed(word, expected):
    assert list(parse_changes([word]).values()) == [expected]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["strength"], "expected NAME=VALUE, such as strength=8, found 'strength'"),
        (["=8"], "found '=8'"),
        (["strength="], "found 'strength='"),
        (["strength=1", "strength=2"], '"strength" is given twice'),
    ],
)
def test_words_that_are_no_settings(words, message):
    with pytest.raises(UserError, match=message):
        parse_changes(words)


def test_settings_are_added_changed_and_reset(plans):
    before = json.loads(plans.read_text())
    changed = change_settings(101, "nnUNetPlans", {"strength": 8, "max_items": 3, "min_t": "default"})
    assert changed.path == plans
    assert changed.before == {"min_t": 0, "max_items": 2}
    assert changed.after == section(plans) == {"max_items": 3, "strength": 8}
    after = json.loads(plans.read_text())
    assert str({**after, "nnunet_fair": 0}) == str({**before, "nnunet_fair": 0})  # NaN and all
    change_settings(101, "nnUNetPlans", {"strength": "default", "max_items": "default"})
    assert section(plans) is None


def test_a_copy_shares_the_preprocessed_data(plans):
    before = plans.read_text()
    changed = change_settings(101, "nnUNetPlans", {"strength": 4}, new_name="nnUNetPlans_s4")
    assert plans.read_text() == before
    copy = json.loads(changed.path.read_text())
    assert changed.path == plans.with_name("nnUNetPlans_s4.json")
    assert copy["plans_name"] == "nnUNetPlans_s4"
    assert copy["configurations"]["3d_fullres"]["data_identifier"] == "nnUNetPlans_3d_fullres"
    assert copy["nnunet_fair"] == {"min_t": 0, "max_items": 2, "strength": 4}
    with pytest.raises(UserError, match="is there already; give `overwrite`"):
        change_settings(101, "nnUNetPlans", {"strength": 5}, new_name="nnUNetPlans_s4")
    change_settings(101, "nnUNetPlans", {"strength": 5}, new_name="nnUNetPlans_s4", overwrite=True)
    assert section(changed.path)["strength"] == 5


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"strenght": 8}, {}, "unknown setting 'strenght'.*did you mean 'strength'"),
        ({"strenght": "default"}, {}, "did you mean 'strength'"),
        ({"strength": -1}, {}, "`strength`: expected a number of 0 or more, found -1"),
        ({"min_t": "none"}, {}, "`min_t`: expected a number"),
        ({"act_on": "sampling"}, {}, "nnUNetTrainerFairDivSampling"),
        ({"strength": 8}, {"new_name": "../elsewhere"}, "`new_name` is part of a file's name"),
        ({"strength": 8}, {"new_name": "dataset"}, "dataset.json is there already"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_written(plans, changes, options, message):
    files = {path: path.read_text() for path in plans.parent.iterdir()}
    with pytest.raises(UserError, match=message):
        change_settings(101, "nnUNetPlans", changes, **options)
    assert {path: path.read_text() for path in plans.parent.iterdir()} == files


def test_settings_of_the_first_release_can_be_taken_out(plans):
    content = json.loads(plans.read_text())
    plans.write_text(json.dumps({**content, "nnunet_fair": {"min_t": 0, "rule": "shortfall", "alpha": 0.5}}))
    with pytest.raises(UserError, match=r'"rule".*"alpha"'):
        change_settings(101, "nnUNetPlans", {"strength": 8})
    change_settings(101, "nnUNetPlans", {"rule": "default", "alpha": "default"})
    assert section(plans) == {"min_t": 0}


def test_missing_plans_are_named_with_those_there_are(plans):
    with pytest.raises(UserError, match=r"no plans nnUNetResEncUNetLPlans in .*it has the plans nnUNetPlans$"):
        change_settings(101, "nnUNetResEncUNetLPlans", {"strength": 8})
    plans.unlink()
    with pytest.raises(UserError, match="it has none; run nnUNetv2_plan_and_preprocess"):
        change_settings(101, "nnUNetPlans", {"strength": 8})


@pytest.mark.parametrize(("text", "message"), [("{", "no valid JSON"), ("{}", "no plans file of nnU-Net")])
def test_a_file_that_is_no_plans_file(plans, text, message):
    plans.write_text(text)
    with pytest.raises(UserError, match=message):
        change_settings(101, "nnUNetPlans", {"strength": 8})


def test_the_command_shows_before_and_after(plans, capsys):
    command = ["plans", "set", "-d", "101", "-p", "nnUNetPlans"]
    assert main([*command, "strength=8", "attributes=age,site", "min_t=default"]) == 0
    out = capsys.readouterr().out
    assert 'before: {"min_t": 0, "max_items": 2}\n' in out
    assert 'after:  {"max_items": 2, "strength": 8, "attributes": ["age", "site"]}\n' in out
    assert main(command) == 0
    assert f'{plans}: {{"max_items": 2, "strength": 8' in capsys.readouterr().out
    assert main([*command, "strength=4", "--as", "weak"]) == 0
    assert "nothing is to be preprocessed again" in capsys.readouterr().out
    assert main([*command, "strength=4", "--as", "weak"]) == 1
    err = capsys.readouterr().err
    assert "give --overwrite" in err and "another --as" in err
