"""Which case trains and which tests."""

from pathlib import Path

import pandas as pd
import pytest

from nnunet_fair.dataset_conversion import findings
from nnunet_fair.dataset_conversion.splits import (
    draw_test_cases,
    read_split_file,
    same_cases,
    split_of_case,
    strata,
)
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.folds import fold_balance, stratified_folds


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_padded_column_and_either_case_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "train_split,test_split\nduke_001,NACT_01\nDUKE_002,\nDUKE_003,  \n")
    assert read_split_file(path) == {"DUKE_001": {"Tr"}, "DUKE_002": {"Tr"}, "DUKE_003": {"Tr"}, "NACT_01": {"Ts"}}


def test_either_column_may_be_the_longer_one(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", ",train_split,test_split\n0,A,B\n1,,C\n")
    assert read_split_file(path) == {"A": {"Tr"}, "B": {"Ts"}, "C": {"Ts"}}


@pytest.mark.parametrize("text", ["", "train_split\nA\n", "train,test\nA,B\n"], ids=["empty", "one column", "names"])
def test_a_file_without_both_columns_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"s\.csv"):
        read_split_file(write(tmp_path / "s.csv", text))


def test_the_part_of_a_case() -> None:
    parts = {"A": {"Tr"}, "B": {"Ts"}, "C": {"Tr", "Ts"}}
    assert split_of_case("A", parts) == "Tr"
    assert split_of_case("B", parts) == "Ts"
    assert str(split_of_case("C", parts)).startswith(f"{findings.NOT_IN_SPLIT}: listed as training and as test case")
    assert str(split_of_case("D", parts)).startswith(f"{findings.NOT_IN_SPLIT}: not listed")


@pytest.fixture
def groups() -> pd.DataFrame:
    frame = pd.DataFrame(
        {"dataset": ["DUKE"] * 20 + ["NACT"] * 20, "age": [30.0, 45, 55, 65] * 10},
        index=[f"C{number:02d}" for number in range(40)],
    )
    return strata(frame)


def test_strata_are_centre_age_menopause_and_density(groups: pd.DataFrame) -> None:
    assert list(groups.columns) == ["centre", "age", "menopause", "breast_density"]
    assert groups["centre"].value_counts().to_dict() == {"DUKE": 20, "NACT": 20}
    assert groups["age"].value_counts().to_dict() == {"0-40": 10, "41-50": 10, "51-60": 10, "61-70": 10}
    assert groups["breast_density"].isna().all()


@pytest.mark.parametrize(("fraction", "n"), [(0, 0), (0.2, 8), (0.25, 10), (0.3, 12), (0.5, 20), (0.05, 2)])
def test_a_drawn_test_set_has_its_size_and_is_stratified(groups: pd.DataFrame, fraction: float, n: int) -> None:
    test_cases = draw_test_cases(groups, fraction, seed=0)
    assert len(test_cases) == n
    centres = groups.loc[sorted(test_cases), "centre"].value_counts()
    assert centres.get("DUKE", 0) == centres.get("NACT", 0) == n / 2


def test_the_seed_decides_and_the_order_of_rows_does_not(groups: pd.DataFrame) -> None:
    assert draw_test_cases(groups, 0.2, seed=1) == draw_test_cases(groups.iloc[::-1], 0.2, seed=1)
    assert draw_test_cases(groups, 0.2, seed=1) != draw_test_cases(groups, 0.2, seed=2)


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, 0.99, float("nan")])
def test_fractions_that_make_no_sense_are_refused(groups: pd.DataFrame, fraction: float) -> None:
    with pytest.raises(UserError, match="test fraction"):
        draw_test_cases(groups, fraction, seed=0)


@pytest.mark.parametrize(
    ("folds", "same"),
    [
        ([{"train": ["A"], "val": ["B"]}, {"train": ["B"], "val": ["A"]}], True),
        ([{"train": ["A"], "val": ["B", "C"]}], False),
        ([{"train": ["A"], "val": []}], False),
        ([], False),
        (None, False),
        ({"train": 1}, False),
    ],
)
def test_whether_folds_speak_of_these_cases(folds: object, same: bool) -> None:
    assert same_cases(folds, ["A", "B"]) is same


def test_folds_and_test_set_of_the_real_table_are_balanced(real_table: Path) -> None:
    groups = strata(read_case_table(real_table).frame)
    assert len(groups) == 1506
    test_cases = draw_test_cases(groups, 0.2, seed=0)
    assert len(test_cases) in (301, 302)
    balance = fold_balance(groups, stratified_folds(groups, n_folds=5, seed=0))
    spread = balance.max(axis=1) - balance.min(axis=1)
    assert spread[("all", "cases")] <= 1
    assert spread.max() <= 4  # cases, of groups of up to 1506
    for attribute in ("centre", "age", "menopause"):
        drawn = groups.loc[sorted(test_cases), attribute].value_counts()
        expected = 0.2 * groups[attribute].value_counts()
        assert (drawn.reindex(expected.index, fill_value=0) - expected).abs().max() <= 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("train_split,test_split\nA,B\nC\n", "row 3 .* has 1 of 2 fields"),
        ("train_split,test_split,test_split\nA,B,C\n", "'test_split', or has it twice"),
        ('train_split,test_split\n"A,B\nC",D\n', "a quote that does not enclose"),
    ],
)
def test_a_split_file_that_lost_something_is_refused(tmp_path, content, message):
    (tmp_path / "s.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_split_file(tmp_path / "s.csv")
