from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from nnunet_fair.training import trainer as public
from nnunet_fair.training.config import FairConfig
from studies.real.cohorts import COHORTS
from studies.real.comparisons import (
    N_TESTED,
    compare,
    compare_all,
    patients_needed,
    seed_correlation,
    seeds_done,
    verdict,
)
from studies.real.comparisons import chosen_method as choose
from studies.real.evidence import DEFAULTS, ENDING, SETTINGS, evidence_summary, evidence_table, permuted_tables
from studies.real.methods import MAIN, METHODS, STOCK, STOCK_STEADIER
from studies.real.report import write_report
from studies.real.results import patient_numbers, write_result
from studies.real.runs import Run
from studies.real.scale import NIGHT
from studies.real.study import study_runs
from studies.real.tables import page_tables
from studies.real.trainers import reference_rule, study_trainer
from studies.small_lesions.trainers import CANDIDATES

ROOT = Path(__file__).parents[2]
PATIENTS = pd.Index([f"P{number:03d}" for number in range(80)])
GROUPS = pd.DataFrame(
    {
        **dict.fromkeys(("pathology", "birads", "view"), "one"),
        "scanner": ["old" if number < 40 else "new" for number in range(80)],
        "site": "trained on",
        "lesion_size": ["small" if number % 2 else "large" for number in range(80)],
    },
    index=PATIENTS,
    dtype=object,
)


def write_scores(results: Path, method: str, seed: int, gain: float) -> None:
    """Old scanners 0.6 + gain, new ones 0.8, with noise that is the same for every method of a seed."""
    rng = np.random.default_rng(seed)
    dsc = np.where(GROUPS["scanner"] == "old", 0.6 + gain, 0.8) + rng.normal(0, 0.02, len(PATIENTS))
    numbers = patient_numbers(list(PATIENTS))
    frame = pd.DataFrame({"patient": numbers[PATIENTS].to_numpy(), "image": 1, "dsc": dsc, "norm_hd": 0.1})
    for fold in (0, 1):
        run = Run("folds", method, seed, fold)
        write_result(results, run.name, frame.iloc[fold::2], {"settings": {}, "source": "prepared"})


def prepared(folder: Path, patients: pd.DataFrame = GROUPS) -> SimpleNamespace:
    """Stands where the prepared cohort does; each patient is a case."""
    return SimpleNamespace(cohort=COHORTS["busbra"], folder=folder, cases=lambda: patients, patients=lambda: patients)


def test_the_worst_group_is_compared_patient_by_patient(tmp_path):
    for seed in (0, 1, 2):
        write_scores(tmp_path, STOCK, seed, 0.0)
        write_scores(tmp_path, "sampling", seed, 0.03)
    write_scores(tmp_path, "loss", 0, -0.02)
    tables = compare_all(COHORTS["busbra"], GROUPS, tmp_path, (0, 1), n_resamples=500)
    methods = tables.methods.set_index("method")
    assert methods["n_seeds"].to_dict() == {"sampling": 3, "loss": 1}
    sampling = methods.loc["sampling"]
    # forty of eighty patients gain 0.03, with the same noise in both
    assert sampling["worst_group_dsc"] == pytest.approx(0.03, abs=1e-3)
    assert sampling["worst_group_dsc_low"] > 0.029 and sampling["mean_dsc"] == pytest.approx(0.015, abs=1e-3)
    assert sampling["worst_group_dsc_stock"] == pytest.approx(0.6, abs=0.01)
    groups = tables.groups.query("method == 'sampling'").set_index("subgroup")
    assert groups.loc["scanner=old", "difference"] == pytest.approx(0.03, abs=1e-3)
    assert groups.loc["scanner=new", "difference"] == pytest.approx(0.0, abs=1e-3)
    assert groups.loc["lesion_size=small", "n"] == 40
    assert groups.loc["scanner=old", "q"] < 1e-3
    levelling = tables.levelling.query("method == 'sampling'").set_index("variable")
    assert levelling.loc["scanner", "verdict"] == "levelled up"
    assert choose(tables.methods) == "sampling"


def test_an_unfinished_seed_does_not_count(tmp_path):
    for seed in (0, 1):
        write_scores(tmp_path, STOCK, seed, 0.0)
        write_scores(tmp_path, "sampling", seed, 0.0)
    (tmp_path / f"{Run('folds', 'sampling', 1, 1).name}.csv").unlink()
    assert seeds_done(tmp_path, "folds", (STOCK, "sampling"), (0, 1)) == [0]
    assert seeds_done(tmp_path, "folds", (STOCK, "sampling"), (0,)) == [0, 1]


def test_groups_of_fewer_than_thirty_decide_nothing():
    frames = [pd.DataFrame({"dsc": [0.5] * 20 + [0.9] * 60, "norm_hd": 0.1}, index=PATIENTS)]
    few = GROUPS.assign(scanner=["rare"] * 20 + ["common"] * 60)
    found = compare(frames, frames, few, ("scanner",), 0.95, 200)
    assert found.a.row("worst_group_dsc")[0] == pytest.approx(0.9)


def row(**values):
    low = f"worst_group_dsc_low_of_{N_TESTED}"
    return {
        "part": "folds",
        "worst_group_dsc": 0.02,
        "mean_dsc": 0.0,
        "worst_group_dsc_low": 0.01,
        low: -0.01,
        **values,
    }


def test_what_counts_as_success():
    assert verdict(row(), decides=True) == "no effect shown"
    assert verdict(row(), decides=False) == "lifts the worst group"
    assert verdict(row(mean_dsc=-0.006), decides=False) == "costs the mean more than half a point"
    assert verdict(row(worst_group_dsc=float("nan")), decides=True) == "no group of 30 patients"


def test_the_choice_is_the_largest_gain_that_costs_no_more_than_allowed():
    rows = [
        row(method="sampling", worst_group_dsc=0.02),
        row(method="loss", worst_group_dsc=0.05, mean_dsc=-0.01),
        row(method="both", worst_group_dsc=0.01),
        row(method="dro", worst_group_dsc=0.09),
    ]
    assert choose(pd.DataFrame(rows)) == "sampling"
    assert choose(pd.DataFrame(rows[1:2])) is None
    assert choose(pd.DataFrame()) is None


def test_the_study_is_seed_by_seed_and_its_shift_has_the_tested_methods():
    runs = study_runs(("folds", "shift"), [method.name for method in MAIN], (0, 1, 2), range(5))
    assert len(runs) == len(set(runs)) == 3 * (7 * 5 + 4)
    assert {run.method for run in runs if run.part == "shift"} == {STOCK, "sampling", "loss", "both"}
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)


def test_patients_needed_by_hand():
    # (1.9600 + 0.8416)² = 7.849; a standard deviation of 10 points: 784.9, 196.2 and 87.2 patients
    assert [patients_needed(0.10, change) for change in (0.01, 0.02, 0.03)] == [785, 197, 88]


def test_the_correlation_between_seeds_by_hand():
    first = [-1.0, 0.0, 1.0]
    assert seed_correlation(np.array([first, [-2.0, 0.0, 2.0], [1.0, 0.0, -1.0]])) == pytest.approx((1 - 1 - 1) / 3)
    assert np.isnan(seed_correlation(np.array([first])))
    assert np.isnan(seed_correlation(np.array([first, [0.5, 0.5, 0.5]])))


def test_controls_train_as_what_they_control():
    for name in ("sampling", "loss", "both"):
        control, method = METHODS[f"{name}_permuted"], METHODS[name]
        assert (control.trainer, control.settings, control.fair) == (method.trainer, method.settings, method.fair)
        assert control.permuted and not control.tested


def test_evidence_points_at_a_group_that_is_there_and_not_at_chance(tmp_path):
    rng = np.random.default_rng(0)
    cases = pd.DataFrame(
        {"scanner": GROUPS["scanner"], "pathology": rng.choice(["benign", "malignant"], 80)}, dtype=object
    )
    level = np.where(cases["scanner"] == "old", 0.5, 0.8)
    scores = pd.DataFrame([level + rng.normal(0, 0.05, 80) for _ in range(4)], columns=PATIENTS)
    tables = permuted_tables(cases, pd.Series(PATIENTS, index=PATIENTS), 5)
    assert tables[0].equals(cases) and not any(dealt.equals(cases) for dealt in tables[1:])
    table = evidence_table(scores, tables, FairConfig())
    assert table["permutation"].tolist() == [0, 1, 2, 3, 4, 5]
    assert table.loc[0, "largest_probability"] > 0.9 and table.loc[0, "weight_spread"] > 0.5
    assert (table.loc[1:, "largest_probability"] < 0.5).all()
    recorded = pd.concat([table] * len(SETTINGS), keys=SETTINGS, names=["settings"]).reset_index("settings")
    recorded.to_csv(tmp_path / f"folds-stock-seed0-fold0{ENDING}", index=False)
    summary = evidence_summary(tmp_path).set_index(["settings", "measure"]).loc[DEFAULTS]
    assert summary.loc["largest_probability", "share_of_chance_above"] == 0
    assert summary.loc["weight_spread", "chance"] == pytest.approx(table.loc[1:, "weight_spread"].mean())


def test_the_report_is_made_of_its_csv_files(tmp_path):
    assert write_report(prepared(tmp_path), tmp_path, (0, 1), 200) == [
        "no seed is finished for stock nnU-Net and another method yet"
    ]
    for seed in (0, 1):
        write_scores(tmp_path, STOCK, seed, 0.0)
        write_scores(tmp_path, "sampling", seed, 0.03)
    lines = write_report(prepared(tmp_path), tmp_path, (0, 1), 200)
    assert lines == page_tables(COHORTS["busbra"], tmp_path)
    assert any(line.startswith("| FairDiv sampling | 2 | +3.0 (+3.0 to +3.0) |") for line in lines)
    assert (tmp_path / "groups.png").read_bytes()[:4] == b"\x89PNG"
    assert not any(name in (tmp_path / "groups.csv").read_text() for name in PATIENTS)


def test_small_lesions_have_a_table_of_their_own(tmp_path):
    sizes = GROUPS.assign(lesion_size=["small", "large"] * 20 + ["middle"] * 40)
    for seed in (0, 1):
        write_scores(tmp_path, STOCK, seed, 0.0)
        for method in ("blob_loss", "sampling"):
            write_scores(tmp_path, method, seed, 0.03)
    lines = write_report(prepared(tmp_path, sizes), tmp_path, (0, 1), 200)
    (found,) = [line for line in lines if line.startswith("| blob loss |")]  # in no other table
    assert found.startswith(
        "| blob loss | 2 | +3.0 (+3.0 to +3.0) | +0.0 (+0.0 to +0.0) | +3.0 (+3.0 to +3.0) | +1.5 ("
    )


def test_a_method_is_compared_with_its_own_baseline(tmp_path):
    for seed in (0, 1):
        for method, gain in {STOCK: 0.0, "stock_momentum": 0.02, "sampling_momentum": 0.05, "sampling": 0.01}.items():
            write_scores(tmp_path, method, seed, gain)
    lines = write_report(prepared(tmp_path), tmp_path, (0, 1), 200)
    (steadier,) = [line for line in lines if line.startswith("| stock nnU-Net, momentum 0.9 |")]
    assert steadier.startswith("| stock nnU-Net, momentum 0.9 | stock nnU-Net | 2 | +2.0 (+2.0 to +2.0) |")
    (sampling,) = [line for line in lines if line.startswith("| FairDiv sampling, momentum 0.9 |")]
    assert "| stock nnU-Net, momentum 0.9 | 2 | +3.0 (+3.0 to +3.0) | +3.0 to +3.0 | +1.5 (" in sampling
    assert METHODS["sampling_momentum"].trainer == METHODS["sampling"].trainer
    assert METHODS["stock_momentum"].settings == METHODS[STOCK].settings


@pytest.mark.parametrize(("method", "momentum"), [(STOCK, 0.99), ("sampling_momentum", 0.9)])
def test_the_momentum_reaches_the_optimiser(method, momentum):
    made = study_trainer(METHODS[method], NIGHT["lgg"], COHORTS["lgg"])
    trainer = made.__new__(made)
    trainer.network = torch.nn.Linear(1, 1)
    trainer.initial_lr, trainer.weight_decay, trainer.num_epochs = 0.01, 3e-5, 30
    optimizer, _ = trainer.configure_optimizers()
    assert [group["momentum"] for group in optimizer.param_groups] == [momentum]


def test_the_oracle_draws_its_cohorts_worst_group_four_times_as_often():
    trainer = study_trainer(METHODS["oracle"], NIGHT["lgg"], COHORTS["lgg"])
    cases = pd.DataFrame({"age": ["0-40", "40-55", None, "0-40"]}, index=list("abcd"), dtype=object)
    weights = reference_rule(trainer.method, trainer.cohort, cases).refresh(pd.Series(dtype=float)).weights
    assert weights.tolist() == pytest.approx([4 / 7, 16 / 7, 4 / 7, 4 / 7])


def test_the_page_has_the_recorded_results():
    page = (ROOT / "docs" / "effect-real.md").read_text(encoding="utf-8")
    recorded = [
        cohort for cohort in COHORTS.values() if (ROOT / "studies/real/results" / cohort.key / "methods.csv").is_file()
    ]
    assert ("no result yet" in page) == (not recorded)
    for cohort in recorded:
        rows = [
            line for line in page_tables(cohort, ROOT / "studies/real/results" / cohort.key) if line.startswith("|")
        ]
        assert [line for line in rows if line not in page.splitlines()] == []


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_is_a_public_trainer_with_valid_settings(method):
    trainer = getattr(public, method.trainer)
    fair = method.fair or trainer.fair_method
    config = FairConfig.from_plans({"nnunet_fair": dict(method.settings)}, defaults=fair.defaults)
    assert config.strength == (0.0 if method.name in (STOCK, STOCK_STEADIER.name, *CANDIDATES, "finer") else 16.0)
    assert method.candidate in ("", *CANDIDATES)
    acts = {"loss": (True, False), "published": (True, False), "both": (True, True)}
    assert (fair.on_loss, fair.on_sampling) == acts.get(method.name.removesuffix("_permuted"), (False, True))
