"""The records of a fold."""

from dataclasses import replace

import pandas as pd
import pytest

from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import SubgroupFinder
from nnunet_fair.training.method import ON_LOSS
from nnunet_fair.training.records import HISTORY_SUBGROUPS, FairRecords

METHOD = replace(ON_LOSS, min_cases=2)


def refresh(n_groups: int = 2):
    names = [f"g{i % n_groups}, =x" for i in range(4 * n_groups)]
    cases = pd.DataFrame({"group": names}, index=[f"c{i}" for i in range(4 * n_groups)], dtype=object)
    scores = pd.Series([0.01 * (i % n_groups) for i in range(4 * n_groups)], index=cases.index)
    return SubgroupFinder(cases, cases, FairConfig(min_t=0.0, min_support=0.001), METHOD).refresh(scores), list(
        cases.index
    )


def test_history_and_weights(tmp_path):
    records = FairRecords(tmp_path)
    records.begin(None)
    found, ids = refresh()
    for epoch in (3, 4):
        records.write(epoch, found, ids)
    history = pd.read_csv(tmp_path / "fair_history.csv")
    assert list(history.columns) == [
        "epoch",
        "subgroup",
        "n",
        "support",
        "mean_score",
        "divergence",
        "t",
        "probability",
    ]
    assert history["epoch"].tolist() == [3, 3, 4, 4]
    assert history["subgroup"].tolist()[:2] == ["group=g0, =x", "group=g1, =x"]  # the worst first
    assert history["divergence"].tolist()[:2] == pytest.approx([-0.005, 0.005])
    weights = pd.read_csv(tmp_path / "fair_weights.csv")
    assert list(weights.columns) == ["case_id", "weight", "subgroup"]
    assert weights.set_index("case_id")["weight"].to_dict() == pytest.approx(dict(zip(ids, found.weights, strict=True)))


def test_of_many_subgroups_the_most_probable_are_kept(tmp_path):
    names = [f"g{i % 60:02d}" for i in range(240)]
    cases = pd.DataFrame(
        {"group": names, "half": ["left" if i % 60 < 30 else "right" for i in range(240)]}, dtype=object
    )
    cases.index = [f"c{i}" for i in range(240)]
    # every g00 to g29 scores lower, because "left" does: of more than 90 subgroups "left" is the most probable, and
    # more than 50 single groups and conjunctions have a lower mean
    scores = pd.Series([0.5 - 0.001 * (i % 60) if i % 60 < 30 else 0.8 for i in range(240)], index=cases.index)
    found = SubgroupFinder(cases, cases, FairConfig(min_t=0.0, min_support=0.001), METHOD).refresh(scores)
    assert len(found.divergence) > 90
    records = FairRecords(tmp_path)
    records.begin(None)
    records.write(1, found, list(cases.index))
    history = pd.read_csv(tmp_path / "fair_history.csv")
    assert len(history) == 50
    assert history.loc[history["probability"].idxmax(), "subgroup"] == "half=left"
    assert history["divergence"].is_monotonic_increasing


def test_a_history_is_taken_up_at_its_epoch(tmp_path):
    records = FairRecords(tmp_path)
    records.begin(None)
    found, ids = refresh()
    for epoch in range(1, 6):
        records.write(epoch, found, ids)
    with (tmp_path / "fair_history.csv").open("a") as file:
        file.write("6,group=g0, n,4")  # a line cut short
    whole = pd.read_csv(tmp_path / "fair_history.csv", on_bad_lines="skip")
    again = FairRecords(tmp_path)
    again.begin(3, [[1, 0.5, 2], [2, 0.5, 2], [3, 0.5, 2]])
    kept = pd.read_csv(tmp_path / "fair_history.csv")
    pd.testing.assert_frame_equal(kept, whole[whole["epoch"] <= 3].astype(kept.dtypes))
    again.write(4, found, ids)
    assert pd.read_csv(tmp_path / "fair_history.csv")["epoch"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [row[0] for row in again.weight_range] == [1, 2, 3, 4]


def test_a_new_training_starts_a_new_history(tmp_path):
    (tmp_path / "fair_history.csv").write_text("epoch,subgroup,n,support,mean_score,divergence,t\n1,a=b,1,1,1,1,1\n")
    FairRecords(tmp_path).begin(None)
    assert len(pd.read_csv(tmp_path / "fair_history.csv")) == 0


def test_the_history_is_bounded(tmp_path):
    records = FairRecords(tmp_path)
    records.begin(None)
    found, ids = refresh(n_groups=80)
    records.write(1, found, ids)
    history = pd.read_csv(tmp_path / "fair_history.csv")
    assert len(history) == HISTORY_SUBGROUPS
    assert history["divergence"].is_monotonic_increasing


def test_the_plot_is_drawn_even_without_a_subgroup(tmp_path):
    records = FairRecords(tmp_path)
    records.begin(None)
    records.plot()
    assert not (tmp_path / "fair_progress.png").exists()
    cases = pd.DataFrame({"group": [None] * 3}, index=list("abc"), dtype=object)
    nothing = SubgroupFinder(cases, cases, FairConfig(), METHOD).refresh(pd.Series([0.1, 0.2, 0.3], index=list("abc")))
    records.write(1, nothing, list("abc"))
    records.plot()
    assert (tmp_path / "fair_progress.png").read_bytes().startswith(b"\x89PNG")


def test_names_are_text_and_never_formulas(tmp_path):
    records = FairRecords(tmp_path)
    records.begin(None)
    cases = pd.DataFrame({"$x^{": ["$50k", "\\frac{1}$$"] * 4}, index=[f"c{i}" for i in range(8)], dtype=object)
    scores = pd.Series([0.1, 0.9] * 4, index=cases.index)
    found = SubgroupFinder(cases, cases, FairConfig(min_t=0.0, min_support=0.001), METHOD).refresh(scores)
    records.write(1, found, list(cases.index))
    said = []
    records._log = said.append
    records.plot()
    assert said == []
    assert (tmp_path / "fair_progress.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", ["", "x,y\n1,2\n", "epoch\n", "\x00\x01"], ids=["empty", "other", "short", "bytes"])
def test_an_unreadable_history_is_started_anew(tmp_path, content):
    (tmp_path / "fair_history.csv").write_text(content)
    said = []
    records = FairRecords(tmp_path, said.append)
    records.begin(3, [[2, 0.5, 2.0]])
    assert records.weight_range == [(2, 0.5, 2.0)]
    assert len(said) == 1
    assert "started anew" in said[0]
    assert (tmp_path / "fair_history.csv").read_text().startswith("epoch,subgroup,")
    found, ids = refresh()
    records.write(3, found, ids)
    assert pd.read_csv(tmp_path / "fair_history.csv")["epoch"].tolist() == [3, 3]


def test_records_that_cannot_be_written_stop_nothing(tmp_path):
    said = []
    records = FairRecords(tmp_path / "gone", said.append)
    records.begin(None)
    found, ids = refresh()
    records.write(1, found, ids)
    records.plot()
    assert records.n_refreshes == 1
    assert [line.split()[1] for line in said] == [
        "fair_history.csv",
        "fair_history.csv",
        "fair_weights.csv",
        "fair_progress.png",
    ]
