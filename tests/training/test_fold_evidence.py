"""``nnunet_fair check-evidence`` on a fold's folder as a training leaves it."""

import json

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.metadata.fair_cases import read_fair_cases
from nnunet_fair.training.state import FairState, metadata_hash, save_state

TRAINER = "nnUNetTrainerFairDivSampling"
N_CASES = 60


@pytest.fixture
def trained(tiny_dataset):
    """A trained fold: density d scores 0.3 lower, the cases' scores lie a little apart."""
    dataset = tiny_dataset("plain", n_cases=N_CASES)

    def leave(trainer: str = TRAINER, *, gap: float = 0.3):
        fold = dataset.results / dataset.name / f"{trainer}__nnUNetPlans__3d_fullres" / "fold_0"
        fold.mkdir(parents=True)
        (fold / "checkpoint_final.pth").write_bytes(b"")
        for name, content in (("plans.json", dataset.plans), ("dataset.json", dataset.dataset_json)):
            (fold.parent / name).write_text(json.dumps(content))
        train = json.loads((dataset.folder / "splits_final.json").read_text())[0]["train"]
        metadata = read_fair_cases(dataset.fair_cases)
        hard = (metadata.loc[train, "density"] == "d").to_numpy()
        dsc = np.random.default_rng(0).uniform(0.6, 0.7, len(train)) - gap * hard
        counts = {
            case_id: [[50.0 * score], [100.0], 4.0, [0.0, 4.0]] for case_id, score in zip(train, dsc, strict=True)
        }
        for epoch in (9, 10):
            state = FairState(
                epoch=epoch,
                metadata_sha256=metadata_hash(metadata.reindex(sorted(train))),
                counts=counts if epoch == 10 else {},
                weights=dict.fromkeys(train, 1.0),
                weight_range=[],
            )
            save_state(state, fold, "checkpoint_final.pth")
        return fold

    leave.dataset = dataset
    return leave


def check(*arguments: str) -> int:
    return main(["check-evidence", "-d", "901", "--permutations", "19", *arguments])


def test_a_group_that_falls_short_is_more_than_chance(trained, tmp_path, capsys):
    trained()
    assert check("-o", str(tmp_path / "evidence.csv")) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("fold 0: 45 scored cases, most probably disadvantaged: density=d\n")
    assert "more than chance: the weights follow" in printed and "p 0.050, 19 permutations" in printed
    table = pd.read_csv(tmp_path / "evidence.csv").set_index("measure")
    assert table.loc["largest_probability", "observed"] > 0.9 > table.loc["largest_probability", "chance_95"]
    assert table["p"].tolist() == [0.05, 0.05]


def test_scores_without_a_gap_are_chance(trained, capsys):
    trained(gap=0.0)
    assert check() == 0
    assert "no more than chance" in capsys.readouterr().out


def test_a_patients_cases_stay_together(trained, tmp_path, capsys):
    trained()
    table = tmp_path / "patients.csv"
    rows = {
        "case_id": trained.dataset.case_ids,
        "patient": [f"P{int(name[-3:]) // 6}" for name in trained.dataset.case_ids],
    }
    pd.DataFrame(rows).to_csv(table, index=False)
    # every patient has cases of both densities now: there is no table of patients to be dealt out but the first cases'
    assert check("--table", str(table), "--patient-column", "patient") == 0
    assert "fold 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trainer", "arguments", "sentence"),
    [
        (TRAINER, ("--permutations", "5"), "--permutations is 5; with fewer than 19"),
        (TRAINER, ("--table", "patients.csv"), "--table and --patient-column belong together"),
        (TRAINER, ("-f", "3"), "has no checkpoint_final.pth in fold_3"),
        ("nnUNetTrainerFairJoint", (), "nnUNetTrainerFairJoint keeps no scores of its cases"),
        ("nnUNetTrainerFairDivPublished", (), "searches for the lowest mean"),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_sentence(trained, capsys, trainer, arguments, sentence):
    trained(trainer)
    assert check(*arguments) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_a_fold_without_its_state(trained, capsys):
    for path in trained().glob("fair_state_*"):
        path.write_text("{")
    assert check() == 1
    assert "has no state of a training that can be read" in capsys.readouterr().err


def test_metadata_that_changed_since(trained, capsys):
    trained()
    path = trained.dataset.fair_cases
    path.write_text(path.read_text().replace("CASE_001,a", "CASE_001,d"))
    assert check() == 1
    assert "changed since fold 0 was trained" in capsys.readouterr().err
