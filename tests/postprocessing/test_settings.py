import json

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.postprocessing.settings import (
    PostprocessingSettings,
    merge_settings,
    parse_labels,
    read_settings,
    settings_to_dict,
)


def test_round_trip(tmp_path):
    settings = PostprocessingSettings(
        box=True, require_boxes=True, margin_mm=2.5, keep=2, labels=((1,), (2, 3)), on_empty="unboxed", uncrop=True
    )
    (tmp_path / "postprocessing.json").write_text(json.dumps({"settings": settings_to_dict(settings)}))
    assert read_settings(tmp_path / "postprocessing.json") == settings


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"connectivty": 6}, "did you mean 'connectivity'"),
        ({"connectivity": 8}, "6, 18 or 26"),
        ({"keep": 0}, "`keep`: expected a whole number of 1 or more or null, found 0"),
        ({"keep": 1.5}, "1 or more"),
        ({"margin_mm": -1}, "0 or more"),
        ({"min_volume_mm3": "3"}, "0 or more"),
        ({"min_probability": 0.6}, "at most 0.5"),
        ({"min_probability": 0}, "above 0"),
        ({"on_empty": "fill"}, "keep, unboxed or lower-threshold"),
        ({"require_boxes": True}, "only with boxes"),
        ({"box": "yes"}, "true or false"),
        ({"labels": [[1], [1, 2]]}, "label 1 is in two"),
        ({"labels": [[0]]}, "1 or more"),
        ({"labels": []}, "at least one label"),
        ({"labels": 1}, "list of lists"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, section, message):
    (tmp_path / "s.json").write_text(json.dumps({"settings": section}))
    with pytest.raises(UserError, match=message):
        read_settings(tmp_path / "s.json")


@pytest.mark.parametrize("content", ["[]", "{}", '{"settings": 1}', "{"], ids=["list", "empty", "number", "cut"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(UserError, match=r"s\.json is not"):
        read_settings(tmp_path / "s.json")
    with pytest.raises(UserError, match="no post-processing settings at"):
        read_settings(tmp_path / "nothing.json")


def test_given_options_override_the_file():
    base = PostprocessingSettings(box=True, keep=1, margin_mm=3.0)
    assert merge_settings(base, keep=2, margin_mm=None) == PostprocessingSettings(box=True, keep=2, margin_mm=3.0)
    assert merge_settings(None) == PostprocessingSettings()


def test_labels_from_the_command_line():
    assert parse_labels(["1", "2,3"]) == ((1,), (2, 3))
    with pytest.raises(UserError, match="whole numbers"):
        parse_labels(["tumor"])
