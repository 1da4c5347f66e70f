from __future__ import annotations

import json

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.dataset_cases import find_cases

TRAINING = tuple(sorted(f"pat_{number}" for number in range(1, 11)))


def test_cases_of_a_raw_dataset(heart_dataset):
    cases = find_cases(27)
    assert cases.training == TRAINING
    assert cases.test == ("pat_11",)


def test_a_case_list_in_dataset_json_wins(heart_dataset):
    content = json.loads((heart_dataset / "dataset.json").read_text())
    content["dataset"] = {
        "x=1": {"images": ["a.png"], "label": "b.png"},
        "pat_3": {"images": ["c.png"], "label": "d.png"},
    }
    (heart_dataset / "dataset.json").write_text(json.dumps(content))
    assert find_cases("Dataset027_Heart").training == ("pat_3", "x=1")


def test_a_preprocessed_dataset_without_its_raw_folder(heart_dataset):
    preprocessed = heart_dataset.parents[1] / "nnUNet_preprocessed" / "Dataset027_Heart"
    (preprocessed / "gt_segmentations").mkdir(parents=True)
    (preprocessed / "gt_segmentations" / "pat_5.png").touch()
    (heart_dataset / "dataset.json").rename(preprocessed / "dataset.json")
    cases = find_cases(27)
    assert cases.training == ("pat_5",)
    assert cases.test == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no dataset.json"),
        ("{", "not valid JSON"),
        ('{"labels": {}}', "no file_ending"),
        ('{"file_ending": ".mha"}', "no training case"),
    ],
)
def test_datasets_that_cannot_be_read(heart_dataset, content, message):
    if content is None:
        (heart_dataset / "dataset.json").unlink()
    else:
        (heart_dataset / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=message):
        find_cases(27)
