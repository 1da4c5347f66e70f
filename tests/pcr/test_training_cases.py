"""Which cases are trained on, in which order, with which folds."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_fair.pcr.training_cases import TrainingSources, read_training_cases
from tests.pcr.drawn_patients import draw_patients, write_tables


@pytest.fixture
def read(tmp_path):
    """The training cases of changed tables."""

    def run(patients=None, **options):
        drawn, features = draw_patients()
        paths = write_tables(tmp_path, drawn if patients is None else patients(drawn), features)
        return read_training_cases(TrainingSources(paths[0], (paths[1],), **options))

    return run


def test_columns_outcome_and_folds_are_looked_up_by_case(read):
    shuffled = read(lambda frame: frame.sample(frac=1, random_state=0), clinical=("age", "subtype"))
    plain = read(clinical=("age", "subtype"))
    patients, features = draw_patients()
    assert plain.cases.frame.index.tolist() == sorted(patients["case_id"])
    assert plain.cases.truth.tolist() == (patients["pcr"] == 1).tolist()
    assert plain.cases.frame["signal"].to_numpy() == pytest.approx(features["signal"])
    assert (plain.cases.inputs.numbers, plain.cases.inputs.categories) == (
        ("signal", "noise", "gappy", "gappy_too", "age"),
        ("subtype",),
    )
    assert shuffled.cases.frame.equals(plain.cases.frame)
    assert shuffled.folds.equals(plain.folds)


def test_folds_spread_outcome_and_centre(read):
    found = read(n_folds=4)
    for part in ("east", "west"):
        inside = (found.cases.centres == part).to_numpy()
        counts = np.bincount(found.folds[inside & found.cases.truth], minlength=4)
        assert np.ptp(counts) <= 1


def test_cases_without_an_outcome_or_a_row_or_a_centre(read):
    def change(frame):
        frame = frame.iloc[2:].astype({"pcr": float, "dataset": object})
        frame.iloc[0, frame.columns.get_loc("pcr")] = np.nan
        frame.iloc[1:4, frame.columns.get_loc("dataset")] = np.nan
        return frame

    found = read(change)
    assert len(found.cases) == 93
    assert found.cases.centres.isna().sum() == 3
    assert "2 cases have no row in patients.csv and are left out" in found.notes
    assert "1 cases have no known outcome and are left out" in found.notes
    assert "3 cases have no centre in column 'dataset' and take no part in leaving one out" in found.notes


def test_a_table_without_centres(read):
    found = read(lambda frame: frame.drop(columns="dataset"))
    assert found.cases.centres is None
    assert "the table names no centre, so none is left out" in found.notes
