"""The card: what stands on it, and that nothing about few patients follows from it."""

import re

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.scores.cohort import ScoredCohort
from nnunet_fair.evaluation.scores.subgroup_table import subgroup_table
from nnunet_fair.sharing.cross_validation import subgroup_scores
from nnunet_fair.sharing.model_card import CardRecords, model_card
from nnunet_fair.subgroups.disclosure import publishable_groups, singles_out
from nnunet_fair.subgroups.search import SubgroupOptions


def card_of(dsc, groups, n_training=None, n_unscored=0):
    published = publishable_groups(groups)
    n_training = len(dsc) + n_unscored if n_training is None else n_training
    records = CardRecords(
        name="Dataset950_TINY",
        configuration="3d_fullres",
        trained_with="nnUNetTrainerFairDiv",
        shipped_as="nnUNetTrainer",
        folds=(0,),
        epochs=(5,),
        n_parameters=10,
        dataset={"numTraining": n_training, "labels": {"background": 0, "tumor": 1}, "channel_names": {"0": "x"}},
        plans={"configurations": {"3d_fullres": {}}},
        postprocessing=None,
        scores=subgroup_scores(dsc, published.frame),
        missing_validation=(),
        n_unscored=n_unscored,
        groups=published,
    )
    return model_card(records), records


def cohort(n, seed=0):
    rng = np.random.default_rng(seed)
    index = [f"CASE_{i:04d}" for i in range(n)]
    groups = pd.DataFrame(
        {
            "site": rng.choice(["Bremen", "Kiel", "Jena"], size=n, p=[0.6, 0.35, 0.05]),
            "born": [f"19{40 + i % 60}-0{1 + i % 9}-{1 + i % 27:02d}" for i in range(n)],
            "remark": ["fell off a horse", *["none"] * (n - 1)],
            "density": rng.choice(["a", "b", np.nan], size=n, p=[0.5, 0.4, 0.1]),
        },
        index=index,
        dtype=object,
    )
    return pd.Series(rng.uniform(0.2, 0.9, size=n), index=index), groups.where(groups != "nan")


def test_one_number_one_interval():
    """The card's intervals are those of the report's subgroup table."""
    dsc, groups = cohort(60)
    groups = groups[["site"]].replace("Jena", "Kiel")
    table = subgroup_scores(dsc, groups)
    cases = pd.DataFrame({"dsc": dsc, "norm_hd": 1 - dsc, "hd95_mm": 1.0})
    cohort_scores = ScoredCohort.of(cases, groups, options=SubgroupOptions(max_items=1, min_support=0.0))
    report = subgroup_table(cohort_scores).set_index("subgroup")
    for row, name in zip(table.itertuples(), ["all cases", "site=Bremen", "site=Kiel"], strict=True):
        expected = report.loc[name] if row.attribute else report.iloc[0]
        shown = [expected[f"mean_dsc{end}"] for end in ("", "_low", "_high")]
        assert [row.mean, row.low, row.high] == pytest.approx(shown, rel=1e-12)


def test_unique_values_never_stand_on_the_card():
    dsc, groups = cohort(33)
    card, _ = card_of(dsc, groups)
    assert not [secret for secret in ("horse", "Jena") if secret in card]
    assert not [value for value in groups["born"] if value in card]
    assert "born is not shown: with 33 different values" in card
    assert "remark is not shown" in card


def test_26_of_whom_25_are_shown():
    """One patient less than everybody: her score would be 26 means of all less 25 of the group."""
    dsc, _ = cohort(26)
    groups = pd.DataFrame({"menopause": ["post"] * 25 + ["pre"]}, index=dsc.index)
    card, _ = card_of(dsc, groups)
    assert f"| – | all cases | 26 | {dsc.mean():.3f} |" in card
    assert "post" not in card.replace("Post", "").replace("post-processing", "")


@pytest.mark.parametrize("n_unscored", [1, 4])
def test_no_count_of_few_unscored_cases_follows_from_the_totals(n_unscored):
    dsc, _ = cohort(26)
    groups = pd.DataFrame({"site": ["Bremen"] * 14 + ["Kiel"] * 12}, index=dsc.index)
    card, _ = card_of(dsc, groups, n_unscored=n_unscored)
    assert "Fewer than 5 cases have no DSC" in card
    assert f"| all cases | {26 + n_unscored - 4} or more |" in card
    # Of 30 training cases, two blocks of 10 to 14 would say that two or more have no DSC.
    assert f"| site | Bremen | {'10 to 14' if n_unscored == 1 else '5 or more'} |" in card
    assert "| site | all |" in card
    assert not re.search(r"\b26\b" if n_unscored == 1 else r"\b2[67]\b", card.replace("26 or more", ""))


def test_exact_numbers_stand_where_nothing_follows_from_them():
    dsc, _ = cohort(26)
    groups = pd.DataFrame({"site": ["Bremen"] * 14 + ["Kiel"] * 12}, index=dsc.index)
    card, _ = card_of(dsc, groups, n_unscored=5)
    assert "| – | all cases | 26 |" in card
    assert "| site | Bremen | 14 |" in card
    assert "5 cases have no DSC" in card


@pytest.mark.parametrize("seed", range(8))
def test_no_sum_over_few_cases_follows_from_the_means(seed):
    dsc, groups = cohort(40 + seed, seed)
    _, records = card_of(dsc, groups)
    sets = [np.ones(len(dsc), bool)]
    for row in records.scores.itertuples():
        assert row.n >= 5
        if row.attribute:
            sets.append((records.groups.frame[row.attribute] == row.group).to_numpy())
    assert not singles_out(np.column_stack(sets))
