from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.fair_cases import find_fair_cases, read_fair_cases, write_fair_cases


def test_round_trip_keeps_every_character_and_missing_values(tmp_path):
    frame = pd.DataFrame(
        {"site": ["a=b", 'x, "y"', "NA"], "age": ["0-40", np.nan, "nan"]}, index=["c1", "007", "ü"], dtype=object
    )
    again = read_fair_cases(write_fair_cases(frame, tmp_path))
    assert again.index.tolist() == ["c1", "007", "ü"]
    assert again["site"].tolist() == ["a=b", 'x, "y"', "NA"]
    assert again["age"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no case metadata"),
        ("id,age\na,1\n", "no column 'case_id'"),
        ("case_id,age\na,1\na,2\n", "'a' occurs more than once"),
        ("case_id,age\n,1\n", "1 rows have no case_id"),
        ("", "cannot be read: it is empty"),
    ],
)
def test_broken_files_are_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "fair_cases.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_fair_cases(tmp_path / "fair_cases.csv")


def test_preprocessed_folder_first_then_raw_then_both_named(heart_dataset):
    with pytest.raises(UserError, match=r"nnUNet_preprocessed.*nnUNet_raw.*nnunet_fair"):
        find_fair_cases(27)
    (heart_dataset / "fair_cases.csv").touch()
    assert find_fair_cases(27) == heart_dataset / "fair_cases.csv"
    preprocessed = heart_dataset.parents[1] / "nnUNet_preprocessed" / "Dataset027_Heart"
    preprocessed.mkdir()
    (preprocessed / "fair_cases.csv").touch()
    assert find_fair_cases(27) == preprocessed / "fair_cases.csv"
