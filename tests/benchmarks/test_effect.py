"""The effect study's references and bookkeeping, by hand; the study itself is no test."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss

from benchmarks.effect.cohorts import TEST_FRACTION
from benchmarks.effect.differences import seed_differences, t_interval
from benchmarks.effect.kept import keep, restore
from benchmarks.effect.methods import CHAPTERS, METHODS, STOCK, Method, chapters_of
from benchmarks.effect.references import GroupDRO, InverseFrequency, Oracle
from benchmarks.effect.runs import Run, learning_curve, read_notes, top_subgroup, training_cases, weight_ratio
from benchmarks.effect.scale import FROM_SCRATCH, LARGE, SMALL
from benchmarks.effect.study import FULL, LEARNABLE, QUICK, SCRATCH, SMALL_LESIONS, STUDY, Part, all_runs, finished
from benchmarks.effect.tables import tables
from benchmarks.effect.trainer import accumulate_gradients
from benchmarks.effect.variants import DiceTermOnly, EffectSession, exponential_weights, shrunk_lowest
from nnunet_fair.errors import UserError
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import SubgroupFinder
from nnunet_fair.training.losses import CaseWeightedDiceCE
from nnunet_fair.training.method import ON_LOSS
from nnunet_fair.training.search import LowestSearch
from studies.small_lesions.trainers import CANDIDATES

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
    section = {"nnunet_fair": dict(method.settings)}
    assert FairConfig.from_plans(section, defaults=method.fair.defaults, without_effect=method.fair.without_effect)
    assert method.fair.on_loss or method.fair.on_sampling
    assert method.reference in ("", "oracle", "inverse", "dro") and method.label
    assert method.candidate in ("", *CANDIDATES) and not (method.candidate and method.fair.on_loss)


def test_training_cases_depend_on_the_seed_alone():
    case_ids = [f"c{i:03d}" for i in range(160)]
    folds = [training_cases(case_ids, SMALL, seed) for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]
    assert len(folds[0]["train"]) == SMALL.n_train
    assert sorted(folds[0]["train"] + folds[0]["val"]) == case_ids


@pytest.mark.parametrize("scale", [SMALL, FROM_SCRATCH, LARGE], ids=["small", "scratch", "large"])
def test_a_seed_leaves_cases_to_validate(scale):
    assert scale.n_train < scale.n_cases * (1 - TEST_FRACTION)


def test_each_run_comes_once_and_the_reference_is_always_there():
    for parts in (QUICK, STUDY, SCRATCH, SMALL_LESIONS, FULL):
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
    n_seeds = dict.fromkeys(CHAPTERS, 5) | {"long": 3, "scratch": 10, "steadiness": 10}
    for chapter, methods in CHAPTERS.items():
        of_small_lesions = chapter.startswith("small_lesions")
        from_scratch = chapter in ("scratch", "steadiness", "momentum")
        runs = all_runs(SMALL_LESIONS if of_small_lesions else SCRATCH if from_scratch else STUDY)
        kind = "small" if of_small_lesions else "distinct"
        for method in methods:
            seeds = {run.seed for run in runs if run.method == method and run.kind == kind}
            of_two = (chapter, method) == ("momentum", "sampling_momentum")  # asked by "steadiness" as well
            assert seeds == set(range(n_seeds["steadiness" if of_two else chapter]))


def test_a_study_asks_the_questions_it_has_methods_for():
    for parts, asked in (
        (STUDY, {"methods", "settings", "loss", "long", "accumulated"}),
        (SCRATCH, {"scratch", "steadiness", "momentum"}),
        (SMALL_LESIONS, {"small_lesions", "small_lesions_momentum", "steadiness"}),
        (QUICK, set()),
    ):
        assert set(chapters_of(run.method for run in all_runs(parts))) == asked


def test_the_seeds_speak_for_themselves():
    # two seeds, +0.10 and +0.02: mean +6.0, standard deviation 5.66, standard error 4.0
    per_run = pd.DataFrame(
        {"kind": "distinct", "missing": "none", "method": method, "seed": seed, "group_dsc": group, "mean_dsc": 0.7}
        for method, seed, group in (
            (STOCK, 0, 0.40),
            (STOCK, 1, 0.48),
            ("loss_and_sampling", 0, 0.50),
            ("loss_and_sampling", 1, 0.50),
        )
    )
    row = {"kind": "distinct", "missing": "none", "method": "loss_and_sampling", "n_seeds": 2, "seeds_better": 2}
    row |= {"group_dsc": 0.06, "group_dsc_low": 0.01, "group_dsc_high": 0.11, "weight_ratio": 1.5}
    row |= {"mean_dsc": 0.0, "mean_dsc_low": -0.01, "mean_dsc_high": 0.01, "seed_sd": math.sqrt(0.0032)}
    lines = tables(pd.DataFrame([row]), per_run)
    assert lines[4] == (
        "| FairDiv loss and sampling | 2 of 2 | +6.0 ± 4.0 | 5.7 | +6.0 (+1.0 to +11.0) | +0.0 (−1.0 to +1.0) | 1.50 |"
    )
    assert lines[6] == ("stock nnU-Net: planted group 44.0 (SD over seeds 5.7), mean of all 70.0 (SD 0.0), 2 seeds.")


def test_methods_are_held_against_the_sampling_on_the_pairs_all_have():
    # over two cohorts of one seed each: sampling +10 and +6, loss +4 and +8; a seed that one lacks does not count
    gains = {"sampling": (0.10, 0.06), "loss": (0.04, 0.08), "loss_and_sampling": (0.0, 0.0), "oracle": (0.1, 0.1)}
    per_run = pd.DataFrame(
        {"kind": kind, "missing": "none", "method": method, "seed": 0, "group_dsc": 0.5 + gain, "mean_dsc": 0.7}
        for method, both in {STOCK: (0.0, 0.0), **gains}.items()
        for kind, gain in zip(LEARNABLE, both, strict=True)
    )
    alone = per_run[(per_run["kind"] == LEARNABLE[0]) & per_run["method"].isin([STOCK, "loss"])].assign(seed=1)
    row = {
        "missing": "none",
        "method": "loss_and_sampling",
        "n_seeds": 1,
        "seeds_better": 1,
        "weight_ratio": 1.0,
        "seed_sd": 0.0,
    }
    row |= {f"{name}_dsc{end}": 0.0 for name in ("group", "mean") for end in ("", "_low", "_high")}
    comparisons = pd.DataFrame([{"kind": kind, **row} for kind in LEARNABLE])
    lines = tables(comparisons, pd.concat([per_run, alone], ignore_index=True))
    found = {line.split(" | ")[0]: line for line in lines[lines.index("### scratch: both cohorts") :]}
    assert found["| FairDiv loss"] == "| FairDiv loss | 2 of 2 | +6.0 ± 2.0 | +0.0 ± 0.0 | −2.0 ± 4.0 |"
    assert found["| FairDiv sampling"] == "| FairDiv sampling | 2 of 2 | +8.0 ± 2.0 | +0.0 ± 0.0 |  |"


def test_the_exponential_rule_by_hand():
    # d = 0.2, 0.05, 0 and σ = 0.2, strength 2, cap 2.5: e² is capped, e^0.5 is not
    config = FairConfig(strength=2.0, max_weight=2.5)
    found = exponential_weights(np.array([0.2, 0.05, 0.0]), 0.2, config)
    assert found == pytest.approx(np.array([2.5, np.exp(0.5), 1.0]) * 3 / (3.5 + np.exp(0.5)))


def test_the_lowest_divergence_is_shrunk():
    # n/(n + 4) = ½ of −0.2; w = 1 + 4 · 0.1/0.2 = 3 against 1
    cases = pd.DataFrame({"group": ["x"] * 4 + ["y"] * 4}, index=[f"c{i}" for i in range(8)], dtype=object)
    method = replace(ON_LOSS, search=shrunk_lowest(4.0), min_cases=2)
    finder = SubgroupFinder(cases, cases, FairConfig(strength=4.0, min_t=0.0), method)
    refresh = finder.refresh(pd.Series([0.2] * 4 + [0.6] * 4, index=cases.index))
    assert refresh.weights.tolist() == pytest.approx([1.5] * 4 + [0.5] * 4)


def test_the_dice_term_alone_is_weighted():
    stock = DC_and_CE_loss({"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}, {})
    logits = torch.randn((3, 2, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    target = (torch.rand((3, 1, 4, 4, 4), generator=torch.Generator().manual_seed(1)) < 0.5).long()
    weights, ones = torch.tensor([0.5, 2.0, 0.5]), torch.ones(3)
    full, dice = CaseWeightedDiceCE(stock), DiceTermOnly(stock)
    unweighted = full(logits, target, ones) - full.cross_entropy(logits, target, None, ones)
    weighted = full(logits, target, weights) - full.cross_entropy(logits, target, None, weights)
    assert not torch.isclose(weighted, unweighted)
    assert dice(logits, target, weights) - full.cross_entropy(logits, target, None, ones) == pytest.approx(
        float(weighted), abs=1e-6
    )


METADATA = pd.DataFrame({"g": ["x", "x", "y", "y", "x", "y"]}, index=["t0", "t1", "t2", "t3", "v0", "v1"], dtype=object)


def session(folder: Path, **variant) -> EffectSession:
    fair = replace(ON_LOSS, search=LowestSearch, smoothing=0.0, min_cases=1)
    made = EffectSession(
        Method("m", "m", fair=fair, **variant),
        config=FairConfig(warmup_epochs=2, min_t=0.0, strength=4.0),
        method=fair,
        metadata=METADATA,
        train_ids=["t0", "t1", "t2", "t3"],
        val_ids=["v0", "v1"],
        present=pd.DataFrame({0: True}, index=METADATA.index),
        folder=folder,
        log=lambda _: None,
    )
    made.begin(0)
    return made


def test_refreshes_every_so_many_epochs(tmp_path):
    made = session(tmp_path, refresh_every=3)
    assert [epoch for epoch in range(12) if made.refreshes_at(epoch, 10)] == [2, 5, 8]


@pytest.mark.parametrize(("source", "scored"), [("train", "t0 t1"), ("val", "v0"), ("both", "t0 t1 v0")])
def test_whose_scores_find_the_subgroups(tmp_path, source, scored):
    made = session(tmp_path, score_cases=source)
    for _ in range(2):
        made.add_patches(["t0", "v0", "t1"], np.ones((3, 1)), np.full((3, 1), 4.0))
    made.end_epoch(1, 10)
    assert sorted(made.scores.dropna().index) == scored.split()


def test_weights_divided_by_the_batchs_mean(tmp_path):
    made = session(tmp_path, by_batch=True)
    made.set_weights(made.weights.of({"t0": 1.5, "t1": 0.5, "t2": 0.5}))
    assert made.begin_step(["t0", "t1"]) == pytest.approx([1.5, 0.5])
    assert made.begin_step(["t0", "t3"]) == pytest.approx([1.2, 0.8])
    assert made.begin_step(["t1", "t2"]) is None  # alike
    assert made.begin_step(["t1"]) == pytest.approx([0.5])  # a batch of one would always weigh 1


def test_the_weight_ratio_by_hand():
    weights = pd.DataFrame({"a": [1.0, 3.0], "b": [1.0, 1.0], "c": [1.0, 0.5], "d": [1.0, 0.75]})
    assert weight_ratio(weights, {"a", "b", "elsewhere"}) == [1.0, 3.2]


def test_the_learning_curve_is_the_mean_of_known_scores():
    epochs = [pd.Series([np.nan, np.nan]), pd.Series([0.5, np.nan]), pd.Series([0.5, 0.75])]
    assert learning_curve(epochs) == [0.0, 0.5, 0.625]


def test_the_top_subgroup_of_the_later_refreshes(tmp_path):
    path = tmp_path / "fair_history.csv"
    assert top_subgroup(path) == {"top_subgroup": "", "top_probability": None, "top_share": None}
    rows = ["0,x,0.9", "1,x,0.9", "2,y,0.3", "2,x,0.1", "3,y,0.4", "4,x,0.8"]
    path.write_text("\n".join(["epoch,subgroup,probability", *rows]))
    assert top_subgroup(path) == {"top_subgroup": "y", "top_probability": 0.5, "top_share": 0.667}


def finished_run(work: Path, seed: int) -> Run:
    run = Run("distinct", "none", STOCK, seed)
    run.folder(work).mkdir(parents=True)
    (run.folder(work) / "run.json").write_text('{"weight_ratio": [1.0]}')
    (run.folder(work) / "cases.csv").write_text("case_id,group,dsc,norm_hd,recall\nc0,1,0.123456,0.5,0.1\n")
    return run


def test_a_study_goes_on_from_runs_in_small(tmp_path):
    work, kept, elsewhere = (tmp_path / name for name in ("work", "kept", "elsewhere"))
    for seed in (0, 1):
        keep(finished_run(work, seed), work, kept)
    own = finished_run(elsewhere, 1).folder(elsewhere) / "cases.csv"
    before = own.read_text()
    assert restore(kept, elsewhere, SMALL) == 1
    parts = (Part(("distinct",), ("none",), (STOCK,), 3),)
    assert [run.seed for run in finished(elsewhere, parts)] == [0, 1]
    restored = Run("distinct", "none", STOCK, 0)
    assert read_notes(restored, elsewhere) == {"weight_ratio": [1.0]}
    assert (restored.folder(elsewhere) / "cases.csv").read_text().splitlines()[1] == "c0,1,0.1235,0.5"
    assert own.read_text() == before
    with pytest.raises(UserError, match="epochs is 20 there and 60 here"):
        restore(kept, elsewhere, FROM_SCRATCH)


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


@pytest.mark.parametrize(
    ("part", "name"), [("", "effect.md"), ("scratch", "effect.md"), ("small_lesions", "effect-real.md")]
)
def test_the_page_has_the_recorded_results(part, name):
    root = Path(__file__).parents[2]
    recorded = root / "benchmarks" / "effect" / "results" / part
    if not (recorded / "comparisons.csv").is_file():
        pytest.skip("not finished")
    page = (root / "docs" / name).read_text(encoding="utf-8").splitlines()
    comparisons, per_run = (pd.read_csv(recorded / f"{table}.csv") for table in ("comparisons", "runs"))
    rows = [line for line in tables(comparisons, per_run) if line]
    assert len(rows) > 5
    assert [row for row in rows if row.startswith("|") and row not in page] == []
