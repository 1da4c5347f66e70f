"""Outcomes by case ID, from fair_cases.csv or a table."""

import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.training.joint.outcomes import RESPONSE_TABLE, Outcomes, read_outcomes

CASES = ["C1", "C2", "C3", "C4"]


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Writes ``fair_cases.csv`` of a dataset."""
    folder = tmp_path / "raw" / "Dataset905_X"
    folder.mkdir(parents=True)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    monkeypatch.delenv(RESPONSE_TABLE, raising=False)

    def write(**columns):
        frame = pd.DataFrame({"case_id": ["C4", "C1", "C2", "C3", "other"], **columns})
        frame.to_csv(folder / "fair_cases.csv", index=False)
        return "Dataset905_X"

    return write


def test_they_are_found_by_case_id(dataset):
    found = read_outcomes(dataset(pcr=["0", "yes", None, "no", "1"]), "pcr", CASES)
    assert found.by_case == {"C1": 1.0, "C3": 0.0, "C4": 0.0}
    assert found.pos_weight == 2.0
    assert found.prevalence == 0.33
    assert found.of(["C4", "C1"]) == [0.0, 1.0]
    assert [value != value for value in found.of(["C2", "other"])] == [True, True]  # other is none of the training's
    assert repr(found) == "Outcomes(3 of 4 cases)"


@pytest.mark.parametrize(("n_positive", "n_cases", "share"), [(1, 3000, 0.01), (2999, 3000, 0.99), (148, 500, 0.3)])
def test_the_prevalence_tells_no_patient(n_positive, n_cases, share):
    found = Outcomes({str(n): float(n < n_positive) for n in range(n_cases)}, n_cases)
    assert found.prevalence == share


def test_a_named_table_stands_in_for_fair_cases(dataset, tmp_path, monkeypatch):
    name = dataset(age=["a"] * 5)
    table = tmp_path / "outcomes.csv"
    table.write_text("patient_id,response\nc2,1\nC3,0\n")
    monkeypatch.setenv(RESPONSE_TABLE, str(table))
    assert read_outcomes(name, "response", CASES).by_case == {"C2": 1.0, "C3": 0.0}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": ["a"] * 5}, "no column 'pcr' with the outcome .*it has 'age'"),
        ({"pcr": ["1"] * 4 + ["0"]}, "training cases 4 have the outcome 1 and none the other in column 'pcr'"),
        ({"pcr": [None] * 4 + ["0"]}, "training cases none has one in column 'pcr'"),
        ({"pcr": ["0", "2", "1", "1", "1"]}, "case 'C1' has the outcome '2' in 'pcr'; expected 0, 1, yes or no"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(dataset, columns, message):
    with pytest.raises(UserError, match=message):
        read_outcomes(dataset(**columns), "pcr", CASES)
