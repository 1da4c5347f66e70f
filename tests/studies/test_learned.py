"""What a training learned of the worst group, and what reached new patients, by hand."""

from types import SimpleNamespace

import pandas as pd
import pytest

from studies.real.cohorts import COHORTS
from studies.real.learned import learned_summary, record_learned
from studies.real.results import patient_numbers, write_result

COHORT = COHORTS["busbra"]
WORST = COHORT.worst[1]
PATIENTS = pd.DataFrame({"scanner": [WORST, WORST, WORST, "GE", "GE", "GE"]}, index=list("abcdef"), dtype=object)
DATASET = SimpleNamespace(cohort=COHORT, cases=lambda: PATIENTS)


def run(dataset, results, name: str, running: dict[str, float], dsc: dict[str, float]) -> None:
    folder = dataset.folder / "runs" / name
    folder.mkdir(parents=True)
    table = pd.DataFrame([dict.fromkeys(running, 0.1), running]).rename_axis("epoch")
    table.to_csv(folder / "running_scores.csv")
    table[list("abde")].to_csv(folder / "weights.csv")  # c and f, scored as well, are not trained on
    numbers = patient_numbers(list(PATIENTS.index))
    cases = pd.DataFrame({"patient": numbers[list(dsc)].to_numpy(), "image": 1, "dsc": dsc.values(), "norm_hd": 0.1})
    write_result(results, name, cases, {})


@pytest.fixture
def study(tmp_path):
    dataset, results = SimpleNamespace(**vars(DATASET), folder=tmp_path / "work"), tmp_path / "results"
    trained = {"a": 0.4, "b": 0.6, "c": 0.0, "d": 0.8, "e": 0.6, "f": 0.0}
    run(dataset, results, "folds-stock-seed0-fold0", trained, {"c": 0.5, "f": 0.7})
    run(dataset, results, "folds-oracle-seed0-fold0", trained | {"a": 0.8, "b": 0.8}, {"c": 0.6, "f": 0.6})
    run(dataset, results, "folds-stock-seed1-fold0", trained, {"c": 0.5, "f": 0.7})
    run(dataset, results, "folds-oracle-seed1-fold0", trained | {"d": 0.6}, {"c": 0.4, "f": 0.7})
    run(dataset, results, "folds-oracle-seed2-fold0", trained, {"c": 0.4, "f": 0.7})  # has no stock run beside it
    run(dataset, results, "folds-stock_momentum-seed0-fold0", trained, {"c": 0.4, "f": 0.7})  # another question
    return dataset, results


def test_the_group_is_followed_from_training_to_new_patients(study):
    dataset, results = study
    noted = record_learned(dataset, results)
    assert noted.set_index("run").loc["folds-stock-seed0-fold0"].tolist() == [0.5, 0.7]
    (row,) = learned_summary(noted, PATIENTS, COHORT, results).to_dict("records")
    assert (row["method"], row["n_runs"]) == ("oracle", 2)
    assert (row["group_trained_stock"], row["group_unseen_stock"]) == pytest.approx((0.5, 0.5))
    # +0.3 and 0: mean 0.15, standard error 0.15
    assert (row["group_trained"], row["group_trained_error"]) == pytest.approx((0.15, 0.15))
    assert (row["group_unseen"], row["group_unseen_error"]) == pytest.approx((0.0, 0.1))
    assert (row["others_trained"], row["others_unseen"]) == pytest.approx((-0.05, -0.05))


def test_what_was_noted_stays_when_the_runs_are_gone(study):
    dataset, results = study
    noted = record_learned(dataset, results)
    for path in (dataset.folder / "runs").glob("*/running_scores.csv"):
        path.unlink()
    pd.testing.assert_frame_equal(record_learned(dataset, results), noted, check_dtype=False)
    assert not any(f"{name}," in (results / "learned_runs.csv").read_text() for name in PATIENTS.index)


def test_nothing_is_said_without_runs(tmp_path):
    dataset = SimpleNamespace(**vars(DATASET), folder=tmp_path)
    assert record_learned(dataset, tmp_path).empty and not list(tmp_path.iterdir())
    assert learned_summary(record_learned(dataset, tmp_path), PATIENTS, COHORT, tmp_path).empty
