"""From scores to weights, worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.subgroups.divergence import DIVERGENCE_COLUMNS
from nnunet_fair.subgroups.evidence import subgroup_evidence
from nnunet_fair.subgroups.itemsets import mine_subgroups
from nnunet_fair.subgroups.shortfalls import AveragedSearch
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import SubgroupFinder
from nnunet_fair.training.method import ON_LOSS, PUBLISHED, FairMethod
from nnunet_fair.training.search import LowestSearch, lowest_subgroups


def frame(rows: dict) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index").loc[list(rows)].astype(object)  # pandas 2.1 sorts the rows


LOWEST = replace(ON_LOSS, search=LowestSearch, min_cases=2)
AVERAGED = replace(ON_LOSS, search=AveragedSearch, min_cases=2)


def few(**settings) -> FairConfig:
    """Settings for cohorts of a few cases."""
    return FairConfig(**{"strength": 4.0, "min_t": 0.0, **settings})


def finder(
    cases: pd.DataFrame, method: FairMethod = LOWEST, train: pd.DataFrame | None = None, **settings
) -> SubgroupFinder:
    return SubgroupFinder(cases, cases if train is None else train, few(**settings), method)


def test_worst_subgroup_of_each_case():
    membership = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    worst, lowest = lowest_subgroups(np.array([-0.1, -0.3, 0.2]), membership, np.array([True, True, True]))
    assert worst.tolist() == [1, 1, 2, -1]
    assert lowest.tolist() == [-0.3, -0.3, 0.2, 0.0]
    worst, lowest = lowest_subgroups(np.array([-0.1, -0.3, 0.2]), membership, np.array([True, False, False]))
    assert worst.tolist() == [0, -1, -1, -1]
    assert lowest.tolist() == [-0.1, 0.0, 0.0, 0.0]


def test_a_refresh_by_hand():
    # four cases of group x score 0.2, four of y 0.6: mean 0.4, Δ(x) = −0.2, σ = 0.2:
    # w = 1 + 2 · 0.2 / 0.2 = 3 for x, 1 for y, mean 2 → 1.5 and 0.5
    cases = frame({f"c{i}": {"group": "x" if i < 4 else "y"} for i in range(8)})
    refresh = finder(cases, strength=2.0).refresh(pd.Series([0.2] * 4 + [0.6] * 4, index=cases.index))
    assert refresh.weights.tolist() == pytest.approx([1.5] * 4 + [0.5] * 4)
    assert refresh.subgroup == ("group=x",) * 4 + ("",) * 4
    assert refresh.divergence.loc[0, ["subgroup", "n"]].tolist() == ["group=x", 4]
    assert refresh.divergence["divergence"].tolist() == pytest.approx([-0.2, 0.2])
    assert refresh.note == ""


def test_weights_go_by_case_id_and_cases_without_metadata_are_neutral():
    cases = frame({f"c{i}": {"group": "x" if i < 4 else "y"} for i in range(8)})
    train = cases.reindex(["c7", "unknown", "c0"])
    scores = pd.Series({f"c{i}": 0.2 if i < 4 else 0.6 for i in reversed(range(8))})
    refresh = finder(cases, train=train).refresh(scores)
    # 1, 1 and min(5, 1 + 4 · 0.2 / 0.2) = 5: mean 7/3
    assert refresh.weights.tolist() == pytest.approx([3 / 7, 3 / 7, 15 / 7])
    assert refresh.subgroup == ("", "", "group=x")


def test_subgroups_are_mined_anew_as_cases_become_scored():
    cases = frame({f"c{i}": {"group": "x" if i < 3 else "y"} for i in range(9)})
    mining = finder(cases, replace(AVERAGED, min_cases=3))
    half = pd.Series([0.1, np.nan, np.nan, 0.5, 0.6, 0.7, np.nan, np.nan, np.nan], index=cases.index)
    assert mining.refresh(half).divergence["subgroup"].tolist() == ["group=y"]
    full = pd.Series([0.1] * 3 + [0.7] * 6, index=cases.index)
    assert mining.refresh(full).divergence["subgroup"].tolist() == ["group=x", "group=y"]


def test_a_group_missing_among_the_scored_falls_back_to_its_parent():
    # validation cases hold no "old, dense" at all: training cases of it take the subgroup "dense"
    scored = frame({f"v{i}": {"age": "young", "density": "d" if i < 4 else "a"} for i in range(8)})
    train = frame({"t0": {"age": "old", "density": "d"}, "t1": {"age": "young", "density": "a"}})
    scores = pd.Series([0.1] * 4 + [0.9] * 4, index=scored.index)
    refresh = finder(scored, AVERAGED, train).refresh(scores)
    assert refresh.subgroup == ("density=d", "")


def test_min_t_ignores_what_may_be_chance():
    cases = frame({f"c{i}": {"group": "x" if i < 4 else "y"} for i in range(8)})
    scores = pd.Series([0.1, 0.9, 0.2, 0.6, 0.1, 0.9, 0.3, 0.8], index=cases.index)
    assert finder(cases).refresh(scores).note == ""
    strict = finder(cases, min_t=2.0).refresh(scores)
    assert strict.weights.tolist() == [1.0] * 8
    assert strict.note == "no training case is in a subgroup below average"


@pytest.mark.parametrize(
    ("groups", "scores", "note"),
    [
        (["x", "y", "x", "y"], [np.nan] * 4, "no case has been scored yet"),
        (["x", "y", "x", "y"], [0.5] * 4, "all 4 scored cases have the same score"),
        ([None] * 4, [0.1, 0.2, 0.3, 0.4], "no subgroup is frequent among the 4 scored cases"),
        (["x"] * 4, [0.1, 0.2, 0.3, 0.4], "no training case is in a subgroup below average"),
    ],
    ids=["nothing scored", "all equal", "no value", "one group"],
)
def test_nothing_to_say_gives_neutral_weights_with_the_reason(groups, scores, note):
    cases = frame({f"c{i}": {"group": group} for i, group in enumerate(groups)})
    refresh = finder(cases, AVERAGED).refresh(pd.Series(scores, index=cases.index))
    assert refresh.weights.tolist() == [1.0] * 4
    assert refresh.note == note
    assert refresh.subgroup == ("",) * 4
    assert refresh.divergence.columns.tolist() == [*DIVERGENCE_COLUMNS, "probability"]
    assert len(refresh.divergence) == (2 if "same score" in note else 1 if "below average" in note else 0)
    assert "below average" in note or refresh.divergence["probability"].isna().all()


def test_subgroups_are_mined_once_for_the_same_scored_cases(monkeypatch):
    mined = []

    def mine(cases, **options):
        mined.append((len(cases), options))
        return mine_subgroups(cases, **options)

    monkeypatch.setattr("nnunet_fair.training.finder.mine_subgroups", mine)
    cases = frame({f"c{i}": {"group": "x" if i < 4 else "y"} for i in range(8)})
    mining = finder(cases, replace(LOWEST, min_cases=3), min_support=0.25, max_items=2)
    scores = pd.Series([0.2] * 4 + [0.6] * 4, index=cases.index)
    mining.refresh(scores)
    mining.refresh(scores + 0.1)
    assert [n for n, _ in mined] == [8]
    mining.refresh(scores.iloc[:7])
    assert [n for n, _ in mined] == [8, 7]
    assert mined[0][1] == {"min_support": 0.25, "min_cases": 3, "max_items": 2}


def test_the_most_negative_divergence_comes_first_whatever_the_probability():
    cases = frame({f"c{i}": {"group": "xyz"[i % 3]} for i in range(30)})
    noise = np.random.default_rng(0).normal(0, 0.02, 30)
    scores = pd.Series([[0.5, 0.9, 0.7][i % 3] for i in range(30)], index=cases.index) + noise
    refresh = finder(cases, AVERAGED).refresh(scores)
    assert refresh.divergence["subgroup"].tolist() == ["group=x", "group=z", "group=y"]
    assert refresh.divergence.index.tolist() == [0, 1, 2]
    assert (refresh.divergence["probability"] > 0.5).tolist() == [True, False, False]


def test_the_text_of_a_finder_and_a_refresh_tells_nothing_about_patients():
    cases = frame({f"c{i}": {"group": "x" if i < 4 else "y"} for i in range(8)})
    mining = finder(cases, train=cases.iloc[:5])
    assert repr(mining) == "SubgroupFinder(n_scorable=8, n_train=5)"
    refresh = mining.refresh(pd.Series([0.2] * 4 + [0.6] * 4, index=cases.index))
    assert repr(refresh) == "Refresh(n_train=5, n_subgroups=2)"


def test_published_rule_is_the_papers():
    cases = frame({f"c{i}": {"group": "x" if i < 4 else "y"} for i in range(8)})
    scores = pd.Series([0.2] * 4 + [0.6] * 4, index=cases.index)
    refresh = finder(cases, replace(PUBLISHED, min_cases=2)).refresh(scores)
    assert refresh.weights.tolist() == pytest.approx([0.2] * 4 + [1.0] * 4)  # |Δ|, unshrunk; neutral where none


def test_a_subgroup_larger_than_half_the_cohort():
    # 6 of 8 score 0.4, 2 score 0.8: mean 0.5, Δ(x) = −0.1, σ = √0.03; w = 1 + 4·0.1/0.1732 = 3.309 for x, 1 for y
    cases = frame({f"c{i}": {"group": "x" if i < 6 else "y"} for i in range(8)})
    scores = pd.Series([0.4] * 6 + [0.8] * 2, index=cases.index)
    refresh = finder(cases).refresh(scores)
    x = 1 + 4 * 0.1 / 0.03**0.5
    mean = (6 * x + 2) / 8
    assert refresh.weights.tolist() == pytest.approx([x / mean] * 6 + [1 / mean] * 2)


def test_averaging_finds_a_conjunction_that_lowest_divergence_dilutes():
    # only old and dense cases score low: their parents "old" and "dense" fall short because they contain them
    rows = {f"c{i}": {"age": ["old", "young"][i % 2], "density": ["d", "a"][i // 2 % 2]} for i in range(80)}
    cases = frame(rows)
    planted = (cases["age"] == "old") & (cases["density"] == "d")
    noise = np.random.default_rng(0).normal(0, 0.08, 80)
    scores = pd.Series(np.where(planted, 0.5, 0.8) + noise, index=cases.index)

    def ratio(method: FairMethod) -> tuple[float, pd.Series]:
        refresh = finder(cases, method).refresh(scores)
        half = refresh.weights[((cases["age"] == "old") ^ (cases["density"] == "d")).to_numpy()]
        return refresh.weights[planted].mean() / half.mean(), refresh.divergence.set_index("subgroup")["probability"]

    averaged, probability = ratio(AVERAGED)
    diluted, nothing = ratio(LOWEST)
    assert averaged > 4 > diluted
    assert probability.idxmax() == "age=old, density=d" and probability.max() > 0.99
    assert nothing.isna().all()


def test_averaging_is_closer_to_neutral_where_scores_are_noise():
    spread = {"averaged": [], "lowest": []}
    for seed in range(15):
        rng = np.random.default_rng(seed)
        cases = frame({f"c{i}": {"a": f"v{rng.integers(3)}", "b": f"v{rng.integers(4)}"} for i in range(120)})
        scores = pd.Series(rng.uniform(0.4, 0.9, 120), index=cases.index)
        for method, spreads in zip((AVERAGED, LOWEST), spread.values(), strict=True):
            refresh = finder(cases, method).refresh(scores)
            spreads.append(refresh.weights.std())
    assert np.median(spread["averaged"]) < 0.5 * np.median(spread["lowest"])


def test_a_case_whose_value_is_missing_weighs_by_its_own_score():
    # of three cases of unknown age one scores like the old, one like the young, one has no score yet
    ages = ["old"] * 10 + ["young"] * 10 + [None] * 3
    cases = frame({f"c{i}": {"age": age, "site": "s"} for i, age in enumerate(ages)})
    noise = np.tile([-0.05, 0.05], 10)
    scores = pd.Series([*(np.repeat([0.4, 0.7], 10) + noise), 0.4, 0.7, np.nan], index=cases.index)
    method = replace(AVERAGED, missing_as_group=False)
    refresh = finder(cases, method, strength=16.0, max_weight=50.0, min_t=2.0).refresh(scores)
    old, young, like_old, like_young, unscored = refresh.weights[[0, 10, 20, 21, 22]]
    assert young <= like_young < unscored < like_old <= old
    # without a score it is a member as often as the cases of known age are: half
    assert (unscored - young) / (old - young) == pytest.approx(0.5)


def test_a_missing_value_is_filled_in_from_the_cases_of_its_own_table():
    # four of five validation cases of known age are old, and one of five training cases
    ages = ["old"] * 8 + ["young"] * 2 + [None] * 2
    validation = frame({f"v{i}": {"age": age, "site": "s"} for i, age in enumerate(ages)})
    train = frame({f"t{i}": {"age": age, "site": "s"} for i, age in enumerate(["old"] + ["young"] * 4 + [None])})
    scores = pd.Series([*np.tile([0.3, 0.4], 4), 0.7, 0.8, 0.4, 0.7], index=validation.index)
    method = replace(AVERAGED, missing_as_group=False)
    refresh = finder(validation, method, train, strength=16.0, max_weight=50.0).refresh(scores)
    old, young, unknown = refresh.weights[[0, 1, 5]]
    assert (unknown - young) / (old - young) == pytest.approx(1 / 5)
    # the same subgroups with the validation cases' memberships written out
    names = {"age=old": (1.0, 0.0, 0.8), "age=young": (0.0, 1.0, 0.2), "site=s": (1.0, 1.0, 1.0)}
    items = ["age=old", "age=old, site=s", "age=young", "age=young, site=s", "site=s"]
    membership = np.array([np.repeat(names[item.split(",")[0]], (8, 2, 2)) for item in items]).T
    evidence = subgroup_evidence(scores.to_numpy(), membership, np.array([1, 2, 1, 2, 1]))
    found = refresh.divergence.set_index("subgroup")["probability"]
    assert found[items].to_numpy() == pytest.approx(evidence.posterior)


def test_min_t_holds_for_averages_too():
    cases = frame({f"c{i}": {"group": "x" if i < 4 else "y"} for i in range(8)})
    scores = pd.Series([0.1, 0.9, 0.2, 0.6, 0.1, 0.9, 0.3, 0.8], index=cases.index)
    assert finder(cases, AVERAGED).refresh(scores).weights.std() > 0
    strict = finder(cases, AVERAGED, min_t=2.0).refresh(scores)
    assert strict.weights.tolist() == [1.0] * 8


@pytest.mark.parametrize("method", [AVERAGED, LOWEST], ids=["averaged", "lowest"])
def test_cases_without_a_value_are_a_group_where_asked(method):
    rows = {f"c{i}": {"age": "old" if i % 2 else "young", "menopause": None if i < 6 else "post"} for i in range(20)}
    cases = frame({**rows, "unknown": {"age": None, "menopause": None}})
    noise = np.random.default_rng(0).normal(0, 0.02, 21)
    scores = pd.Series([0.2] * 6 + [0.7] * 14 + [0.7], index=cases.index) + noise

    def subgroups(missing_as_group: bool) -> dict[str, str]:
        found = finder(cases, replace(method, missing_as_group=missing_as_group)).refresh(scores)
        return dict(zip(cases.index, found.subgroup, strict=True))

    assert "menopause=(missing)" in subgroups(True)["c0"]
    assert "menopause=(missing)" not in subgroups(False)["c0"]
    assert subgroups(True)["unknown"] == ""  # nothing at all is known: neutral, as announced in the log
