"""Cases whose reference is empty, beside cases with a lesion: neither pays for the other."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.method import ON_SAMPLING, PUBLISHED, FairMethod
from nnunet_fair.training.present_classes import foreground_names, present_classes
from nnunet_fair.training.session import FairSession

IDS = [f"P{i:03d}" for i in range(80)]
HEALTHY = np.arange(80) % 2 == 1
METADATA = pd.DataFrame(
    {
        "site": np.where(HEALTHY, "screening", "clinic"),
        "age": np.where(np.arange(80) // 2 % 4 == 0, "young", "old"),
    },
    index=IDS,
    dtype=object,
)
YOUNG = (METADATA["age"] == "young").to_numpy()


def session(folder, method: FairMethod = ON_SAMPLING, *, epoch: int = 0, **settings) -> FairSession:
    lines: list[str] = []
    made = FairSession(
        config=FairConfig(**{"warmup_epochs": 1, **settings}),
        method=method,
        metadata=METADATA,
        train_ids=IDS,
        val_ids=[],
        present=pd.DataFrame({0: ~HEALTHY}, index=IDS),
        folder=folder,
        log=lines.append,
    )
    made.lines = lines
    made.records.plot = lambda: None  # takes longer than all the rest
    made.begin(epoch)
    return made


def train(made: FairSession, *, young_dsc: float = 0.8, young_clean: float = 0.9, epochs: int = 30) -> None:
    """What a model does that is right but for its first epoch, when it marks a few voxels everywhere."""
    rng = np.random.default_rng(0)
    for epoch in range(epochs):
        for _ in range(4):
            clean = (rng.random(80) < np.where(YOUNG, young_clean, 0.9)) & (epoch > 0)
            dsc = np.clip(rng.normal(np.where(YOUNG, young_dsc, 0.8), 0.05), 0, 1)
            overlap = np.where(HEALTHY, 0, np.where(epoch, 200 * dsc, 5).astype(int))
            total = np.where(HEALTHY, np.where(clean, 0, 3), 400)
            made.add_patches(IDS, overlap[:, None], total[:, None])
        made.end_epoch(epoch + 1, epochs + 1)


def means(made: FairSession) -> dict[str, float]:
    """Mean weight by kind of case and age."""
    weights = made.weights.values
    kinds = {"healthy": HEALTHY, "diseased": ~HEALTHY}
    ages = {"young": YOUNG, "old": ~YOUNG}
    found = {f"{k} {a}": weights[kind & age].mean() for k, kind in kinds.items() for a, age in ages.items()}
    return found | {kind: weights[cases].mean() for kind, cases in kinds.items()}


def test_nobody_is_disadvantaged_and_all_weights_stay_near_one(tmp_path):
    made = session(tmp_path)
    train(made)
    assert (made.weights.values[HEALTHY] == 1.0).all()
    assert means(made)["diseased"] == pytest.approx(1.0)
    assert made.weights.values == pytest.approx(1.0, abs=0.1)
    assert any("40 of 80 training cases contain none of the scored classes and have no DSC" in x for x in made.lines)


@pytest.mark.parametrize("healthy_cases", [False, True])
def test_the_planted_group_is_found_among_the_diseased(tmp_path, healthy_cases):
    made = session(tmp_path, healthy_cases=healthy_cases)
    train(made, young_dsc=0.5)
    found = means(made)
    assert found["diseased young"] > 3 * found["diseased old"]
    # young patients who are healthy are as well off as the others
    assert found["healthy young"] == pytest.approx(found["healthy old"], abs=0.1)
    assert found["healthy"] == pytest.approx(1.0)
    assert found["diseased"] == pytest.approx(1.0)
    assert made.last_refresh.divergence.iloc[0]["subgroup"] in ("age=young", "age=young, site=clinic")


def test_a_group_of_the_healthy_is_found_by_its_false_voxels_where_asked(tmp_path):
    made = session(tmp_path, healthy_cases=True)
    train(made, young_clean=0.4)
    found = means(made)
    assert found["healthy young"] > 3 * found["healthy old"]
    assert found["diseased young"] == pytest.approx(found["diseased old"], abs=0.1)
    assert found["healthy"] == found["diseased"] == pytest.approx(1.0)
    table = pd.read_csv(tmp_path / "fair_history_healthy.csv")
    last = table[table["epoch"] == table["epoch"].max()].set_index("subgroup")
    assert last.loc["age=young", "n"] == 10
    assert last.loc["age=young", "mean_score"] < 0.6 < last.loc["age=old", "mean_score"]
    dsc = pd.read_csv(tmp_path / "fair_history.csv")
    assert not dsc["subgroup"].str.contains("screening").any()  # no healthy case has a DSC
    assert any("share of patches without a false voxel 0." in line for line in made.lines)


def test_healthy_cases_weigh_one_unless_asked(tmp_path):
    made = session(tmp_path)
    train(made, young_clean=0.4)
    assert (made.weights.values[HEALTHY] == 1.0).all()
    assert not (tmp_path / "fair_history_healthy.csv").exists()


def test_the_records_of_healthy_cases_are_taken_up_after_an_interruption(tmp_path):
    made = session(tmp_path, healthy_cases=True)
    train(made, young_clean=0.4, epochs=6)
    made.before_checkpoint("checkpoint_latest.pth", 4)
    again = session(tmp_path, epoch=4, healthy_cases=True)
    assert again.weights.values == pytest.approx(made.weights.values)
    assert pd.read_csv(tmp_path / "fair_history_healthy.csv")["epoch"].max() == 4
    again.begin(0)
    assert not (tmp_path / "fair_history_healthy.csv").exists()


def test_the_published_rule_leaves_healthy_cases_at_one(tmp_path):
    made = session(tmp_path, method=replace(PUBLISHED, min_cases=2))
    train(made, young_dsc=0.5)
    assert (made.weights.values[HEALTHY] == 1.0).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("plain", [True]),
        ("classes", [True, True]),
        ("regions", [True, True]),
        ("ignore", [True, True]),
        ("regions_ignore", [True, True]),
    ],
)
def test_what_a_reference_contains_is_read_from_the_properties(tiny_dataset, kind, expected):
    from batchgenerators.utilities.file_and_folder_operations import load_pickle, write_pickle
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    made = tiny_dataset(kind)
    manager = LabelManager(made.dataset_json["labels"], made.dataset_json.get("regions_class_order"))
    folder = made.folder / "nnUNetPlans_3d"
    dataset = nnUNetDatasetBlosc2(str(folder))
    path = str(folder / "CASE_001.pkl")
    properties = load_pickle(path)
    keys = list(properties["class_locations"])[: len(expected)]
    properties["class_locations"][keys[-1]] = []
    write_pickle(properties, path)
    found = present_classes((dataset, dataset), manager)
    assert list(found.index) == sorted(made.case_ids)
    names = {"plain": ["tumor"], "classes": ["edema", "tumor"], "ignore": ["edema", "tumor"]}
    assert foreground_names(made.dataset_json["labels"], manager) == names.get(kind, ["whole", "core"])
    assert found.loc["CASE_000"].tolist() == expected
    assert found.loc["CASE_001"].tolist() == [*expected[:-1], False]
    del properties["class_locations"][keys[-1]]
    write_pickle(properties, path)
    with pytest.raises(UserError, match=r"CASE_001.pkl does not say where label or region .* preprocess"):
        present_classes((dataset,), manager)


def test_regions_are_looked_up_in_nnunets_own_order(tmp_path):
    from batchgenerators.utilities.file_and_folder_operations import write_pickle

    write_pickle({"class_locations": {(1, 2): [[0, 0, 0, 0]], 2: []}}, str(tmp_path / "a.pkl"))
    manager = SimpleNamespace(has_regions=True, foreground_regions=[(1, 2), 2])
    dataset = SimpleNamespace(identifiers=["a"], source_folder=str(tmp_path))
    assert present_classes((dataset,), manager).loc["a"].tolist() == [True, False]
