"""The effect study's references and bookkeeping, by hand; the study itself is no test."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.effect.cohorts import TEST_FRACTION
from benchmarks.effect.differences import seed_differences, t_interval
from benchmarks.effect.methods import CHAPTERS, METHODS, STOCK
from benchmarks.effect.references import GroupDRO, InverseFrequency, Oracle
from benchmarks.effect.runs import Run, training_cases
from benchmarks.effect.scale import LARGE, SMALL
from benchmarks.effect.study import FULL, QUICK, STUDY, all_runs
from benchmarks.effect.summary import tables
from benchmarks.effect.trainer import accumulate_gradients
from nnunet_fair.training.config import FairConfig

CASES = pd.DataFrame(
    {"age": ["old", "young", "young", "young"], "density": ["d", "d", "a", None]},
    index=["c0", "c1", "c2", "c3"],
    dtype=object,
)


def test_the_oracle_weighs_the_planted_group():
    weights = Oracle(["c0", "c1", "c2"], {"c1", "elsewhere"}, 4.0).refresh(pd.Series(dtype=float)).weights
    assert weights.tolist() == pytest.approx([0.5, 2.0, 0.5])


def test_inverse_frequency_by_hand():
    # age: old 1/(¼·2) = 2, young 1/(¾·2) = ⅔; density: d 1/(½·3) = ⅔, a and missing 1/(¼·3) = 4/3; both average 1
    weights = InverseFrequency(CASES).refresh(pd.Series(dtype=float)).weights
    assert weights.tolist() == pytest.approx([4 / 3, 2 / 3, 1.0, 1.0])


def test_group_dro_by_hand():
    # age: q ∝ ¼·e^{0.8}, ¾·e^{0.2}; density, known of three: q ∝ ⅔·e^{0.5}, ⅓·e^{0.2}; the missing value weighs 1
    scores = pd.Series({"c0": 0.2, "c1": 0.8, "c2": 0.8, "c3": 0.8})
    weights = GroupDRO(CASES, eta=1.0).refresh(scores).weights
    age = np.exp([0.8, 0.2]) / (np.exp(0.8) / 4 + 3 * np.exp(0.2) / 4)
    density = np.exp([0.5, 0.2]) / (2 * np.exp(0.5) / 3 + np.exp(0.2) / 3)
    expected = np.array([age[0] + density[0], age[1] + density[0], age[1] + density[1], age[1] + 1]) / 2
    assert weights == pytest.approx(expected / expected.mean())


def test_group_dro_turns_to_the_group_with_the_larger_loss():
    rule = GroupDRO(CASES[["age"]], eta=1.0)
    scores = pd.Series({"c0": 0.2, "c1": 0.8, "c2": 0.8, "c3": 0.8})
    ratios = []
    for _ in range(3):
        weights = rule.refresh(scores).weights
        ratios.append(weights[0] / weights[1])
    assert ratios == pytest.approx([np.exp(0.6), np.exp(1.2), np.exp(1.8)])


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_is_a_valid_setting(method):
    FairConfig.from_plans({"nnunet_fair": method.all_settings})
    assert method.reference in ("", "oracle", "inverse", "dro") and method.label


def test_training_cases_depend_on_the_seed_alone():
    case_ids = [f"c{i:03d}" for i in range(160)]
    folds = [training_cases(case_ids, SMALL, seed) for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]
    assert len(folds[0]["train"]) == SMALL.n_train
    assert sorted(folds[0]["train"] + folds[0]["val"]) == case_ids


@pytest.mark.parametrize("scale", [SMALL, LARGE], ids=["small", "large"])
def test_a_seed_leaves_cases_to_validate(scale):
    assert scale.n_train < scale.n_cases * (1 - TEST_FRACTION)


def test_each_run_comes_once_and_the_reference_is_always_there():
    for parts in (QUICK, STUDY, FULL):
        runs = all_runs(parts)
        assert len(runs) == len(set(runs))
        for run in runs:
            assert Run(run.kind, "none", METHODS[run.method].baseline, run.seed) in runs
            assert run.missing == "none" or run.method not in (STOCK, "oracle")
    assert LARGE.device == "cuda"


def test_seed_differences_are_paired():
    per_run = pd.DataFrame(
        [
            *(
                {"kind": "distinct", "missing": "none", "method": "stock", "seed": s, "group_dsc": 0.1 * s}
                for s in (0, 1)
            ),
            *(
                {"kind": "distinct", "missing": "random", "method": "sampling", "seed": s, "group_dsc": 0.5}
                for s in (1, 2)
            ),
        ]
    )
    assert seed_differences(per_run, "distinct", "random", "sampling").to_dict() == pytest.approx({1: 0.4})


def test_the_interval_over_the_seeds_is_students():
    # mean 2, standard deviation 1, three seeds: 2 ± 4.3027 / √3
    assert t_interval(pd.Series([1.0, 2.0, 3.0])) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert np.isnan(t_interval(pd.Series([1.0]))).all()


def test_each_question_has_its_runs_in_the_study():
    runs = all_runs(STUDY)
    for chapter, methods in CHAPTERS.items():
        for method in methods:
            seeds = {run.seed for run in runs if run.method == method and run.kind == "distinct"}
            assert seeds == set(range(3 if chapter == "long" else 5))


def test_gradients_are_averaged_over_batches():
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    accumulate_gradients(optimizer, 2)
    for gradient in ([1.0, 0.0], [3.0, 2.0], [10.0, 10.0]):
        optimizer.zero_grad(set_to_none=True)
        (parameter * torch.tensor(gradient)).sum().backward()
        optimizer.step()
    # one step with the mean of the first two; the third waits
    assert parameter.detach().tolist() == [-2.0, -1.0]
    assert parameter.grad.tolist() == [10.0, 10.0]


def test_the_page_has_the_recorded_results():
    root = Path(__file__).parents[2]
    page = (root / "docs" / "effect.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in tables(pd.read_csv(root / "benchmarks/effect/results/comparisons.csv")) if "|" in line]
    assert len(rows) > 20
    assert [row for row in rows if row not in page] == []
