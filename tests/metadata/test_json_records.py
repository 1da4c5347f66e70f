from __future__ import annotations

import json

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.attributes import AttributeSpec, group_values
from nnunet_fair.metadata.case_table import read_case_table


def read(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_case_table(path)


def test_records_inside_records_are_columns(tmp_path):
    frame = read(
        tmp_path,
        [
            {"case_id": "c1", "comorbidities": {"copd": False, "tumour": {"n": 1}}, "drugs": ["a", "b"]},
            {"case_id": "c2", "age": 61, "drugs": []},
        ],
    ).frame
    assert frame.loc["c1", "comorbidities.tumour.n"] == 1 and frame.loc["c1", "comorbidities.copd"] == "False"
    assert frame["age"].isna().tolist() == [True, False]
    with pytest.raises(UserError, match="record 1, 'drugs': a list"):
        group_values(frame["drugs"], AttributeSpec("drugs"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"case_id": "a", "age": 1, "age": 2}]', "the name 'age' occurs more than once in one record"),
        ('{"a": {"age": 1}, "a": {"age": 2}}', "the name 'a' occurs more than once"),
        ('{"a": {"case_id": "b", "age": 1}}', "the record of 'a' has the case_id 'b'"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"a": ' * 2_000 + "1" + "}" * 2_000, "neither a list|nested too deeply|no .* with"),
        ('[{"case_id": "a", "n": ' + "9" * 5000 + "}]", "cannot be read as JSON"),
        ('[{"case_id": "a", "n": "\\ud800"}]', "half a character"),
        ('[{"case_id": "\\ud800", "n": 1}]', "half a character"),
        ('[{"case_id": "a", "\\ud800": 1}]', "half a character"),
        ("[]", "neither a list"),
        ("{}", "neither a list"),
        ("[1]", "neither a list"),
        ('[{"a.b": 1, "a": {"b": 2}, "case_id": "x"}]', "two values are called 'a.b'"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, content)
    str(caught.value).encode()


def test_numbers_out_of_range_are_no_numbers(tmp_path):
    frame = read(tmp_path, '[{"case_id": "a", "n": 1e400, "m": ' + "9" * 400 + '}, {"case_id": "b", "n": NaN}]').frame
    for column in ("n", "m"):
        with pytest.raises(UserError, match="not numbers"):
            group_values(frame[column], AttributeSpec(column, n_quantiles=2))
